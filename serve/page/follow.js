/* Following an analysis until it has ended.
 *
 * Does: read server-sent events, go on after a broken connection from the last event that was seen,
 * ask again and again where events do not come through.  Does not: show anything.
 *
 * EventSource cannot send an API key, so the stream is read from fetch.
 */

import { Problem, allSegments, call, send } from "./api.js";

export const ENDED = ["succeeded", "failed", "cancelled"];
const MOST_BREAKS = 3;
const PAUSE_MS = 1000;

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Yield `{kind, data}` as it happens; the last one is of a kind in ENDED. */
export async function* follow(id, signal) {
  let last = "";
  for (let breaks = 0; breaks < MOST_BREAKS; breaks += 1) {
    try {
      const headers = { Accept: "text/event-stream", ...(last && { "Last-Event-ID": last }) };
      const response = await send(`/v1/analyses/${id}/events`, { headers, signal });
      for await (const event of eventsIn(response.body)) {
        breaks = 0;
        last = event.id || last;
        yield event;
        if (ENDED.includes(event.kind)) return;
      }
    } catch (error) {
      const passing = error instanceof Problem ? error.status === 0 || error.status >= 500 : true;
      if (signal.aborted || !passing) throw error;
    }
    await pause(PAUSE_MS);
  }
  yield* ask(id, signal);
}

/** The same by asking every second. */
async function* ask(id, signal) {
  let known = 0;
  for (;;) {
    const analysis = await call(`/v1/analyses/${id}`, { signal });
    if (analysis.progress.done > known) {
      for (const segment of (await allSegments(id, signal)).slice(known)) {
        known += 1;
        yield { kind: "segment", data: { ...analysis.progress, segment } };
      }
    }
    yield { kind: analysis.status, data: analysis.progress };
    if (ENDED.includes(analysis.status)) return;
    await pause(PAUSE_MS);
  }
}

/** Yield the events of a stream (HTML standard, "server-sent events"; one `data` line each). */
async function* eventsIn(body) {
  let waiting = "";
  for await (const text of textsOf(body)) {
    waiting += text;
    const blocks = waiting.split("\n\n");
    waiting = blocks.pop();
    for (const block of blocks) {
      const fields = Object.fromEntries(
        block.split("\n").map((line) => line.match(/^(\w*): ?(.*)$/)?.slice(1) ?? ["", ""]),
      );
      if (fields.event) {
        yield { id: fields.id, kind: fields.event, data: JSON.parse(fields.data || "{}") };
      }
    }
  }
}

async function* textsOf(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}
