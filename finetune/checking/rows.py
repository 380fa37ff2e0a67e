"""Whether training rows are fit to train on: the whole check.

Does: hold every row against tasks, limits, its own files, the model's processor and the other
rows; refuse to go on with bad ones.  Does not: mend or drop a row.
"""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from finetune.checking.across import RowsSeen, Seen
from finetune.checking.findings import Fault, RowLimits, RowsReport, RowVerdict, Tokens
from finetune.checking.lines import Line, read_lines
from finetune.checking.media import Decoded, decode
from finetune.checking.shape import Parts, take_apart
from mllm_affect.data.bah.findings import Finding
from mllm_affect.errors import UserError
from mllm_affect.files import sha256_file
from mllm_affect.media.types import Sampling, Segment
from mllm_affect.tasks.model_input import ModelInput
from mllm_affect.tasks.prompts import load_task
from mllm_affect.tasks.rows import content_hash
from mllm_affect.tasks.task import Task

MANIFEST_NAME = "manifest.json"
ANSWER_END = "<|im_end|>\n"
SHOWN = 3

Advance = Callable[[int, int], None]


def check_rows(
    files: Sequence[Path],
    limits: RowLimits,
    processor: Any,
    advance: Advance = lambda _done, _total: None,
) -> RowsReport:
    """Check every row of `files`; rows without a split belong to the split of their file's name.

    `processor`: a `Qwen3OmniMoeProcessor`, which counts the tokens.  Raises UserError `no_rows`
    where a file is missing or empty.
    """
    lines = [(path, line) for path in files for line in _lines(path)]
    seen = RowsSeen(limits.repeats_allowed)
    check = _RowCheck(limits, processor, seen)
    verdicts = []
    for done, (path, line) in enumerate(lines):
        advance(done, len(lines))
        verdicts.append(check.verdict(path, line))
    advance(len(lines), len(lines))
    answers: dict[str, Counter[str]] = {}
    for verdict in verdicts:
        if verdict.answer is not None:
            answers.setdefault(verdict.task or "", Counter())[verdict.answer] += 1
    of_files = [finding for path in files for finding in _file_findings(path, limits)]
    of_files += [
        Finding(
            "one_answer",
            task or "all rows",
            f"Every answer is {next(iter(counts))!r}.",
            fault=False,
        )
        for task, counts in answers.items()
        if len(counts) == 1
    ]
    return RowsReport(tuple(verdicts), tuple(of_files), answers)


def limits_beside(
    rows: Path, tasks: Sequence[Task] = (), max_length: int | None = None
) -> RowLimits:
    """Return the limits that the manifest beside a rows file states; without one, the loosest.

    Raises UserError `unknown_task` for a task that the manifest names and nobody knows.
    """
    manifest = _manifest(rows)
    if manifest is None:
        return RowLimits(tasks=tuple(tasks), max_length=max_length, sampling=_any_sampling())
    return RowLimits(
        tasks=tuple(tasks) or tuple(load_task(name) for name in manifest["tasks"]),
        sampling=TypeAdapter(Sampling).validate_python(manifest["sampling"]),
        max_seconds=float(manifest["segmenter"]["max_seconds"]),
        max_length=max_length,
        repeats_allowed=manifest.get("balance", "none") != "none",
    )


def refuse_bad_rows(report: RowsReport) -> None:
    """Raise UserError `bad_rows` that names the first faults, unless everything is fit."""
    if report.fit:
        return
    faults = report.faults
    first = "; ".join(f"{item.where}: {item.code}, {item.sentence}" for item in faults[:SHOWN])
    more = f" and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
    raise UserError(
        "bad_rows",
        f"{len(report.wrong)} of {len(report.rows)} rows cannot be trained on: {first}{more}; "
        "see `mllm-affect validate rows`.",
    )


class _RowCheck:
    """One row after the other; decoded clips are encoded once a question."""

    def __init__(self, limits: RowLimits, processor: Any, seen: RowsSeen) -> None:
        self._limits, self._processor, self._seen = limits, processor, seen
        self._counted: dict[tuple[str, str], Tokens] = {}

    def verdict(self, path: Path, line: Line) -> RowVerdict:
        """Return the verdict on one line."""
        if line.row is None:
            return self._verdict(path, line, [(line.code, line.sentence)])
        parts, faults = take_apart(line.row, self._limits)
        if parts is None:
            return self._verdict(path, line, faults)
        decoded, bad_media = decode(path.parent, parts.frames, parts.audio, self._limits)
        faults += bad_media
        tokens = None
        if decoded is not None:
            made = _model_input(parts, decoded, self._limits)
            content = content_hash(made)
            tokens, bad_tokens = self._tokens(made, content, parts.answer)
            faults += bad_tokens
            row = Seen(
                (path.name, line.number), parts.split or path.stem, parts.people, content,
                parts.text, parts.answer,
            )  # fmt: skip
            faults += self._seen.collisions(row)
        return self._verdict(path, line, faults, parts, tokens)

    def _verdict(
        self,
        path: Path,
        line: Line,
        faults: Sequence[Fault],
        parts: Parts | None = None,
        tokens: Tokens | None = None,
    ) -> RowVerdict:
        where = f"{path.name}, line {line.number}"
        findings = tuple(Finding(code, where, sentence) for code, sentence in faults)
        task = parts.task.id if parts is not None and parts.task is not None else None
        answer = None if parts is None else parts.answer
        return RowVerdict(path.name, line.number, findings, task, answer, tokens)

    def _tokens(
        self, made: ModelInput, content: str, answer: str
    ) -> tuple[Tokens | None, list[Fault]]:
        from mllm_affect.model.encode import encode

        key = (content, made.text)
        if key not in self._counted:
            try:
                ids = encode(self._processor, made)["input_ids"][0].tolist()
            except UserError as error:
                return None, [("control_token", error.sentence)]
            except ValueError as error:
                return None, [("not_encodable", f"The processor refuses it: {error}.")]
            self._counted[key] = self._prompt_tokens(ids)
        prompt = self._counted[key]
        ending = self._processor.tokenizer(answer + ANSWER_END, add_special_tokens=False)
        tokens = Tokens(prompt.text, prompt.video, prompt.audio, len(ending["input_ids"]))
        longest = self._limits.max_length
        if longest is not None and tokens.total > longest:
            said = f"It has {tokens.total} tokens; {longest} are allowed."
            return tokens, [("too_many_tokens", said)]
        return tokens, []

    def _prompt_tokens(self, ids: list[int]) -> Tokens:
        number = self._processor.tokenizer.convert_tokens_to_ids
        video = ids.count(number(self._processor.video_token))
        audio = ids.count(number(self._processor.audio_token))
        return Tokens(len(ids) - video - audio, video, audio)


def _model_input(parts: Parts, decoded: Decoded, limits: RowLimits) -> ModelInput:
    count = len(decoded.frames_THWC)
    count = len(decoded.frames_THWC)
    seconds = count / limits.sampling.fps
    heard = decoded.audio_S is not None
    return ModelInput(
        segment=Segment("", 0, 0.0, seconds, 0, count, heard),
        task_id="" if parts.task is None else parts.task.id,
        prompt_hash="" if parts.task is None else parts.task.prompt_hash,
        text=parts.text,
        fps=limits.sampling.fps,
        frames_THWC=decoded.frames_THWC,
        audio_S=decoded.audio_S,
    )


def _lines(path: Path) -> list[Line]:
    if not path.is_file():
        raise UserError("no_rows", f"There is no file {path}; give a rows.jsonl.")
    lines = list(read_lines(path))
    if not lines:
        raise UserError("no_rows", f"{path} has no rows.")
    return lines


def _manifest(rows: Path) -> dict[str, Any] | None:
    path = rows.parent / MANIFEST_NAME
    if not path.is_file():
        return None
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        required = (manifest["tasks"], manifest["sampling"], manifest["segmenter"])
    except (ValueError, KeyError, TypeError) as error:
        raise UserError("bad_manifest", f"{path} is no manifest of rows.") from error
    return manifest if all(required) else None


def _any_sampling() -> Sampling:
    """Rows without a manifest may have been sampled anyhow; their sizes are then not judged."""
    return Sampling(fps=60.0, max_pixels=1 << 30)


def _file_findings(path: Path, limits: RowLimits) -> list[Finding]:
    """Return what the manifest beside a file says that the file or the tasks do not."""
    manifest = _manifest(path)
    if manifest is None:
        return [
            Finding(
                "no_manifest", path.name, "Nothing beside it says how it was made.", fault=False
            )
        ]
    found = []
    noted = {"rows.jsonl": "rows_sha256", "grpo.jsonl": "grpo_sha256"}.get(path.name)
    if noted in manifest and manifest[noted] != sha256_file(path):
        said = "It has been changed since its manifest was written."
        found.append(Finding("changed_since", path.name, said))
    for task in limits.tasks:
        learned = manifest["tasks"].get(task.id)
        if learned is not None and learned != task.prompt_hash:
            said = f"It was made with another wording of {task.id}; prepare the rows again."
            found.append(Finding("prompt_changed", path.name, said))
    return found
