"""What a row is made of: keys, turns, tags, paths and the answer.

Does: check one row's object and take it apart.  Does not: open media or compare rows.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from finetune.checking.findings import Fault, RowLimits, WrongRowError
from mllm_affect.tasks.rows import RESERVED_TAGS
from mllm_affect.tasks.task import Task

REQUIRED = ("messages", "videos", "audios")
KNOWN = (*REQUIRED, "participant", "voice", "split", "units", "solution", "allowed")

WINDOWS = re.compile(r"^[A-Za-z]:[\\/]|\\")
REMOTE = re.compile(r"^[a-z][a-z0-9+.-]*://|^data:")
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")


@dataclass(frozen=True)
class Parts:
    """A row taken apart.  `task` is None where it asks none of the tasks."""

    text: str
    answer: str
    frames: tuple[str, ...]
    audio: str | None
    task: Task | None
    people: tuple[tuple[str, str], ...]
    split: str | None


def take_apart(row: dict[str, Any], limits: RowLimits) -> tuple[Parts | None, list[Fault]]:
    """Return the parts of a row, or None where it has no such parts, and everything wrong."""
    faults = list(_keys(row))
    if faults:
        return None, faults
    try:
        content, answer = _turns(row)
        text = _text(content, len(row["videos"]), len(row["audios"]))
        frames, audio = _media(row)
    except WrongRowError as error:
        return None, [error.fault]
    task = next((task for task in limits.tasks if task.asks(text)), None)
    people = tuple((key, row[key]) for key in ("participant", "voice") if row.get(key))
    parts = Parts(text, answer, frames, audio, task, people, row.get("split"))
    return parts, list(_question(text, answer, task, limits))


def _keys(row: dict[str, Any]) -> Iterator[Fault]:
    for key in sorted(row.keys() - set(KNOWN)):
        yield "unknown_key", f"It has a key {key!r}, which no row has."
    for key in REQUIRED:
        if not isinstance(row.get(key), list):
            yield "missing_key", f"It has no list {key!r}."
    for key in ("participant", "voice", "split", "units", "solution"):
        if row.get(key) is not None and not isinstance(row[key], str):
            yield "wrong_value", f"{key!r} is not text."


def _turns(row: dict[str, Any]) -> tuple[str, str]:
    """Return question and answer."""
    messages = row["messages"]
    for message in messages:
        if not isinstance(message, dict) or {"role", "content"} != message.keys():
            raise WrongRowError("wrong_turns", "A turn is not an object of role and content.")
        if not isinstance(message["content"], str):
            raise WrongRowError("wrong_turns", "A turn's content is not text.")
    roles = [message["role"] for message in messages]
    if roles == ["user"] and isinstance(row.get("solution"), str):
        return messages[0]["content"], row["solution"]
    if roles != ["user", "assistant"]:
        raise WrongRowError(
            "wrong_turns", f"Its turns are {roles}; one user, then one assistant, are read."
        )
    return messages[0]["content"], messages[1]["content"]


def _text(content: str, videos: int, audios: int) -> str:
    """Return the question behind the tags."""
    tags = {tag: content.count(tag) for tag in RESERVED_TAGS}
    others = [tag for tag in tags if tags[tag] and tag not in ("<audio>", "<video>")]
    if others:
        raise WrongRowError("wrong_tag", f"The question holds {others[0]}, which is no part of it.")
    if (tags["<video>"], tags["<audio>"]) != (videos, audios):
        said = f"{tags['<video>']} <video> and {tags['<audio>']} <audio>"
        raise WrongRowError(
            "wrong_tag_count", f"It has {said} tags for {videos} videos and {audios} sounds."
        )
    prefix = "<audio>" * audios + "<video>" * videos
    if not content.startswith(prefix):
        raise WrongRowError("wrong_tag_order", "Its tags are not sound, pictures, then the text.")
    return content.removeprefix(prefix)


def _media(row: dict[str, Any]) -> tuple[tuple[str, ...], str | None]:
    """Return the paths of the frames and of the sound."""
    videos, audios = row["videos"], row["audios"]
    if len(videos) != 1 or len(audios) > 1:
        count = f"{len(videos)} videos and {len(audios)} sounds"
        raise WrongRowError("wrong_media_count", f"It has {count}; a row shows one clip.")
    (video,) = videos
    if isinstance(video, str) and not video.lower().endswith(PICTURES):
        raise WrongRowError("not_frames", f"{video} is a video file; rows hold lists of frames.")
    if not isinstance(video, list) or not all(isinstance(name, str) for name in (*video, *audios)):
        raise WrongRowError("not_frames", "The clip is not a list of picture files, or the sound.")
    if not video:
        raise WrongRowError("empty_clip", "The list of frames is empty.")
    for name in (*video, *audios):
        _check_path(name)
    return tuple(video), (audios[0] if audios else None)


def _check_path(name: str) -> None:
    if REMOTE.match(name):
        raise WrongRowError(
            "remote_path", f"{name[:80]} is an address; rows point at files beside them."
        )
    if name.startswith(("/", "~")) or WINDOWS.search(name):
        raise WrongRowError(
            "absolute_path", f"{name} belongs to one machine; paths are relative to the rows."
        )
    if ".." in PurePosixPath(name).parts:
        raise WrongRowError("outside_path", f"{name} leads out of the folder of the rows.")


def _question(text: str, answer: str, task: Task | None, limits: RowLimits) -> Iterator[Fault]:
    if not text.strip():
        yield "no_question", "It asks nothing."
    elif limits.tasks and task is None:
        yield "other_prompt", f"{text[:60]!r} is the question of none of {_names(limits.tasks)}."
    if not answer.strip():
        yield "no_answer", "Its answer is empty."
    elif task is not None and task.answers and answer not in task.answers:
        allowed = ", ".join(task.answers)
        yield "answer_outside", f"{answer!r} is not among the answers of {task.id}: {allowed}."


def _names(tasks: Sequence[Task]) -> str:
    return ", ".join(task.id for task in tasks)
