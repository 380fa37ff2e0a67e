/* Talking to the service.
 *
 * Does: requests with the API key, uploads that tell how far they are, problems as errors.
 * Does not: show anything.
 */

const KEY = "mllm-affect-key";

/* Where the service is: this file lies in its `page/`, whatever path a proxy puts before it. */
const SERVICE = new URL("..", import.meta.url).href.replace(/\/$/, "");

/** Return the address of a path of the service, as `/v1/tasks`. */
export const addressOf = (path) => SERVICE + path;

/** Something went wrong: the service's problem document, or no service at all (`service_away`). */
export class Problem extends Error {
  constructor({ status = 0, code, detail = "", request_id = "", retryAfter = 0 }) {
    super(detail);
    Object.assign(this, { status, code, detail, requestId: request_id, retryAfter });
  }
}

export const key = {
  get: () => sessionStorage.getItem(KEY),
  set: (value) => sessionStorage.setItem(KEY, value),
  forget: () => sessionStorage.removeItem(KEY),
};

function withKey(headers = {}) {
  return key.get() ? { ...headers, Authorization: `Bearer ${key.get()}` } : headers;
}

function problemOf(status, text, retryAfter) {
  try {
    const told = JSON.parse(text);
    if (told.code) return new Problem({ ...told, retryAfter: Number(retryAfter) || 0 });
  } catch { /* no problem document: something between us and the service answered */ }
  return new Problem({ status, code: "bad_service", detail: `Status ${status}.` });
}

const away = () => new Problem({ code: "service_away", detail: "Nothing answers." });

/** Send a request and return the response; throws Problem. */
export async function send(path, options = {}) {
  let response;
  try {
    response = await fetch(addressOf(path), { ...options, headers: withKey(options.headers), cache: "no-store" });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw away();
  }
  if (!response.ok) {
    throw problemOf(response.status, await response.text(), response.headers.get("Retry-After"));
  }
  return response;
}

/** Send a request and return its JSON, or null where there is none. */
export async function call(path, { body, ...options } = {}) {
  if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers = { ...options.headers, "Content-Type": "application/json" };
  }
  const response = await send(path, options);
  return response.status === 204 ? null : response.json();
}

/** Upload a file; `told` gets the share that is sent (0 to 1).  Returns what is known of it. */
export function upload(file, told, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", addressOf("/v1/videos"));
    const headers = withKey({ "Content-Type": "application/octet-stream" });
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => told(event.loaded / Math.max(1, event.total));
    request.onload = () => {
      if (request.status === 201 || request.status === 200) resolve(JSON.parse(request.responseText));
      else {
        const wait = request.getResponseHeader("Retry-After");
        reject(problemOf(request.status, request.responseText, wait));
      }
    };
    request.onerror = () => reject(away());
    request.onabort = () => reject(new DOMException("Cancelled", "AbortError"));
    signal.addEventListener("abort", () => request.abort());
    request.send(file);
  });
}

/** Return every segment's answer that there is, page by page. */
export async function allSegments(id, signal) {
  const found = [];
  for (let start = 0; start !== null;) {
    const page = await call(`/v1/analyses/${id}/segments?limit=500&start=${start}`, { signal });
    found.push(...page.items);
    start = page.next;
  }
  return found;
}
