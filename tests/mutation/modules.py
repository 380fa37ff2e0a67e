"""Which modules are mutated, and which tests may notice.

Does: name groups of modules and the test folders that are run against them.
Does not: decide which single tests run for one mutant; `coverage_map` does.
"""

from collections.abc import Sequence
from pathlib import Path

GROUPS: dict[str, tuple[str, ...]] = {
    "scoring": ("mllm_affect/scoring/*.py",),
    "eval": (
        "eval/arrays.py",
        "eval/comparing.py",
        "eval/details.py",
        "eval/ensemble_weights.py",
        "eval/ensembling.py",
        "eval/frames.py",
        "eval/hedges.py",
        "eval/intervals.py",
        "eval/joining.py",
        "eval/logistic.py",
        "eval/metrics.py",
        "eval/priors.py",
        "eval/summary.py",
        "eval/topics.py",
        "eval/units/scores.py",
        "eval/units/summary.py",
    ),
    "eval-megc": (
        "eval/megc/constant_answers.py",
        "eval/megc/class_scores.py",
        "eval/megc/comparing.py",
        "eval/megc/figures.py",
        "eval/megc/floor.py",
        "eval/megc/lvqa_scores.py",
        "eval/megc/pairs.py",
        "eval/megc/people.py",
        "eval/megc/summary.py",
        "eval/megc/text_scores.py",
        "eval/megc/vqa_scores.py",
    ),
    "data-megc": ("mllm_affect/data/megc/*.py",),
    "data-bah": ("mllm_affect/data/bah/*.py",),
}
"""Groups of modules by name, as patterns relative to the root of the repository."""

TESTS = (
    "tests/scoring",
    "tests/eval",
    "tests/data/test_bah_*.py",
    "tests/data/test_megc_*.py",
    "tests/expressions",
    "tests/finetune/test_megc_rows.py",
    "tests/test_calibrate.py",
    "tests/test_frozen.py",
)
"""Test folders and files, as patterns, that run these modules in their own process."""

LEFT_OUT = (
    "test_both_engines",
    "test_corpus_answers",
    "test_demo_page",
    "test_evaluate_bah",
    "test_evaluation_page",
    "test_figures",
    "test_measure",
    "test_megc_predict",
    "test_report",
    "test_units_kept",
    "test_units_run",
)
"""Files among them that test whole programs, too long for one mutant, or other modules."""

AT_IMPORT = ("tests/test_frozen.py::test_dataclasses_are_frozen",)
"""Tests that read the sources: they may notice any change outside functions."""

MARKERS = "not engine and not rebuild and not trial"
"""Tests that start model servers or train are left out: they are too long for one mutant."""


def chosen_test_files(root: Path) -> list[str]:
    """Return the test files of TESTS, relative to `root`."""
    found: dict[str, None] = {}
    for path in (path for pattern in TESTS for path in sorted(root.glob(pattern))):
        for file in sorted(path.glob("test_*.py")) if path.is_dir() else [path]:
            if file.stem not in LEFT_OUT:
                found[file.relative_to(root).as_posix()] = None
    return list(found)


def modules_of(root: Path, names: Sequence[str]) -> list[str]:
    """Return the modules that `names` stand for, as sorted paths relative to `root`.

    A name is one of GROUPS or a path.  Raises ValueError for a name that is neither.
    """
    found: set[str] = set()
    for name in names:
        patterns = GROUPS.get(name, (name,))
        for pattern in patterns:
            paths = [path.relative_to(root).as_posix() for path in root.glob(pattern)]
            if not paths:
                raise ValueError(f"{pattern} is no file here; name a path or {', '.join(GROUPS)}.")
            found.update(path for path in paths if path.endswith(".py"))
    return sorted(found)
