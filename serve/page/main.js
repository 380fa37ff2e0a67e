/* The page: from a video and a question to an answer that one can look into.
 *
 * Does: the flow, and what is shown when; the address names the analysis, so that a reload goes on.
 * Does not: draw, or know how requests are made.
 */

import { allSegments, call, upload } from "./api.js";
import { showAnswer, showDownloads, showProvenance, showTable, showWaiting } from "./answer.js";
import { Choosing } from "./choosing.js";
import { at, make, say } from "./dom.js";
import { ENDED, follow } from "./follow.js";
import { Player } from "./player.js";
import { areEvents, observedOnPlayer, onPlayer, segmentThreshold } from "./reading.js";
import { clearProblem, guarded, showProblem } from "./trouble.js";
import { Timeline } from "./timeline.js";
import { lasting, percent } from "./words.js";

const NAMES = "mllm-affect-names";
const LOOK_AGAIN_MS = 3000;
const NOTHING = { segments: [], observed: [], positive: null, threshold: null };

const player = new Player((seconds) => timeline.move(seconds));
const timeline = new Timeline((seconds) => goTo(seconds), () => player.toggle());
const choosing = new Choosing(
  () => guarded(ask),
  () => { video = null; clearProblem(); },
);

/* What is open: an uploaded video, an analysis, the work that a change of view ends. */
let video = null;
let analysis = null;
let segments = new Map();
let observed = [];
let work = new AbortController();

const addressOf = (id) => `#/analyses/${id}`;
const idInAddress = () => location.hash.match(/^#\/analyses\/([0-9a-f]{32})$/)?.[1] ?? null;

/* File names stay in this tab: the service does not know them. */
const names = {
  all: () => JSON.parse(sessionStorage.getItem(NAMES) ?? "{}"),
  of: (id) => names.all()[id] ?? "video",
  keep: (id, name) => sessionStorage.setItem(NAMES, JSON.stringify({ ...names.all(), [id]: name })),
};

function goTo(seconds) {
  player.go(seconds);
  timeline.move(seconds);
}

/* ---- choosing ---- */

function newWork() {
  work.abort();
  work = new AbortController();
  return work.signal;
}

async function showStart() {
  newWork();
  clearProblem();
  player.release();
  analysis = null;
  at("analysis").hidden = true;
  at("start").hidden = false;
  at("analyse").disabled = !at("tasks").childElementCount; // nothing can be asked before it is listed
  document.title = "Ask about a video · mllm-affect";
  const [tasks, limits, models] = await Promise.all(["tasks", "limits", "models"].map((what) => call(`/v1/${what}`)));
  if (!at("tasks").childElementCount) choosing.showTasks(tasks);
  at("analyse").disabled = false;
  choosing.showLimits(limits);
  showModel(models[0]);
}

function showModel(model) {
  say(at("model"), `answers by ${model.id}`);
  const toy = model.kind === "miniature";
  at("toy").hidden = !toy;
  at("toy").replaceChildren(make("strong", {}, "This is a toy model. "), model.note);
}

/* ---- asking ---- */

async function ask() {
  clearProblem();
  const asked = await choosing.asked();
  if (!choosing.file && !video) return remind("Choose a video first.", at("file"));
  if (!asked) return remind("Write your question first.", choosing.field());
  const signal = newWork();
  at("analyse").disabled = true;
  let made;
  try {
    if (!video) await bring(choosing.file, asked.question ?? choosing.title(), signal);
    made = await call("/v1/analyses", {
      method: "POST", body: { video_id: video.id, ...asked }, signal,
      headers: { "Idempotency-Key": crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}` },
    });
  } catch (error) {
    at("start").hidden = false;
    at("analysis").hidden = true;
    throw error;
  } finally {
    at("analyse").disabled = false;
  }
  history.pushState(null, "", addressOf(made.id));
  return open(made.id);
}

async function bring(file, question, signal) {
  showAnalysis();
  showHead(file.name, question);
  player.showFile(file);
  timeline.show({ ...NOTHING, duration: 1, total: 1 });
  showWaiting("The video is on its way to the service.");
  video = await upload(file, (share) => {
    if (share < 1) showStep(`Uploading: ${percent(share)}`, share);
    else showStep("Uploaded; looking at the video", null);
  }, signal);
  names.keep(video.id, file.name);
}

function remind(sentence, field) {
  showProblem({ code: "not_yet", sentence });
  field.focus();
}

/* ---- an analysis ---- */

async function open(id) {
  const signal = newWork();
  clearProblem();
  const [found, models] = await Promise.all([call(`/v1/analyses/${id}`, { signal }), call("/v1/models", { signal })]);
  const known = video?.id === found.video_id;
  analysis = found;
  segments = new Map();
  observed = [];
  showModel(models[0]);
  showAnalysis();
  showHead(names.of(found.video_id), found.question);
  if (!known) video = await call(`/v1/videos/${found.video_id}`, { signal }).catch(() => null);
  at("again").hidden = video === null;
  if (choosing.file && known) player.showFile(choosing.file);
  else guarded(() => player.showKept(found.video_id, signal));
  for (const part of await allSegments(id, signal)) segments.set(part.index, part);
  if (video) observe(signal);
  draw();
  at("asked").focus({ preventScroll: true });
  if (!ENDED.includes(found.status)) await watch(signal);
  await finish(signal);
}

async function watch(signal) {
  showStatus(analysis.status, analysis.progress);
  for await (const { kind, data } of follow(analysis.id, signal)) {
    if (kind === "segment") segments.set(data.segment.index, data.segment);
    if (data.total) analysis.progress = { done: data.done ?? segments.size, total: data.total };
    showStatus(kind === "segment" ? "running" : kind, analysis.progress);
    draw();
  }
}

async function finish(signal) {
  analysis = await call(`/v1/analyses/${analysis.id}`, { signal });
  for (const part of await allSegments(analysis.id, signal)) segments.set(part.index, part);
  at("working").hidden = true;
  draw();
  if (analysis.status === "failed") {
    showWaiting("There is no answer.");
    showProblem(analysis.error);
  } else if (analysis.status === "cancelled") showWaiting("Cancelled. What was answered until then is below.");
  else {
    showAnswer(analysis.answer, listed());
    showProvenance(analysis.answer);
    showDownloads(analysis, names.of(analysis.video_id), () => observed.length > 0, showProblem);
    at("after").hidden = false;
    document.title = `${analysis.answer.answer ?? "Answered"} · ${names.of(analysis.video_id)} · mllm-affect`;
  }
}

/* Speech and faces come when they come; the answer does not wait for them. */
async function observe(signal) {
  const path = `/v1/videos/${analysis.video_id}/observed`;
  for (let found = null; found === null;) {
    try {
      found = observedOnPlayer(await call(path, { signal }));
    } catch (error) {
      // Without detectors, or when the video is gone, there are no such rows.
      if (signal.aborted || error.status !== 503) return;
      await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
    }
    if (signal.aborted) return;
    observed = found ?? [];
  }
  player.observed = observed;
  player.seen = video;
  draw();
  player.markFace();
}

function listed() {
  const zero = areEvents(analysis.answer) ? observed[0]?.zero ?? 0 : null;
  return onPlayer([...segments.values()], zero);
}

function draw() {
  const parts = listed();
  const { answer, progress, answers } = analysis;
  const positive = answer ? answer.positive : answers.length === 2 ? answers[0] : null;
  const known = parts.at(-1)?.to ?? 0;
  const ended = ENDED.includes(analysis.status);
  const whole = !areEvents(answer) && parts.length >= progress.total;
  timeline.show({
    segments: parts,
    observed,
    duration: whole ? known : Math.max(video?.duration_s ?? 0, observed.at(-1)?.to ?? 0, known, 1),
    positive,
    threshold: answer && positive !== null ? segmentThreshold(answer) : null,
    total: ended ? 0 : progress.total,
  });
  showTable(parts, areEvents(answer) ? [] : observed, goTo);
  showLegend(positive);
}

function showLegend(positive) {
  const shown = positive === null ? [["", "probability of the answer"]]
    : [["positive", `probability of “${positive}”`], ["", "where another is more probable"]];
  if (observed.length) shown.push(["speech", "speech; gaps are pauses"], ["seen", "a face is seen"]);
  if (positive !== null) shown.push(["event", `answered “${positive}”`]);
  at("legend").replaceChildren(...shown.map(([shape, text]) =>
    make("li", {}, make("span", { class: `swatch ${shape}` }), text)));
}

function showAnalysis() {
  at("start").hidden = true;
  at("analysis").hidden = false;
  at("after").hidden = true;
  window.scrollTo(0, 0);
}

function showHead(name, question) {
  const facts = video ? [lasting(video.duration_s), `${video.width} × ${video.height}`] : [];
  // Which of several streams is worth a word; one video and one sound are what everybody expects.
  if (video?.warnings?.some((one) => one.code.endsWith("_streams"))) {
    const sound = video.audio_stream === null ? "no sound" : `sound stream ${video.audio_stream}`;
    facts.push(`video stream ${video.video_stream}`, sound);
  }
  say(at("about"), [name, ...facts].join(" · "));
  say(at("asked"), question);
}

function showStatus(status, { done, total }) {
  const text = {
    queued: "Waiting for its turn",
    waiting: "Waiting for the model",
    running: `Analysing: ${done} of ${total} segments`,
  }[status];
  if (text) showStep(text, status === "running" && total ? done / total : null);
  showWaiting(done ? "So far only single segments are answered; the answer about the whole comes at the end."
    : "The first segment is on its way.");
}

function showStep(text, share) {
  at("working").hidden = false;
  say(at("step"), text);
  if (share === null) at("progress").removeAttribute("value");
  else at("progress").value = share;
}

/* ---- the buttons ---- */

at("cancel").addEventListener("click", () => guarded(async () => {
  if (!analysis) {
    choosing.empty();
    video = null;
    await showStart();
    return;
  }
  await call(`/v1/analyses/${analysis.id}/cancel`, { method: "POST" });
}));

at("again").addEventListener("click", () => guarded(async () => {
  choosing.keep(names.of(video.id), lasting(video.duration_s));
  history.pushState(null, "", "#/");
  await showStart();
}));

at("other").addEventListener("click", () => guarded(startAnew));

at("erase").addEventListener("click", () => at("sure").showModal());
at("sure").addEventListener("close", () => guarded(async () => {
  if (at("sure").returnValue !== "erase" || !analysis) return;
  const path = video ? `/v1/videos/${video.id}` : `/v1/analyses/${analysis.id}`;
  await call(path, { method: "DELETE" });
  await startAnew();
}));

async function startAnew() {
  choosing.empty();
  video = null;
  history.pushState(null, "", "#/");
  await showStart();
}

const enter = () => guarded(idInAddress() ? () => open(idInAddress()) : showStart);
window.addEventListener("popstate", enter);
enter();
