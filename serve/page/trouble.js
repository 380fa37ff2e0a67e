/* When something goes wrong.
 *
 * Does: show a problem kindly, ask for the key where the service wants one and try again.
 * Does not: know what was tried.
 */

import { key } from "./api.js";
import { at, make, say } from "./dom.js";
import { kindly } from "./words.js";

/** Do something; what goes wrong is shown.  Being stopped by the reader is no problem. */
export async function guarded(action, ...rest) {
  try {
    await action(...rest);
  } catch (error) {
    if (error.name === "AbortError") return;
    if (error.code === "unauthorized") await askForKey(error, () => guarded(action, ...rest));
    else showProblem(error);
  }
}

export function showProblem(error) {
  const { title, advice, detail, small } = kindly(error);
  const parts = error.sentence ? [make("p", {}, error.sentence)] : [
    make("h2", {}, title),
    make("p", {}, detail ? `${detail} ${advice}` : advice),
    make("p", { class: "small" }, small),
  ];
  at("problem").replaceChildren(...parts);
  at("problem").hidden = false;
  at("working").hidden = true;
  at("problem").scrollIntoView({ block: "nearest" });
  at("problem").focus();
  if (!error.code) console.error(error);
}

export function clearProblem() {
  at("problem").hidden = true;
}

function askForKey(error, again) {
  say(at("door-text"), key.get() ? `${kindly(error).title}.` : "Whoever runs it can give you one.");
  key.forget();
  at("key").value = "";
  at("door").showModal();
  return new Promise((resolve) => {
    at("door").onclose = () => {
      const given = at("key").value.trim();
      if (at("door").returnValue === "open" && given) {
        key.set(given);
        resolve(again());
      } else {
        showProblem(error);
        resolve();
      }
    };
  });
}
