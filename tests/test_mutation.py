"""The mutation tests' own parts: what is changed, which tests run, and what counts as noticed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mllm_affect.errors import UserError
from tests.mutation.coverage_map import CoverageMap, Reach
from tests.mutation.forked_tests import Outcome
from tests.mutation.journal import Journal
from tests.mutation.modules import GROUPS, chosen_test_files, modules_of
from tests.mutation.mutants import mutated, places_of, sample
from tests.mutation.table import Tried, markdown, share_line

ROOT = Path(__file__).resolve().parent.parent
SOURCE = """\
LIMIT = 3


def low(value: int | None, least: int = 0) -> bool:
    return value is not None and least <= value < LIMIT


def high(value: int) -> bool:
    return not low(value)
"""


def test_every_place_is_a_real_change_and_annotations_are_none() -> None:
    places = places_of("low.py", SOURCE)
    lines = {begin[0] for begin, _, _ in places}
    assert lines == {1, 4, 5, 9}
    assert {place[0] for place in places if place[0][0] == 4} == {(4, 40)}, "only the default"
    for changes in places.values():
        for mutant in changes:
            assert mutated(SOURCE, mutant) not in (None, SOURCE)


def test_a_seed_draws_the_same_and_every_module_gives_its_share() -> None:
    sources = {"low.py": SOURCE, "twice.py": SOURCE + SOURCE.replace("LIMIT", "OTHER")}
    drawn, places = sample(sources, 6, seed=1)
    assert drawn == sample(sources, 6, seed=1)[0]
    assert drawn != sample(sources, 6, seed=2)[0]
    assert places["twice.py"] == 2 * places["low.py"]
    assert [one.module for one in drawn].count("twice.py") == 4
    everything, _ = sample(sources, 1000, seed=1)
    assert len(everything) == sum(places.values())
    assert len({mutant.key for mutant in everything}) == len(everything)


def test_a_line_is_held_against_the_tests_that_run_it_or_what_it_defines() -> None:
    coverage = CoverageMap(
        {"t.py::low": 1.0, "t.py::high": 2.0, "t.py::broken": 0.1, "u.py::else": 0.1},
        {
            "m.py": {5: ["t.py::broken", "t.py::low"], 9: ["t.py::high"]},
            "n.py": {1: ["u.py::else"]},
        },
        failed=["t.py::broken"],
    )
    reach = Reach(coverage, {"m.py": SOURCE, "n.py": ""})
    assert reach.tests("m.py", 5) == {"t.py::low"}
    assert reach.tests("m.py", 9) == {"t.py::high"}
    assert reach.tests("m.py", 1) == {"t.py::low", "t.py::high"}, "high mentions low"
    assert coverage.quickest({"t.py::low", "t.py::high"}, 2.0) == ["t.py::low"]
    assert coverage.quickest({"t.py::high"}, 0.5) == ["t.py::high"]


def test_a_test_file_that_is_measured_again_replaces_what_it_said() -> None:
    old = CoverageMap({"t.py::a": 1.0, "u.py::b": 1.0}, {"m.py": {1: ["t.py::a", "u.py::b"]}}, [],
                      {"t.py": "1", "u.py": "1"})  # fmt: skip
    new = CoverageMap({"t.py::c": 2.0}, {"m.py": {2: ["t.py::c"]}}, ["t.py::c"], {"t.py": "2"})
    found = old.updated(new)
    assert found.seconds == {"u.py::b": 1.0, "t.py::c": 2.0}
    assert found.lines == {"m.py": {1: ["u.py::b"], 2: ["t.py::c"]}}
    assert (found.failed, found.files) == (["t.py::c"], {"t.py": "2", "u.py": "1"})


def test_a_journal_goes_on_and_refuses_another_run(tmp_path: Path) -> None:
    path = tmp_path / "outcomes.jsonl"
    first = Journal(path, {"seed": 1})
    first.add("a", Outcome("killed", 1.0, "t"))
    first.add("b", Outcome("survived", 1.0))
    assert set(Journal(path, {"seed": 1}).outcomes) == {"a", "b"}
    with pytest.raises(UserError) as caught:
        Journal(path, {"seed": 2})
    assert caught.value.code == "other_run"
    assert set(Journal(path, {"seed": 2}, keep_kills=True).outcomes) == {"a"}
    assert json.loads(path.read_text().splitlines()[0]) == {"seed": 2}


def test_what_ran_out_of_time_was_noticed_and_survivors_are_shown() -> None:
    drawn, places = sample({"m.py": SOURCE}, 4, seed=0)
    kinds = ["killed", "timed out", "survived", "killed"]
    tried = [Tried(one, Outcome(kind, 1.0)) for one, kind in zip(drawn, kinds, strict=True)]
    assert share_line(tried).startswith("75.0 % of 4 noticed, 95 % interval 0.301 to 0.954")
    page = markdown(tried, places, {"m.py": SOURCE}, "the command")
    assert f"| m.py | {places['m.py']} | 4 | 2 | 1 | 1 | 75 % |" in page
    assert f"# m.py:{drawn[2].line} " in page


def test_every_group_has_modules_and_tests() -> None:
    for name in GROUPS:
        assert modules_of(ROOT, [name])
    assert "tests/scoring/test_rule.py" in chosen_test_files(ROOT)
    with pytest.raises(ValueError, match="name a path"):
        modules_of(ROOT, ["scorings"])


IN_A_TREE = """
import sys
from pathlib import Path
from tests.mutation.forked_tests import run_chosen
for name in sys.argv[2:]:
    try:
        print(run_chosen(Path(sys.argv[1]), [f"test_it.py::{name}"], cpu_s=1.0).kind)
    except RuntimeError as fault:
        print("refused")
"""


def test_only_a_failed_test_or_the_end_of_time_counts_as_noticed(tmp_path: Path) -> None:
    """A test that cannot be run says nothing about a mutant."""
    (tmp_path / "test_it.py").write_text(
        "import pytest\ndef test_good(): pass\ndef test_bad(): assert False\n"
        "def test_long():\n    while True: pass\n"
    )
    names = ["test_good", "test_bad", "test_long", "test_absent"]
    command = [sys.executable, "-c", IN_A_TREE, str(tmp_path), *names]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert said.split("\n")[:4] == ["survived", "killed", "timed out", "refused"]
