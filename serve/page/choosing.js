/* The form in which a video and a question are chosen.
 *
 * Does: take files by drop or dialog, list the tasks, say the limits, read what was chosen.
 * Does not: send anything.
 */

import { at, make, say } from "./dom.js";
import { bytes, keeping, lasting } from "./words.js";

const OWN = "";

export class Choosing {
  /** `start()` is called when somebody wants an analysis; `changed()` when another file is chosen. */
  constructor(start, changed) {
    this.file = null;
    this.changed = changed;
    const drop = at("drop");
    at("file").addEventListener("change", () => this.take(at("file").files[0]));
    for (const kind of ["dragenter", "dragover"]) {
      document.addEventListener(kind, (event) => {
        event.preventDefault();
        drop.classList.add("over");
      });
    }
    for (const kind of ["dragleave", "drop"]) {
      document.addEventListener(kind, (event) => {
        event.preventDefault();
        drop.classList.remove("over");
      });
    }
    document.addEventListener("drop", (event) => {
      if (!at("start").hidden) this.take(event.dataTransfer.files[0]);
    });
    at("tasks").addEventListener("change", () => this.showOwn());
    at("start").addEventListener("submit", (event) => {
      event.preventDefault();
      start();
    });
  }

  take(file) {
    if (!file) return;
    this.file = file;
    say(at("chosen"), file.name);
    say(at("chosen-facts"), `${bytes(file.size)} · choose another`);
    at("drop").classList.add("full");
    this.changed();
  }

  /** An uploaded video of an earlier visit stands for a file. */
  keep(name, facts) {
    say(at("chosen"), name);
    say(at("chosen-facts"), `${facts} · choose another`);
    at("drop").classList.add("full");
  }

  empty() {
    this.file = null;
    at("file").value = "";
    say(at("chosen"), "Drop a video here");
    say(at("chosen-facts"), "or choose a file from this device");
    at("drop").classList.remove("full");
  }

  showLimits(limits) {
    say(at("limits"), `MP4, MOV, WebM, MKV or AVI, up to ${bytes(limits.upload_bytes)} and `
      + `${lasting(limits.video_seconds)}.`);
    say(at("keeping"), `The service keeps the video for ${keeping(limits.keep_media_seconds)}, `
      + "or until you erase it.");
  }

  showTasks(tasks) {
    this.tasks = new Map(tasks.map((task) => [task.id, task]));
    const known = [...tasks].sort((one, two) => Number(two.trained) - Number(one.trained));
    const choices = known.map((task) => this.choice(task.id, task.title || task.id, asks(task)));
    choices.push(this.choice(OWN, "A question of my own", "With answers you allow, or in free words."));
    at("tasks").replaceChildren(...choices);
    at("tasks").querySelector("input").checked = true;
    this.showOwn();
  }

  choice(id, title, question) {
    const input = make("input", { type: "radio", name: "task", value: id });
    return make("label", { class: "choice" }, input, make("strong", {}, title), make("span", {}, question));
  }

  showOwn() {
    at("own").hidden = this.task() !== OWN;
    const task = this.tasks.get(this.task());
    at("context").hidden = !task?.context.length;
    const wordings = task?.questions ?? [];
    at("family").hidden = !wordings.length;
    at("wordings").replaceChildren(...wordings.map((value) => make("option", { value })));
    if (!wordings.includes(at("worded").value)) at("worded").value = wordings[0] ?? "";
  }

  task() {
    return at("tasks").querySelector(":checked")?.value ?? OWN;
  }

  /** The question of the chosen task. */
  title() {
    return at("tasks").querySelector(".choice:has(:checked) span").textContent;
  }

  /** The fields of the request: a task, or a question with its answers; null where none is given. */
  async asked() {
    if (!at("family").hidden) {
      const question = at("worded").value.trim();
      return question ? { task: this.task(), question } : null;
    }
    if (this.task() !== OWN) return { task: this.task(), ...(await this.told()) };
    const question = at("question").value.trim();
    const answers = at("answers").value.split(",").map((answer) => answer.trim()).filter(Boolean);
    return question ? { question, answers } : null;
  }

  /** Where a question is written. */
  field() {
    return at(at("family").hidden ? "question" : "worded");
  }

  /** What a task with a context tells the model besides the clip. */
  async told() {
    if (at("context").hidden) return {};
    const asked = at("was-asked").value.trim();
    const [file] = at("transcript").files;
    return {
      ...(asked && { asked }),
      ...(file && { transcript: await file.text(), transcript_kind: kindOf(file.name) }),
    };
  }
}

/** What a task asks; a family of tasks has many questions. */
function asks(task) {
  return task.question || `${task.questions.length} questions to choose from.`;
}

function kindOf(name) {
  const suffix = name.toLowerCase().split(".").pop();
  return { vtt: "vtt", srt: "srt", json: "json", yml: "yml", yaml: "yml" }[suffix] ?? "txt";
}
