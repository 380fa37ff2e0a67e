"""The model card beside a checkpoint: what it is, how it was made, how good it is, what it is for.

Does: write README.md from manifest.json, scoring.json and, where there is one, an evaluation's
metrics.json, with its calibration plot.  Does not: evaluate, or name a person, a video or a path.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from finetune.base import read_base
from mllm_affect.errors import UserError
from mllm_affect.files import write_text
from mllm_affect.model.profile import read_profile
from mllm_affect.model.split_uses import MANIFEST_NAME, sentence

CARD_NAME = "README.md"
PLOT_NAME = "calibration.svg"
METRICS_NAME = "metrics.json"

USE = """\
**For** research with consenting participants, and for teams that may lawfully process the videos
they ask about. **Not for** judging a person: hiring, schooling, policing, border control, credit,
insurance, lie detection or medical decisions. Inferring emotions at work or in education is
prohibited or restricted in several jurisdictions (in the European Union by Article 5(1)(f) of
Regulation (EU) 2024/1689).

A probability says how sure the model is. What a face or a voice shows is not what a person feels.
"""

LIMITS = """\
- It reads at most {max_seconds:g} seconds at a time, {fps:g} frames a second, blind to what comes
  before and after.
- It was taught the prompts named above; another wording is another task.
- People, places, languages and cameras unlike those of the training data were not seen; a model of
  so few people fails unevenly. Report figures per group where the data allow it.
"""

DUTIES = {
    "bah": """\
The training data are a release of BAH, licensed to faculty for academic use only. The licence binds
whoever holds this checkpoint: share it, and anything derived from it, only as far as the licence
lets you; publish no excerpt, transcript or face; honour "Use in publications: No".
""",
    "megc": """\
The training data come from licensed micro-expression corpora. Each corpus's agreement binds whoever
holds this checkpoint: share it, and anything derived from it, only as far as they all let you;
publish no frame of anybody who did not agree to that.
""",
    "examples": """\
The licence of the training videos binds whoever holds this checkpoint. Its terms are not known to
this program: write them here before you share it.
""",
}


def write_card(checkpoint: Path, evaluation: Path | None = None) -> Path:
    """Write the card of a checkpoint that this toolkit made; return its path.

    `evaluation`: the folder that `mllm-affect evaluate` wrote for it.  Raises UserError
    `no_manifest` and `bad_evaluation`.
    """
    manifest = _read(checkpoint / MANIFEST_NAME, "no_manifest", "a checkpoint of `finetune run`")
    if "recipe" not in manifest:
        raise UserError(
            "no_manifest", f"{checkpoint} was merged by hand; nobody noted its training."
        )
    metrics = None
    if evaluation is not None:
        metrics = _read(evaluation / METRICS_NAME, "bad_evaluation", "an evaluation's folder")
        asked = metrics.get("settings", {}).get("weights")
        if asked is not None and asked != read_base(str(checkpoint)).fingerprint():
            raise UserError(
                "bad_evaluation", f"{evaluation} evaluates other weights than {checkpoint} holds."
            )
        if metrics.get("calibration"):
            write_text(checkpoint / PLOT_NAME, reliability_plot(metrics["calibration"]))
    write_text(checkpoint / CARD_NAME, card_text(checkpoint, manifest, metrics))
    return checkpoint / CARD_NAME


def card_text(
    checkpoint: Path, manifest: Mapping[str, Any], metrics: Mapping[str, Any] | None
) -> str:
    """Return the card as Markdown."""
    rows = manifest["rows"]
    sections = [
        _head(manifest),
        "## What it was trained on\n\n" + "\n".join(_data(rows)),
        "## How it was trained\n\n" + "\n".join(_training(manifest)),
        "## How good it is\n\n" + _figures(metrics, checkpoint),
        "## Intended use\n\n" + USE,
        "## Limits\n\n"
        + LIMITS.format(max_seconds=rows["segmenter"]["max_seconds"], fps=rows["sampling"]["fps"])
        + _profile_note(checkpoint),
        "## Licence\n\nThe base checkpoint's licence goes on to hold. "
        + DUTIES.get(rows["data"]["kind"], DUTIES["examples"]),
    ]
    return "\n\n".join(section.rstrip() for section in sections) + "\n"


def _head(manifest: Mapping[str, Any]) -> str:
    base = manifest["base"]["name"]
    tasks = ", ".join(manifest["prompt_hashes"])
    method = "LoRA" if manifest["recipe"]["method"] == "lora" else "All weights"
    front = f"---\nlibrary_name: transformers\nbase_model: {base}\nlicense: other\n---\n"
    return (
        f"{front}\n# {base}, fine-tuned for {tasks}\n\n{method} fine-tuning of {base} by "
        "mllm-affect; every figure below is in `manifest.json` or in the evaluation it names."
    )


def _data(rows: Mapping[str, Any]) -> Iterator[str]:
    answers = ", ".join(f"{answer} {count}" for answer, count in rows["answers"].items())
    who = f"{rows['videos']} videos of {rows['participants']} participants"
    yield f"- {who}, split `{rows.get('split', 'train')}`"
    yield f"- {rows['rows']} rows of {rows['segments']} blind segments; answers: {answers}"
    unclear = rows.get("segments_unclear", 0)
    yield f"- balance: {rows['balance']}; segments left out as unclear: {unclear}"
    for reason, count in rows["data"]["left_out"].items():
        yield f"- left out, {reason}: {count}"
    yield "- nobody is in two splits (checked by participant and voice)"
    yield f"- rows `{rows['rows_sha256'][:16]}`"
    if rows.get("examples_sha256"):
        yield f"- labels and splits `{rows['examples_sha256'][:16]}`"
    for task, prompt in rows["tasks"].items():
        yield f"- task `{task}`, prompt `{prompt[:16]}`"


def _training(manifest: Mapping[str, Any]) -> Iterator[str]:
    recipe = manifest["recipe"]
    if recipe["method"] == "lora":
        targets = ", ".join(recipe["lora_targets"])
        yield f"- LoRA rank {recipe['lora_rank']}, alpha {recipe['lora_alpha']:g} on {targets}"
    batch = recipe["batch_size"] * recipe["accumulation"] * recipe["gpus"]
    yield f"- {manifest['steps']} steps of {batch} rows, learning rate {recipe['learning_rate']:g}"
    if manifest.get("evaluations"):
        scores = [item["macro_f1"] for item in manifest["evaluations"]]
        yield (
            f"- kept: step {manifest['checkpoint_step']}, the best of {len(scores)} evaluations "
            f"(macro-F1 {max(scores):.3f} on split `{recipe['evaluation']['split']}`, which chose "
            "it: new people get less)"
        )
    yield f"- precision {recipe['dtype']}, seed {manifest['seed']}"
    if manifest["final_loss"] is not None:
        yield f"- last training loss {manifest['final_loss']:.4f}"
    if manifest.get("merge"):
        found = manifest["merge"]
        yield (
            f"- merged; largest logit difference to the adapter {found['largest']:.1e} over "
            f"{found['prompts']} prompts"
        )
    yield f"- base weights `{manifest['base']['sha256'][:16]}`"
    yield "- " + ", ".join(f"{name} {found}" for name, found in manifest["versions"].items())


def _figures(metrics: Mapping[str, Any] | None, checkpoint: Path) -> str:
    if metrics is None:
        return (
            "Not evaluated. `mllm-affect evaluate` and then `mllm-affect finetune card CHECKPOINT "
            "--evaluation FOLDER` write figures here."
        )
    settings = metrics["settings"]
    lines = [
        f"Task `{metrics['task']}`, split `{settings['split']}`: {metrics['videos']} videos of "
        f"{metrics['participants']} participants; 95 % intervals, participants redrawn. "
        f"{metrics['unparsed']} answers unusable and {metrics['abstained']} abstained; both count "
        "as wrong.\n",
        *_used(settings),
        "| figure | value | interval |",
        "|---|---|---|",
        *_figure_rows(metrics),
        "\nWhat needs no model, on the same videos:\n",
        "| prior | macro-F1 |",
        "|---|---|",
        f"| always {metrics['majority']} | {metrics['majority_macro_f1']:.3f} |",
        *_prior_rows(metrics),
    ]
    if (checkpoint / PLOT_NAME).is_file():
        lines.append(f"\n![How often an answer was right, by its probability]({PLOT_NAME})")
    return "\n".join(lines)


def _used(settings: Mapping[str, Any]) -> Iterator[str]:
    said = sentence(tuple(settings.get("split_used_for") or ()), settings.get("split"))
    if said:
        yield f"**{said}**\n"


FIGURES = {
    "macro_f1": "macro-F1",
    "accuracy": "accuracy",
    "average_precision": "average precision",
    "challenge_average_precision": "average precision as the challenge counts it",
    "calibration_error": "expected calibration error",
    "brier": "Brier score",
}


def _figure_rows(metrics: Mapping[str, Any]) -> Iterator[str]:
    for key, name in FIGURES.items():
        if metrics.get(key) is not None:
            low, high = (metrics[f"{key}_interval"][end] for end in ("low", "high"))
            yield f"| {name} | {metrics[key]:.3f} | {low:.3f} to {high:.3f} |"


def _prior_rows(metrics: Mapping[str, Any]) -> Iterator[str]:
    for prior in (metrics.get("details") or {}).get("priors") or ():
        if prior.get("scores"):
            yield f"| {prior['name']} | {prior['scores']['macro_f1']:.3f} |"


def reliability_plot(bins: list[dict[str, float]]) -> str:
    """Return an SVG of hit rate over probability; a dot's area follows the number of videos."""
    import io

    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.4, 3.8), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="#bbbbbb", linestyle="--", linewidth=1)
    largest = max(item["count"] for item in bins)
    x_B = [item["mean_probability"] for item in bins]
    y_B = [item["hit_rate"] for item in bins]
    axes.plot(x_B, y_B, linewidth=1.2)
    axes.scatter(x_B, y_B, s=[30 + 250 * item["count"] / largest for item in bins], alpha=0.75)
    axes.set_xlim(-0.04, 1.04)
    axes.set_ylim(-0.04, 1.04)
    axes.set_xlabel("probability")
    axes.set_ylabel("how often it was right")
    written = io.StringIO()
    figure.savefig(written, format="svg", metadata={"Date": None})
    return written.getvalue()


def _profile_note(checkpoint: Path) -> str:
    if not (checkpoint / "config.json").is_file():
        return ""
    note = read_profile(checkpoint).note
    return f"- {note}\n" if note else ""


def _read(path: Path, code: str, what: str) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(code, f"{path} cannot be read; give {what}.") from error
    if not isinstance(value, dict):
        raise UserError(code, f"{path} is no JSON object; give {what}.")
    return value
