"""The one door to labelled videos, whatever their folder looks like.

Does: see what kind of labelled set a folder is, read it, say what was left out and why and which
splits have no labels; note in a folder with examples.jsonl of which dataset it was made.
Does not: know a dataset's files itself; each has its own package below data.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mllm_affect.data.bah.layout import is_release
from mllm_affect.data.bah.unlabelled import AS_THE_FILES_SAY, StatedLabels
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
    `unlabelled`: the splits without any label, each with the reason.
    """

    folder: Path
    kind: str
    examples: tuple[Example, ...]
    sha256: str
    left_out: Mapping[str, int] = field(default_factory=dict)
    unlabelled: Mapping[str, str] = field(default_factory=dict)

    def sentence(self) -> str:
        """Say what was left out; empty if nothing was."""
        said = ", ".join(f"{count} ({reason})" for reason, count in self.left_out.items())
        return f"Videos left out: {said}." if said else ""

    def refuse_unlabelled(
        self, split: str | None, purpose: str, code: str = "unlabelled_split"
    ) -> None:
        """Raise UserError with `code` for a split without labels.

        `purpose`: what cannot be done without them, as in "nothing can be scored".
        """
        if split is not None and split in self.unlabelled:
            raise UserError(
                code,
                f"Split {split!r} of {self.folder} has no labels ({self.unlabelled[split]}), so "
                f"{purpose}; `mllm-affect predict --split {split}` answers it without.",
            )


def read_labelled(folder: Path, stated: StatedLabels = AS_THE_FILES_SAY) -> LabelledSet:
    """Read the labelled videos of `folder`: a list `examples.jsonl`, or a release of BAH.

    `stated`: what the user says of splits' labels.  Raises UserError `no_examples` where it is
    neither, `bad_options` for stated splits that are none, and as reading either does.
    """
    if (folder / FILE_NAME).is_file():
        listed = tuple(read_examples(folder))
        stated.refuse_strange(list(dict.fromkeys(item.split for item in listed)))
        listed = tuple(
            item.model_copy(update={"labels": {}}) if item.split in stated.unlabelled else item
            for item in listed
        )
        return LabelledSet(
            folder, _kind(folder), listed, sha256_file(folder / FILE_NAME),
            unlabelled=_without_labels(listed),
        )  # fmt: skip
    if is_release(folder):
        from mllm_affect.data.bah.release import examples_of, read_release

        release = read_release(folder, stated=stated)
        examples, left_out = examples_of(release)
        return LabelledSet(
            folder, "bah", tuple(examples), release.sha256(), left_out, release.unlabelled
        )
    raise UserError(
        "no_examples",
        f"{folder} has neither {FILE_NAME} nor the shape of a BAH release (split/train.txt beside "
        "Videos/); give the folder of a labelled set.",
    )


def _without_labels(examples: Sequence[Example]) -> dict[str, str]:
    """Return the splits of which no example has any label, with the reason."""
    labelled = {item.split for item in examples if item.labels}
    splits = dict.fromkeys(item.split for item in examples)
    return {split: "no example has any" for split in splits if split not in labelled}


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
