/* Reading an analysis as the page shows it.
 *
 * Does: put times on the player's clock, say what a segment says.  Does not: touch the page.
 */

import { percent } from "./words.js";

const GAP_S = 0.5;
const TOUCHING_S = 0.01;

/** Segments with `from` and `to` in seconds from the first frame (`zero`), in order. */
export function onPlayer(segments, zero = null) {
  const ordered = [...segments].sort((one, two) => one.index - two.index);
  const start = zero ?? ordered[0]?.start_s ?? 0;
  return ordered.map((part) => ({ ...part, from: part.start_s - start, to: part.end_s - start }));
}

/** Whether the segments are events, which may lie anywhere in the video. */
export const areEvents = (answer) => answer?.pooling === "profile";

/** What was observed, on the same clock. */
export function observedOnPlayer(observed) {
  const zero = observed[0]?.start_s ?? 0;
  const moved = ({ start_s, end_s }) => ({ from: start_s - zero, to: end_s - zero });
  return observed.map((one) => ({
    ...moved(one),
    zero,
    heard: one.heard,
    share: one.face_share,
    speech: one.speech.map(moved),
    pauses: one.pauses.map(moved),
    faces: one.faces.map((face) => ({ ...face, time: face.time_s - zero })),
  }));
}

/** The chance that is drawn: of the positive answer, else of the segment's own. */
export function chanceOf(part, positive) {
  const shown = positive ?? part.answer;
  return { chance: part.probabilities[shown] ?? null, positive: part.answer === shown };
}

/**
 * The threshold on the scale of a segment's probability, which is the model's own: the video's is
 * compared with a calibrated one.
 */
export function segmentThreshold(answer) {
  const { threshold, temperature, bias } = answer;
  if (temperature == null || bias == null || threshold <= 0 || threshold >= 1) return threshold;
  const logit = Math.log(threshold / (1 - threshold));
  return 1 / (1 + Math.exp(-temperature * (logit - bias)));
}

/** "yes 83 %", or the free text. */
export function sentence(part) {
  const chance = part.probabilities[part.answer];
  return chance === undefined ? part.answer : `${part.answer} ${percent(chance)}`;
}

/** Spans in order, those that touch made one. */
export function joined(spans) {
  const found = [];
  for (const { from, to } of spans) {
    const last = found.at(-1);
    if (last && from - last.to <= TOUCHING_S) last.to = to;
    else found.push({ from, to });
  }
  return found;
}

/** Stretches in which places of the face follow each other without a gap. */
export function runs(faces) {
  const found = [];
  for (const { time } of faces) {
    const last = found.at(-1);
    if (last && time - last.to <= GAP_S) last.to = time;
    else found.push({ from: time, to: time });
  }
  return found.map(({ from, to }) => ({ from, to: to + 0.2 }));
}

/** The place of the face at a time, between two known ones; null where it is not seen. */
export function faceAt(observed, time) {
  const faces = observed.flatMap((one) => one.faces);
  const next = faces.findIndex((face) => face.time >= time);
  const [before, after] = [faces[next - 1] ?? faces[next], faces[next]];
  if (!after || after.time - before.time > GAP_S || Math.abs(time - before.time) > GAP_S) return null;
  const share = after.time === before.time ? 0 : (time - before.time) / (after.time - before.time);
  const between = (name) => before[name] + share * (after[name] - before[name]);
  return Object.fromEntries(["left", "top", "width", "height"].map((name) => [name, between(name)]));
}

/** Shares of the picture as the service saw it, as shares of the picture on show.
 *
 * Where the size changes midway the service fits pictures into the first one's shape, with black
 * borders; a browser takes each picture's own shape.
 */
export function onPicture(place, seen, wide, high) {
  if (!seen) return place;
  const ratio = Math.min(seen.width / wide, seen.height / high);
  const [shareX, shareY] = [wide * ratio / seen.width, high * ratio / seen.height];
  return {
    left: (place.left - (1 - shareX) / 2) / shareX,
    top: (place.top - (1 - shareY) / 2) / shareY,
    width: place.width / shareX,
    height: place.height / shareY,
  };
}
