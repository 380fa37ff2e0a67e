"""A folder of made data in the challenge's shape, all its traps included, ids invented.

Does: write clips, coding sheets, training files, question files and their truths.  Does not: plan
what is in them (see made_plan).

    train/    me_vqa_samm_casme2_smic_v2.jsonl, me_lvqa_samm_casme3.jsonl
    test/     the four question files; test/truth/ the same with true answers
    sheets/   one coding sheet a dataset of short training clips, long_SET of long ones
    clips/    folders of frames: train/SET/SUBJECT/NAME, test/SET-NUMBER, long/NAME

Long test videos are named in the organisers' shape, `1_050_2`: of set 1, person 50, second video.

The traps: a `video_id` per row instead of per clip; unpadded frame numbers, a folder with a single
image, a missing folder, a missing image, grey frames; 30, 100 and 200 frames a second; unpadded
subjects; compact and spaced JSON, no final newline, a key that nobody knows; rows above a sheet's
headings; an action unit outside the challenge's 25 names, in macro-expressions of long videos.
"""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from mllm_affect.data.megc.coding_sheets import LAYOUTS
from mllm_affect.data.megc.layout import LONG, RATE_NAME
from mllm_affect.data.megc.made_faces import unit_numbers, write_frames
from mllm_affect.data.megc.made_plan import MadeClip, MegcPlan, plan_long, plan_test, plan_train
from mllm_affect.data.megc.questions import TEXTS, Asked, Kind, word
from mllm_affect.data.megc.sentences import analysis_text, joint_sentence
from mllm_affect.data.megc.vocabulary import ACTION_UNITS, EVENT_TYPES, in_order, join_units
from mllm_affect.files import refuse_filled, write_text

Progress = Callable[[int, int], None]
"""Called with how many frames are drawn and how many there are."""

VQA_TRAIN = "train/me_vqa_samm_casme2_smic_v2.jsonl"
LVQA_TRAIN = "train/me_lvqa_samm_casme3.jsonl"

USUAL_PLAN = MegcPlan()
WORTH_PROCESSES = 20_000
"""So many frames take longer to draw than processes take to start."""

HEADINGS_AND_ABOVE = 3
"""Lines of a sheet before its first clip."""

Rows = list[tuple[Asked, str | int, int]]
"""Questions with their true answers and the number of the wording."""


def make_megc(
    out: Path, plan: MegcPlan = USUAL_PLAN, progress: Progress | None = None
) -> dict[str, Any]:
    """Make the folder; return counts.  Raises UserError `not_empty`.

    The files of questions come last, so a folder that has them is complete.
    """
    refuse_filled(out)
    train, test = plan_train(plan), plan_test(plan)
    long_train, long_test = plan_long(plan, "train"), plan_long(plan, "test")
    _draw(out, train, test, [*long_train, *long_test], progress)
    _write_sheets(out / "sheets", "", train)
    _write_sheets(out / "sheets", LONG, long_train)
    random = np.random.default_rng((plan.seed, 9))
    _write_train(out / VQA_TRAIN, [(clip, clip_rows(clip, random, train=True)) for clip in train])
    _write_train(out / LVQA_TRAIN, [(clip, video_rows(clip, random)) for clip in long_train])
    rows = _write_test(out, "vqa", "_v2", [(clip, clip_rows(clip, random)) for clip in test])
    rows |= _write_test(out, "lvqa", "", [(clip, video_rows(clip, random)) for clip in long_test])
    return {
        "clips": {"train": len(train), "test": len(test)},
        "long_videos": {"train": len(long_train), "test": len(long_test)},
        "questions": rows,
    }


def clip_rows(clip: MadeClip, random: np.random.Generator, train: bool = False) -> Rows:
    """Return the five questions about a clip; training asks more of them."""
    units, fine, coarse = clip.units, clip.movement.fine, clip.coarse
    one = len(units) == 1
    wording = int(random.integers(len(TEXTS[Kind.analysis])))
    others = [name for name in ACTION_UNITS if name not in units]
    shown = Asked(Kind.unit_shown, unit=units[int(random.integers(len(units)))])
    hidden = Asked(Kind.unit_shown, unit=others[int(random.integers(len(others)))])
    yes_no = [(shown, "yes", 0), (hidden, "no", 0)]
    rows: Rows = [
        (Asked(Kind.coarse), coarse, 0),
        (Asked(Kind.fine), fine, 0),
        (Asked(Kind.unit if one else Kind.units), join_units(units), 0),
        *(yes_no if train else [yes_no[int(random.integers(2))]]),
        (Asked(Kind.analysis), analysis_text(units, fine, coarse), wording),
    ]
    if train:
        kind = Kind.joint_unit if one else Kind.joint_units
        rows.append((Asked(kind), joint_sentence(units, fine, coarse), 0))
    return rows


def video_rows(clip: MadeClip, random: np.random.Generator) -> Rows:
    """Return the questions about a long video: six, or four where it has no event to ask about."""
    types = [EVENT_TYPES[0 if item.micro else 1] for item in clip.face.movements]
    asked = random.permutation(len(types))[:2] + 1
    return [
        (Asked(Kind.count_all), len(types), 0),
        (Asked(Kind.count_micro), types.count(EVENT_TYPES[0]), 0),
        (Asked(Kind.count_macro), types.count(EVENT_TYPES[1]), 0),
        (Asked(Kind.distinct_units), join_units(clip.units), 0),
        *((Asked(Kind.event_type, number=int(n)), types[n - 1], 0) for n in asked),
    ]


def name_in_test(clip: MadeClip, place: int) -> str:
    """Return what a test row calls its clip: `SAMM-3`."""
    return f"{'CAS' if clip.dataset == 'casme3' else 'SAMM'}-{place + 1}"


def _draw(
    out: Path,
    train: Sequence[MadeClip],
    test: Sequence[MadeClip],
    long: Sequence[MadeClip],
    progress: Progress | None,
) -> None:
    wanted: list[tuple[Path, MadeClip, list[int] | None]] = [
        (out / "clips" / "train" / clip.dataset / clip.subject_folder / clip.name, clip, None)
        for clip in train
    ]
    for clip, place in _places(test):
        only = None
        if place == 1 and clip.dataset == "casme3":
            apex = clip.face.frame_number(clip.movement.apex_s) - clip.face.first_number
            only = [apex]
        if place == 1 and clip.dataset == "samm":
            continue  # the missing folder
        wanted.append((out / "clips" / "test" / name_in_test(clip, place), clip, only))
    for place, clip in enumerate(long):
        only = None
        if place == len(long) - 1:
            middle = clip.face.frames // 2  # the missing image, not one that a training sheet codes
            only = [frame for frame in range(clip.face.frames) if frame != middle]
        wanted.append((out / "clips" / "long" / clip.name, clip, only))
    total = sum(clip.face.frames if only is None else len(only) for _, clip, only in wanted)
    done = 0
    workers = max(1, min(8, os.cpu_count() or 1)) if total >= WORTH_PROCESSES else 0
    with ExitStack() as stack:
        if workers:
            pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
            drawn = stack.enter_context(pool).map(_draw_clip, *zip(*wanted, strict=True))
        else:
            drawn = map(_draw_clip, *zip(*wanted, strict=True))
        for frames in drawn:
            done += frames
            if progress is not None:
                progress(done, total)


def _draw_clip(folder: Path, clip: MadeClip, only: list[int] | None) -> int:
    """Write one clip's frames; return how many."""
    frames = write_frames(folder, clip.face, only)
    if clip.face.rate_fps != LAYOUTS[clip.dataset].rate_fps:
        write_text(folder / RATE_NAME, f"{clip.face.rate_fps:g}\n")
    return frames


def _places(clips: Sequence[MadeClip]) -> Iterator[tuple[MadeClip, int]]:
    """Yield each clip with its place among those of its dataset."""
    counts: dict[str, int] = {}
    for clip in clips:
        place = counts.get(clip.dataset, 0)
        counts[clip.dataset] = place + 1
        yield clip, place


def _write_sheets(folder: Path, prefix: str, clips: Sequence[MadeClip]) -> None:
    """Write one line an expression; short clips have one each."""
    for dataset in dict.fromkeys(clip.dataset for clip in clips):
        layout = LAYOUTS[dataset]
        facts = ("subject", "clip", "onset", "apex", "offset", "units", "emotion")
        headings = ",".join(getattr(layout, fact)[0] for fact in facts)
        lines = ["Made data: faces are drawn and ids invented", "", headings]
        for clip in (item for item in clips if item.dataset == dataset):
            for movement in clip.face.movements:
                numbers = [
                    str(clip.face.frame_number(t))
                    for t in (movement.onset_s, movement.apex_s, movement.offset_s)
                ]
                units = unit_numbers(in_order(movement.units))
                lines.append(",".join([clip.subject, clip.name, *numbers, units, movement.fine]))
        if len(lines) > HEADINGS_AND_ABOVE:
            write_text(folder / f"{prefix}{dataset}.csv", "\n".join(lines) + "\n")


def _write_train(path: Path, asked: Sequence[tuple[MadeClip, Rows]]) -> None:
    rows = [
        {
            "dataset": clip.dataset,
            "image_id": f"{clip.dataset}_{clip.subject}_{clip.name}",
            "subject": clip.subject,
            "filename": clip.name,
            "question": word(question, wording),
            "answer": answer,
        }
        for clip, questions in asked
        for question, answer, wording in questions
    ]
    lines = [json.dumps({"id": place, **row}) for place, row in enumerate(rows)]
    write_text(path, "\n".join(lines))


def _write_test(
    out: Path, task: str, version: str, asked: Sequence[tuple[MadeClip, Rows]]
) -> dict[str, int]:
    """Write question files and truths of one task: compact for one set, spaced for the other."""
    by_set: dict[str, list[dict[str, Any]]] = {}
    questions_of = {id(clip): questions for clip, questions in asked}
    for clip, place in _places([clip for clip, _ in asked]):
        video = name_in_test(clip, place) if task == "vqa" else clip.name
        for number, (question, answer, wording) in enumerate(questions_of[id(clip)], start=1):
            extra = {"made": True} if clip.dataset == "samm" else {}
            by_set.setdefault(clip.dataset, []).append(
                {
                    "video_id": f"{clip.dataset}_test_{video}_{number}",
                    "video": video,
                    "question": word(question, wording),
                    "answer": answer,
                    **extra,
                }
            )
    for dataset, rows in by_set.items():
        name = f"me_{task}_{dataset}{version}_test_to_answer.jsonl"
        separators = (",", ":") if dataset == "casme3" else (", ", ": ")
        for folder, blank in (("truth", False), ("", True)):
            lines = [
                json.dumps(row | {"answer": ""} if blank else row, separators=separators)
                for row in rows
            ]
            write_text(out / "test" / folder / name, "\n".join(lines))
    return {f"{task}_{dataset}": len(rows) for dataset, rows in by_set.items()}
