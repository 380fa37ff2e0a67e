"""The one door to labelled videos, whatever their folder looks like.

Does: see what kind of labelled set a folder is, read it, say what was left out and why; note in a
folder with examples.jsonl of which dataset it was made.
Does not: know a dataset's files itself; each has its own package below data.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mllm_affect.data.bah.layout import is_release
from mllm_affect.data.examples import FILE_NAME, Example, read_examples
from mllm_affect.errors import UserError
from mllm_affect.files import sha256_file, write_json

PLAIN = "examples"
"""The kind of a set that anybody may make of their own videos."""

KIND_NAME = "dataset.json"


@dataclass(frozen=True)
class LabelledSet:
    """The examples of a folder, in order.

    `kind`: `examples` or `bah`, the dataset whose licence holds.  `sha256`: of everything that
    labels and splits were read from.  `left_out`: how many videos were not taken, by reason.
    """

    folder: Path
    kind: str
    examples: tuple[Example, ...]
    sha256: str
    left_out: Mapping[str, int] = field(default_factory=dict)

    def sentence(self) -> str:
        """Say what was left out; empty if nothing was."""
        said = ", ".join(f"{count} ({reason})" for reason, count in self.left_out.items())
        return f"Videos left out: {said}." if said else ""


def read_labelled(folder: Path) -> LabelledSet:
    """Read the labelled videos of `folder`: a list `examples.jsonl`, or a release of BAH.

    Raises UserError `no_examples` where it is neither, and as reading either does.
    """
    if (folder / FILE_NAME).is_file():
        listed = tuple(read_examples(folder))
        return LabelledSet(folder, _kind(folder), listed, sha256_file(folder / FILE_NAME))
    if is_release(folder):
        from mllm_affect.data.bah.release import examples_of, read_release

        release = read_release(folder)
        examples, left_out = examples_of(release)
        return LabelledSet(folder, "bah", tuple(examples), release.sha256(), left_out)
    raise UserError(
        "no_examples",
        f"{folder} has neither {FILE_NAME} nor the shape of a BAH release (split/train.txt beside "
        "Videos/); give the folder of a labelled set.",
    )


def write_kind(folder: Path, kind: str) -> None:
    """Note of what kind of set a folder with examples.jsonl was made; plain ones need no note."""
    if kind != PLAIN:
        write_json(folder / KIND_NAME, {"kind": kind})


def _kind(folder: Path) -> str:
    """Return what `write_kind` noted.  Raises UserError `bad_examples`."""
    path = folder / KIND_NAME
    if not path.is_file():
        return PLAIN
    try:
        kind = json.loads(path.read_text(encoding="utf-8"))["kind"]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            "bad_examples", f"{path} does not say of which dataset this is; make the folder again."
        ) from error
    return str(kind)
