/* The timeline under the player.
 *
 * Does: draw what is known over time, move the position by pointer and keyboard.
 * Does not: own the video (it is told the time, and tells where to go) or fetch anything.
 */

import { at, draw } from "./dom.js";
import { chanceOf, joined, runs, sentence } from "./reading.js";
import { clock } from "./words.js";

const LEFT = 58;
const RIGHT = 18;
const HIGH = 110;
const ROW = 22;
const STEP_S = 1;

export class Timeline {
  /** `go(seconds)` and `play()` are called when the reader wants to. */
  constructor(go, play) {
    this.box = at("timeline");
    this.go = go;
    this.play = play;
    this.told = { segments: [], observed: [], duration: 0, positive: null, threshold: null, total: 0 };
    this.now = 0;
    this.box.addEventListener("pointermove", (event) => this.point(this.timeAt(event)));
    this.box.addEventListener("pointerleave", () => this.point(null));
    this.box.addEventListener("click", (event) => this.go(this.timeAt(event)));
    this.box.addEventListener("keydown", (event) => this.press(event));
    new ResizeObserver(() => this.render()).observe(this.box);
  }

  /** Show what is known; times are on the player's clock (seconds from the first frame). */
  show(told) {
    this.told = told;
    this.box.setAttribute("aria-valuemax", told.duration.toFixed(1));
    this.render();
  }

  /** The video is at this second. */
  move(seconds) {
    this.now = seconds;
    const part = this.segmentAt(seconds);
    const said = part ? `: ${sentence(part)}` : "";
    this.box.setAttribute("aria-valuenow", seconds.toFixed(1));
    this.box.setAttribute("aria-valuetext", `${clock(seconds)} of ${clock(this.told.duration)}${said}`);
    this.head?.setAttribute("transform", `translate(${this.x(seconds)} 0)`);
    for (const [index, span] of this.spans ?? []) {
      span.classList.toggle("now", index === part?.index);
    }
  }

  segmentAt(seconds) {
    return this.told.segments.find((part) => part.from <= seconds && seconds < part.to);
  }

  x(seconds) {
    return LEFT + (this.wide * seconds) / Math.max(this.told.duration, 0.001);
  }

  timeAt(event) {
    const share = (event.clientX - this.box.getBoundingClientRect().left - LEFT) / this.wide;
    return Math.min(1, Math.max(0, share)) * this.told.duration;
  }

  point(seconds) {
    const part = seconds === null ? null : this.segmentAt(seconds);
    at("pointed").textContent = part ? `${clock(part.from)}–${clock(part.to)}: ${sentence(part)}` : "";
    this.hover?.setAttribute("visibility", seconds === null ? "hidden" : "visible");
    if (seconds !== null) this.hover?.setAttribute("transform", `translate(${this.x(seconds)} 0)`);
  }

  press(event) {
    const borders = this.told.segments.map((part) => part.from);
    const aim = {
      ArrowLeft: () => this.now - STEP_S,
      ArrowDown: () => this.now - STEP_S,
      ArrowRight: () => this.now + STEP_S,
      ArrowUp: () => this.now + STEP_S,
      PageUp: () => borders.filter((from) => from < this.now - 0.05).pop() ?? 0,
      PageDown: () => borders.find((from) => from > this.now + 0.05) ?? this.now,
      Home: () => 0,
      End: () => this.told.duration,
    }[event.key];
    if (event.key === " ") this.play();
    else if (aim) this.go(Math.min(this.told.duration, Math.max(0, aim())));
    else return;
    event.preventDefault();
  }

  render() {
    this.wide = Math.max(60, this.box.clientWidth - LEFT - RIGHT);
    const rows = this.rows();
    const high = HIGH + 12 + rows.length * ROW + 18;
    const svg = draw("svg", { height: high, "aria-hidden": "true" });
    svg.append(...this.chances(), ...rows.flatMap((row, place) => this.row(row, place)));
    svg.append(...this.axis(high - 4));
    const line = { y1: 0, y2: high - 18 };
    this.hover = draw("line", { ...line, class: "hover", visibility: "hidden" });
    this.head = draw("g", {}, draw("line", { ...line, class: "head" }), draw("circle", { r: 5, class: "knob" }));
    svg.append(this.hover, this.head);
    this.box.replaceChildren(svg);
    this.move(this.now);
  }

  chances() {
    const { segments, threshold, total, duration } = this.told;
    const shapes = [];
    this.spans = new Map();
    for (const part of segments) {
      const place = { x: this.x(part.from), width: Math.max(1, this.x(part.to) - this.x(part.from) - 1) };
      const span = draw("rect", { ...place, y: 0, height: HIGH, class: "span" });
      this.spans.set(part.index, span);
      shapes.push(span);
      const { chance, positive } = chanceOf(part, this.told.positive);
      if (chance === null) continue;
      const tall = Math.max(1, HIGH * chance);
      const shape = `chance${positive ? " positive" : ""}`;
      shapes.push(draw("rect", { ...place, y: HIGH - tall, height: tall, class: shape }));
    }
    if (segments.length < total) {
      const from = this.x(segments.at(-1)?.to ?? 0);
      const width = Math.max(0, this.x(duration) - from);
      shapes.push(draw("rect", { x: from, width, y: 0, height: HIGH, class: "waiting" }));
    }
    if (threshold !== null) {
      const y = HIGH * (1 - threshold);
      shapes.push(draw("line", { x1: LEFT, x2: LEFT + this.wide, y1: y, y2: y, class: "threshold" }));
    }
    for (const [y, text] of [[10, "100 %"], [HIGH / 2 + 4, "50 %"], [HIGH, "0 %"]]) {
      shapes.push(draw("text", { x: LEFT - 8, y, "text-anchor": "end" }, text));
    }
    return shapes;
  }

  /** The rows below the probabilities: a name, and spans with a class. */
  rows() {
    const { observed, segments, positive } = this.told;
    const rows = [];
    if (observed.length) {
      rows.push(["Speech", "speech", joined(observed.flatMap((one) => one.speech))]);
      rows.push(["Face", "seen", runs(observed.flatMap((one) => one.faces))]);
    }
    if (positive !== null) {
      const found = segments.filter((part) => part.answer === positive);
      rows.push(["Marked", "event", joined(found)]);
    }
    return rows;
  }

  row([name, shape, spans], place) {
    const y = HIGH + 12 + place * ROW;
    return [
      draw("text", { x: LEFT - 8, y: y + 11, "text-anchor": "end" }, name),
      draw("rect", { x: LEFT, width: this.wide, y: y + 4, height: 6, rx: 3, class: "track" }),
      ...spans.map(({ from, to }) => draw("rect", {
        x: this.x(from), width: Math.max(2, this.x(to) - this.x(from)), y, height: 14, rx: 3, class: shape,
      })),
    ];
  }

  axis(y) {
    const most = Math.max(2, Math.floor(this.wide / 70));
    const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600];
    const step = steps.find((one) => this.told.duration / one <= most) ?? 900;
    const marks = [];
    for (let time = 0; time <= this.told.duration; time += step) {
      marks.push(draw("text", { x: this.x(time), y, "text-anchor": "middle" }, clock(time, 0)));
    }
    return marks;
  }
}
