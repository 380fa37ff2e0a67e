/* The player.
 *
 * Does: show the chosen file or what the service keeps, tell the time, mark the face.
 * Does not: draw the timeline.
 */

import { addressOf, key, send } from "./api.js";
import { at, say } from "./dom.js";
import { faceAt, onPicture } from "./reading.js";

export class Player {
  /** `moved(seconds)` is called whenever the position changes. */
  constructor(moved) {
    this.video = at("video");
    this.observed = [];
    this.seen = null;
    const tell = () => {
      moved(this.video.currentTime);
      this.markFace();
    };
    for (const kind of ["timeupdate", "seeking", "seeked"]) this.video.addEventListener(kind, tell);
    this.video.addEventListener("play", () => this.everyFrame(tell));
    this.video.addEventListener("error", () => this.cannot());
    this.video.addEventListener("loadedmetadata", () => { at("player-note").hidden = true; });
    this.video.addEventListener("resize", () => this.markFace());
    new ResizeObserver(() => this.markFace()).observe(this.video);
  }

  /** Show a file of this device. */
  showFile(file) {
    this.release();
    this.address = URL.createObjectURL(file);
    this.video.src = this.address;
  }

  /** Show what the service keeps; with a key it has to be fetched as a whole. */
  async showKept(videoId, signal) {
    this.release();
    const path = `/v1/videos/${videoId}/content`;
    if (!key.get()) {
      this.video.src = addressOf(path);
      return;
    }
    const response = await send(path, { signal });
    this.showFile(await response.blob());
  }

  release() {
    if (this.address) URL.revokeObjectURL(this.address);
    this.address = null;
    this.observed = [];
    at("face").hidden = true;
    at("player-note").hidden = true;
    this.video.removeAttribute("src");
    this.video.load();
  }

  go(seconds) {
    this.video.currentTime = seconds;
  }

  toggle() {
    if (this.video.paused) this.video.play().catch(() => this.cannot());
    else this.video.pause();
  }

  cannot() {
    if (!this.video.getAttribute("src")) return;
    say(at("player-note"), "Your browser cannot play this video, or it is not kept any more. "
      + "The answers below hold all the same.");
    at("player-note").hidden = false;
  }

  everyFrame(tell) {
    if (this.video.paused || this.video.ended) return;
    tell();
    requestAnimationFrame(() => this.everyFrame(tell));
  }

  /** Lay the box over the face: the picture is fitted into the element, so it has margins. */
  markFace() {
    const { videoWidth: wide, videoHeight: high, clientWidth, clientHeight } = this.video;
    const found = wide ? faceAt(this.observed, this.video.currentTime) : null;
    at("face").hidden = !found;
    if (!found) return;
    const place = onPicture(found, this.seen, wide, high);
    const scale = Math.min(clientWidth / wide, clientHeight / high);
    const left = this.video.offsetLeft + (clientWidth - wide * scale) / 2;
    const top = this.video.offsetTop + (clientHeight - high * scale) / 2;
    Object.assign(at("face").style, {
      left: `${left + place.left * wide * scale}px`,
      top: `${top + place.top * high * scale}px`,
      width: `${place.width * wide * scale}px`,
      height: `${place.height * high * scale}px`,
    });
  }
}
