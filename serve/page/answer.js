/* The answer, the table of segments, downloads and where it all comes from.
 *
 * Does: show them.  Does not: fetch an analysis or draw the timeline.
 */

import { send } from "./api.js";
import { at, make } from "./dom.js";
import { clock, percent } from "./words.js";

const FORMATS = { json: "JSON", csv: "CSV", parquet: "Parquet", vtt: "WebVTT", eaf: "EAF (ELAN)" };
const SAID = ["model_miniature"]; // by the banner above
const LONG = 24;

/** While there is no answer yet: what can be said already. */
export function showWaiting(text) {
  at("verdict").replaceChildren(make("p", { class: "small" }, text));
}

/** The answer of a finished analysis, its chances, how far segments differ, what to keep in mind. */
export function showAnswer(told, segments) {
  at("verdict").replaceChildren(...[
    headline(told, segments),
    chances(told),
    spread(told, segments),
    remarks([...told.abstained_because, ...told.warnings].filter((one) => !SAID.includes(one.code))),
  ].filter(Boolean));
}

function headline(told, segments) {
  if (told.abstained) return make("p", { class: "said" }, "No answer");
  if (told.answer === null) {
    const text = segments.length > 1 ? "One answer a segment: see below." : "";
    return make("p", { class: "said long" }, text);
  }
  const long = told.answer.length > LONG;
  return make("p", { class: long ? "said long" : "said" }, told.answer);
}

function chances(told) {
  const sorted = Object.entries(told.probabilities).sort(([, one], [, two]) => two - one);
  if (!sorted.length) return null;
  const near = Math.round(100 * sorted[0][1]) === Math.round(100 * sorted[1][1]);
  return make("ul", { class: "chances" }, sorted.map(([answer, chance]) => {
    const fill = make("i");
    fill.style.width = `${100 * chance}%`;
    const shape = [answer === told.answer && "best", answer === (told.positive ?? told.answer) && "positive"];
    return make("li", { class: shape.filter(Boolean).join(" ") }, make("span", {}, answer),
      make("span", { class: "bar", "aria-hidden": true }, fill), make("b", {}, percent(chance, near ? 1 : 0)));
  }));
}

function spread(told, segments) {
  const shown = told.positive ?? told.answer;
  const values = segments.map((part) => part.probabilities[shown]).filter((one) => one !== undefined);
  if (values.length < 2) return null;
  const [least, most] = [Math.min(...values), Math.max(...values)].map(percent);
  return make("p", { class: "small" },
    `“${shown}” lies between ${least} and ${most} in the ${values.length} segments`
    + `${told.calibration ? "" : "; no calibration, so no interval"}.`);
}

function remarks(listed) {
  if (!listed.length) return null;
  return make("ul", { class: "remarks" }, listed.map((one) => make("li", {}, one.sentence)));
}

/** Every segment as a row; the first cell goes there. */
export function showTable(segments, observed, go) {
  const answers = [...new Set(segments.flatMap((part) => Object.keys(part.probabilities)))];
  const heads = ["Time", "Answer", ...answers, "Sound", ...(observed.length ? ["Speech", "Face"] : [])];
  const rows = segments.map((part, place) => {
    const seen = observed[place];
    const time = `${clock(part.from)}–${clock(part.to)}`;
    const cells = [
      make("button", { type: "button", onclick: () => go(part.from) }, time),
      part.answer,
      ...answers.map((answer) => (answer in part.probabilities ? percent(part.probabilities[answer]) : "")),
      part.has_audio ? "yes" : "no",
    ];
    if (observed.length) cells.push(...share(seen));
    return make("tr", {}, cells.map((cell) => make("td", {}, cell)));
  });
  at("table").replaceChildren(
    make("thead", {}, make("tr", {}, heads.map((head) => make("th", { scope: "col" }, head)))),
    make("tbody", {}, rows),
  );
}

function share(seen) {
  if (!seen) return ["", ""];
  const spoken = seen.speech.reduce((sum, span) => sum + span.to - span.from, 0);
  return [seen.heard ? percent(spoken / (seen.to - seen.from)) : "no sound", percent(seen.share)];
}

/** Buttons that save the analysis; `observed()` tells whether speech and
 * face belong in it, `failed(error)` is told when it could not be had. */
export function showDownloads(analysis, name, observed, failed) {
  const stem = `${name.replace(/\.[^.]*$/, "") || "video"}-${analysis.task}`;
  at("downloads").replaceChildren(...Object.entries(FORMATS).map(([format, title]) =>
    make("button", { type: "button", "data-format": format, onclick: async (event) => {
      const button = event.currentTarget;
      button.disabled = true;
      try {
        const query = new URLSearchParams({ format, video: name, observed: observed() });
        const response = await send(`/v1/analyses/${analysis.id}/export?${query}`);
        save(await response.blob(), `${stem}.${format}`);
      } catch (error) {
        failed(error);
      } finally {
        button.disabled = false;
      }
    } }, title)));
}

function save(blob, name) {
  const address = URL.createObjectURL(blob);
  const link = make("a", { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

/** Everything that the answer depends on. */
export function showProvenance(told) {
  const facts = {
    Model: told.model,
    Task: `${told.task} (wording ${told.prompt_hash.slice(0, 12)})`,
    Sampling: `${sampled(told.sampling)}, segments of at most ${told.max_seconds} s`,
    Pooling: `${told.pooling.replaceAll("_", " ")}${
      told.positive === null ? "" : `, “${told.positive}” from ${percent(told.threshold)}`}`,
    Calibration: told.calibration ?? "none",
    Video: `SHA-256 ${told.source_sha256.slice(0, 16)}…`,
    Took: `${(told.timings_s.total ?? 0).toFixed(1)} s`,
  };
  at("provenance").replaceChildren(...Object.entries(facts).flatMap(([name, value]) =>
    [make("dt", {}, name), make("dd", {}, value)]));
}

function sampled({ fps, policy }) {
  const evenly = !policy || policy.kind === "uniform";
  return evenly ? `${fps} frames a second` : `frames chosen by “${policy.kind.replaceAll("_", " ")}”`;
}
