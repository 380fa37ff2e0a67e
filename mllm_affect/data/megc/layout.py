"""Where the challenge's files lie in one folder, for those who keep them together.

Does: name the places and read what is there.  Does not: require it: every verb takes single files.

    train/    me_vqa_*.jsonl and me_lvqa_*.jsonl
    clips/    the frames, however deep
    sheets/   DATASET.csv or .xlsx of short clips, long_DATASET.csv or .xlsx of long videos

A folder of frames may hold `fps.txt`, one number, where its rate is not the dataset's own.
"""

from collections.abc import Iterable
from pathlib import Path

from mllm_affect.data.megc.clip_folders import ClipFiles
from mllm_affect.data.megc.coding_sheets import LAYOUTS, Coded, read_sheet
from mllm_affect.data.megc.question_files import TO_ANSWER, Task, Trained, read_train_file
from mllm_affect.errors import UserError

TRAIN, CLIPS, SHEETS = "train", "clips", "sheets"
LONG = "long_"
RATE_NAME = "fps.txt"
FASTEST_FPS = 1000.0


def is_megc(folder: Path) -> bool:
    """Return whether a folder holds training files of the challenge."""
    return any((folder / TRAIN).glob("me_*vqa_*.jsonl"))


def train_rows(folder: Path, task: Task) -> tuple[list[Path], list[Trained]]:
    """Return the training files of a task and all their rows.

    Raises UserError `no_train_file` where there is none, or as reading does.
    """
    paths = sorted((folder / TRAIN).glob(f"me_{task}_*.jsonl"))
    if not paths:
        raise UserError(
            "no_train_file", f"{folder / TRAIN} holds no me_{task}_*.jsonl; put the file there."
        )
    return paths, [row for path in paths for row in read_train_file(path)]


def question_files(paths: Iterable[Path], task: Task) -> list[Path]:
    """Return the question files meant: each path, a folder standing for those of the task in it.

    Raises UserError `no_questions` for a folder without any.
    """
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        inside = sorted(path.glob(f"me_{task}_*{TO_ANSWER}"))
        if not inside:
            raise UserError("no_questions", f"{path} holds no me_{task}_*{TO_ANSWER}.")
        found += inside
    return found


def train_file(path: Path | None, task: Task) -> Path | None:
    """Return the training file meant: the path, or the one of the task in a folder.

    Raises UserError `no_train_file` for a folder without any, or with several.
    """
    if path is None or not path.is_dir():
        return path
    inside = sorted(path.glob(f"me_{task}_*.jsonl"))
    if len(inside) != 1:
        raise UserError(
            "no_train_file",
            f"{path} holds {len(inside)} files me_{task}_*.jsonl; name the one you mean.",
        )
    return inside[0]


def long_sheets(folder: Path) -> tuple[list[Path], list[Coded]]:
    """Return the coding sheets of long videos and all their lines, one an event.

    Raises UserError `no_sheet` where there is none, or as reading does.
    """
    paths = [
        path for dataset in LAYOUTS for path in sorted((folder / SHEETS).glob(f"{LONG}{dataset}.*"))
    ]
    if not paths:
        raise UserError(
            "no_sheet",
            f"{folder / SHEETS} holds no {LONG}DATASET.csv or .xlsx: training files have no times, "
            "so events of long videos are learned from coding sheets.",
        )
    lines = []
    for path in paths:
        lines += read_sheet(path, LAYOUTS[path.stem.removeprefix(LONG)])
    return paths, lines


def frame_rate(files: ClipFiles, dataset: str) -> float:
    """Return the frames a second of a folder: what its `fps.txt` says, else the dataset's own.

    Raises UserError `bad_rate` for a file that holds no such number, `unknown_dataset` for a
    dataset whose rate nobody stated.
    """
    stated = files.path / RATE_NAME if files.path is not None and files.images else None
    if stated is not None and stated.is_file():
        text = stated.read_text(encoding="utf-8", errors="replace").strip()
        try:
            rate = float(text)
        except ValueError:
            rate = 0.0
        if not 0.0 < rate <= FASTEST_FPS:
            raise UserError("bad_rate", f"{stated} holds {text[:20]!r}, no frame rate.")
        return rate
    layout = LAYOUTS.get(dataset.strip().lower())
    if layout is None:
        raise UserError(
            "unknown_dataset",
            f"Nobody stated the frame rate of {dataset}; write it into {RATE_NAME} beside the "
            "frames.",
        )
    return layout.rate_fps
