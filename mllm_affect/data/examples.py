"""A labelled set of videos: a folder with `examples.jsonl` and the videos it names.

Does: describe an example, read and write the list.  Does not: open videos, or know any task.
"""

import json
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from mllm_affect.errors import UserError
from mllm_affect.files import lines_of, write_jsonl

FILE_NAME = "examples.jsonl"


class Example(BaseModel):
    """One labelled video.

    `video` is its path below the folder, with forward slashes; where `image_fps` is given, that of
    a folder of images, so many a second.  `participant` (and `voice`, where
    it is another's) says who is seen and heard, so that nobody is in two splits.  `labels` gives
    the right answer by the name of the question, which is a task's id or its `label`.

    What only some datasets know: `spans` says by label where the positive answer holds (start and
    end in seconds on the video's own timestamps) and `frame_spans` the same as annotated in frames
    (first and last index, both included; never computed from seconds); a label that is absent there
    is unknown, an empty list means nowhere.  `topic` names what the person was asked (for
    instance `3`), `asked` is its text or kind, `transcript` what they said and `words` when: start
    and end in seconds, and the text, in order.  `publishable` is whether the participant agreed to
    be shown in publications.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    video: str = Field(min_length=1)
    participant: str = Field(min_length=1)
    voice: str | None = None
    split: str = Field(min_length=1)
    labels: dict[str, str]
    spans: dict[str, tuple[tuple[float, float], ...]] = {}
    frame_spans: dict[str, tuple[tuple[int, int], ...]] = {}
    topic: str | None = None
    asked: str | None = None
    transcript: str | None = None
    words: tuple[tuple[float, float, str], ...] = ()
    publishable: bool | None = None
    image_fps: Annotated[float | None, Field(gt=0)] = None

    @field_validator("video")
    @classmethod
    def _stays_in_the_folder(cls, video: str) -> str:
        path = PurePosixPath(video)
        if path.is_absolute() or ".." in path.parts or "\\" in video:
            raise ValueError("must be a path below the folder, with forward slashes")
        return video


def read_examples(folder: Path) -> list[Example]:
    """Read the examples of a folder, in order.

    Raises UserError `no_examples` (no such list, or an empty one) and `bad_examples` (a line that
    cannot be used, or a video named twice).
    """
    path = folder / FILE_NAME
    if not path.is_file():
        raise UserError(
            "no_examples", f"{folder} has no {FILE_NAME}; give the folder of a labelled set."
        )
    examples: list[Example] = []
    seen: set[str] = set()
    try:
        lines = lines_of(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        raise UserError("bad_examples", f"{path} is not UTF-8 text.") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        example = _parse(line, f"{path}, line {number}")
        if example.video in seen:
            raise UserError("bad_examples", f"{path}, line {number}: {example.video} comes twice.")
        seen.add(example.video)
        examples.append(example)
    if not examples:
        raise UserError("no_examples", f"{path} is empty.")
    return examples


def write_examples(folder: Path, examples: Iterable[Example]) -> Path:
    """Write the list into `folder`, whole or not at all; return its path."""
    path = folder / FILE_NAME
    write_jsonl(
        path, (example.model_dump(mode="json", exclude_defaults=True) for example in examples)
    )
    return path


def _parse(line: str, where: str) -> Example:
    try:
        return Example.model_validate(json.loads(line))
    except json.JSONDecodeError as error:
        raise UserError("bad_examples", f"{where} is not JSON: {error}.") from error
    except ValidationError as error:
        reasons = "; ".join(
            f"{'.'.join(map(str, item['loc'])) or 'the line'}: {item['msg']}"
            for item in error.errors()
        )
        raise UserError("bad_examples", f"{where} cannot be used: {reasons}.") from error
