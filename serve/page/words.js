/* How things are said.
 *
 * Does: numbers, times and problems in words for people.  Does not: touch the page.
 */

export const percent = (share, places = 0) => {
  const value = 100 * share;
  if (value > 0 && value < 1) return "< 1 %";
  if (value > 99 && value < 100) return "> 99 %";
  return `${value.toFixed(places)} %`;
};

/** 83.25 → "1:23.3"; whole where `places` is 0. */
export function clock(seconds, places = 1) {
  const scale = 10 ** places;
  const whole = Math.round(Math.max(0, seconds) * scale);
  const minutes = Math.floor(whole / (60 * scale));
  const rest = ((whole - minutes * 60 * scale) / scale).toFixed(places);
  return `${minutes}:${rest.padStart(places ? 3 + places : 2, "0")}`;
}

export const lasting = (seconds) =>
  seconds < 90 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 6) / 10} min`;

export function keeping(seconds) {
  if (seconds < 5400) return `${Math.round(seconds / 60)} minutes`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} hours`;
  return `${Math.round(seconds / 86400)} days`;
}

export const bytes = (count) =>
  count < 1 << 20 ? `${Math.max(1, Math.round(count / 1024))} KB`
    : `${(count / (1 << 20)).toFixed(count < 10 << 20 ? 1 : 0)} MB`;

const KIND = {
  service_away: ["The service cannot be reached", "Is it still running? Your video is still here; try again."],
  engine_away: ["The model is not ready yet", "It may still be starting. Try again in a moment."],
  engine_died: ["The model has stopped", "Whoever runs this service has to start it again."],
  queue_full: ["Many videos are waiting", "Try again a little later."],
  too_many_requests: ["That was a lot at once", "Wait a moment, then try again."],
  unauthorized: ["That key does not open this service", "Check it, or ask whoever runs the service."],
  forbidden: ["This key may not do that", "Ask whoever runs the service for a key that may."],
  unsupported_container: ["This is not a video we can read", "Try an MP4, MOV, WebM, MKV or AVI file."],
  unsupported_codec: ["This kind of video cannot be read", "Save it again as MP4 (H.264), then try once more."],
  unreadable_video: ["This video is damaged or incomplete", "Does it play elsewhere? Save it again and try once more."],
  no_video: ["There are no pictures in this file", "Choose a file that has them; sound alone is not enough."],
  empty_file: ["This file is empty", "Choose another one."],
  file_too_large: ["This video is too large", "Cut it, or save it with a lower quality."],
  video_too_long: ["This video is too long", "Cut it into shorter ones."],
  unknown_analysis: ["This answer is not here any more", "It was erased, or kept for as long as the service keeps answers."],
  unknown_video: ["This video is not here any more", "It was erased, or kept for as long as the service keeps videos. Choose it again."],
  bad_question: ["This question cannot be asked", "Change it, or the allowed answers."],
  other_prompt: ["The model was trained on another wording", "Choose another task, or ask a question of your own."],
};

/** Return `{title, advice, detail, small}` for an error of any kind. */
export function kindly(error) {
  const [title, advice] = KIND[error.code] ?? (error.status >= 500 || !error.code
    ? ["Something went wrong on our side", "Try again; if it stays, tell whoever runs this service."]
    : ["That did not work", "Change it as it says, then try again."]);
  const told = error.code && error.code !== "service_away" ? error.detail : "";
  const small = [error.code, error.requestId && `request ${error.requestId}`].filter(Boolean);
  return { title, advice, detail: told, small: small.join(" · ") };
}
