"""Reading a submission back as strictly as we can, since the organisers' own check is lax.

Does: list everything that is wrong with a trial file, or a zip of them, against the organisers'
list.  Does not: write, or know predictions.  The exporter runs it on every file before the file
takes its name.
"""

import re
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from eval.exports.matching import differences
from mllm_affect.errors import UserError

MOST_TRIALS = 5
TRIAL_NAME = re.compile(r"trial-[0-4]\.txt")
DECIMAL = re.compile(r"[01]\.\d+")


def file_problems(path: Path, order: Sequence[str]) -> list[str]:
    """Return what is wrong with a trial file or a zip of trials; empty when nothing is.

    Raises UserError `missing_submission` when there is no such file.
    """
    if not path.is_file():
        raise UserError("missing_submission", f"There is no file {path} to check.")
    if path.suffix.lower() == ".zip":
        return list(_zip_problems(path, order))
    return trial_problems(path.read_bytes(), order)


def trial_problems(content: bytes, order: Sequence[str]) -> list[str]:
    """Return what is wrong with the content of one trial file; empty when nothing is.

    Both forms are read, `<id>,<pred>` and `<id>,<p0>,<p1>,<pred>`; all lines must have one form.
    """
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return ["the file is not UTF-8 text"]
    problems = list(_text_problems(text))
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
    rows = [_fields(line) for line in lines if line.strip()]
    if not rows:
        return [*problems, "the file has no rows"]
    if len({len(row) for row in rows}) > 1:
        problems.append("some rows have probabilities and some have none")
    ids = [row[0] for row in rows]
    differing = list(differences(ids, order).sentences())
    problems += differing
    if not differing:
        problems += [
            f"row {number}: {here} stands where {there} is listed"
            for number, (here, there) in enumerate(zip(ids, order, strict=True), start=1)
            if here != there
        ]
    for number, row in enumerate(rows, start=1):
        problems += [f"row {number} ({row[0]}): {why}" for why in _row_problems(row)]
    problems += _decision_problems(rows)
    return problems


def _text_problems(text: str) -> Iterator[str]:
    if text.startswith("\ufeff"):
        yield "the file begins with a byte order mark"
    if "\r" in text:
        yield "lines end in carriage returns"
    if not text.endswith("\n"):
        yield "the last line has no end"
    if any(not line.strip() for line in text.removesuffix("\n").split("\n")):
        yield "there are empty lines"


def _fields(line: str) -> list[str]:
    """Return id and values; ids may hold commas, so values are taken from the right."""
    four = line.rsplit(",", 3)
    if len(four) == 4 and all(_is_number(value) for value in four[1:3]):
        return four
    return line.rsplit(",", 1)


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def _row_problems(row: Sequence[str]) -> Iterator[str]:
    if len(row) == 1:
        yield "no prediction"
        return
    if row[-1] not in ("0", "1"):
        yield f"the prediction is {row[-1]!r}, not 0 or 1"
    if len(row) == 4:
        if not all(DECIMAL.fullmatch(value) for value in row[1:3]):
            yield f"{row[1]} and {row[2]} are not plain decimals"
        if not all(0.0 <= float(value) <= 1.0 for value in row[1:3]):
            yield f"{row[1]} and {row[2]} are not probabilities"
        if float(row[1]) + float(row[2]) != 1.0:
            yield f"{row[1]} and {row[2]} do not add up to exactly 1.0"


def _decision_problems(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """A row that says 1 must not be less probable than one that says 0."""
    said = [(float(row[2]), row[3], row[0]) for row in rows if len(row) == 4]
    no = max((item for item in said if item[1] == "0"), default=None)
    yes = min((item for item in said if item[1] == "1"), default=None)
    if no is not None and yes is not None and no[0] > yes[0]:
        yield (
            f"no threshold explains the predictions: {no[2]} says 0 at {no[0]}, "
            f"{yes[2]} says 1 at {yes[0]}"
        )


def _zip_problems(path: Path, order: Sequence[str]) -> Iterator[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            yield from _name_problems(names)
            for name in names:
                for problem in trial_problems(archive.read(name), order):
                    yield f"{name}: {problem}"
    except zipfile.BadZipFile:
        yield "the file is not a zip archive"


def _name_problems(names: Sequence[str]) -> Iterator[str]:
    if not 1 <= len(names) <= MOST_TRIALS:
        yield f"the archive holds {len(names)} files; one to {MOST_TRIALS} trials are wanted"
    if len(set(names)) != len(names):
        yield "the archive holds a name twice"
    for name in names:
        if not TRIAL_NAME.fullmatch(name):
            yield f"{name} is not named trial-0.txt to trial-{MOST_TRIALS - 1}.txt"
