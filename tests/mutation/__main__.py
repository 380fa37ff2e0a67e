"""Change the code a little and see whether the tests notice: `python -m tests.mutation`.

Draws mutants by seed, runs the quickest tests that run the changed line, one mutant at a time in
a scratch copy of the tree, and writes outcomes.jsonl and table.md.  A second call with the same
settings goes on where the first one stopped.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import typer

from mllm_affect.errors import UserError
from mllm_affect.files import write_text
from tests.mutation.coverage_map import CoverageMap, Reach, measured
from tests.mutation.forked_tests import Outcome, preload, run_chosen, run_measured
from tests.mutation.journal import Journal
from tests.mutation.modules import GROUPS, MARKERS, chosen_test_files, modules_of
from tests.mutation.mutants import Mutant, mutated, sample
from tests.mutation.scratch_tree import ScratchTree
from tests.mutation.table import Tried, markdown, share_line

ROOT = Path(__file__).resolve().parents[2]
MEASURED = ("mllm_affect", "eval")


def arguments(words: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument(
        "modules", nargs="*", default=list(GROUPS), help=f"groups ({', '.join(GROUPS)}) or paths"
    )
    parser.add_argument("--sample", type=int, default=300, help="mutants over all modules")
    parser.add_argument("--seed", type=int, default=0, help="another seed draws other mutants")
    parser.add_argument("--out", type=Path, help="folder (default: runs/mutation/seed-SEED)")
    parser.add_argument(
        "--budget", type=float, default=15.0, help="seconds of tests for each mutant"
    )
    parser.add_argument("--minutes", type=float, help="stop after so long; call again to go on")
    parser.add_argument(
        "--keep-kills",
        action="store_true",
        help="go on after the tests changed: try survivors again, keep what was killed",
    )
    return parser.parse_args(words)


def coverage_map(tree: ScratchTree, folder: Path) -> CoverageMap:
    """Read the map of this state of the tree; run the test files that it does not hold yet."""
    files = {name: tree.digest_of(name) for name in chosen_test_files(tree.folder)}
    others = tree.digest(leave_out=tree.test_files())
    path = folder / f"coverage-{others}.json"
    kept = CoverageMap.load(path) if path.exists() else CoverageMap({}, {})
    new = {name: digest for name, digest in files.items() if kept.files.get(name) != digest}
    if new:
        typer.echo(f"measures which lines are run by {len(new)} files of tests", err=True)
        data = tree.folder / "runs" / "coverage.data"
        seconds, failed = run_measured(tree.folder, list(new), MARKERS, data, MEASURED)
        kept = kept.updated(measured(data, tree.folder, seconds, failed, new))
        kept.save(path)
    return kept


def try_one(
    tree: ScratchTree, source: str, mutant: Mutant, tests: Sequence[str], cost_s: float
) -> Outcome:
    """Run the tests on one mutant; without any test it survives."""
    if not tests:
        return Outcome("survived", 0.0, "no test runs it")
    changed = mutated(source, mutant)
    assert changed is not None
    with tree.holding(mutant.module, changed):
        return run_chosen(tree.folder, tests, cpu_s=20.0 + 3 * cost_s)


def check_control(tree: ScratchTree, coverage: CoverageMap) -> None:
    """Run tests of every file on the unchanged tree, as they are run on mutants.

    Raises RuntimeError where one fails: every mutant would seem to be killed.
    """
    quickest: dict[str, str] = {}
    for test in sorted(coverage.seconds, key=lambda test: coverage.seconds[test]):
        if test not in coverage.failed:
            quickest.setdefault(test.split("::")[0], test)
    outcome = run_chosen(tree.folder, list(quickest.values()), cpu_s=300.0)
    if outcome.kind != "survived":
        raise RuntimeError(f"a test fails without a mutant: {outcome.by}")


def main(words: Sequence[str] | None = None) -> None:
    """Draw, try, write the table."""
    chosen = arguments(words)
    folder = ROOT / "runs" / "mutation"
    out = chosen.out or folder / f"seed-{chosen.seed}"
    try:
        modules = modules_of(ROOT, chosen.modules)
    except ValueError as fault:
        raise SystemExit(f"error: {fault}") from None
    preload()
    tree = ScratchTree(ROOT, folder / "tree")
    coverage = coverage_map(tree, folder)
    for test in coverage.failed:
        typer.echo(f"fails without a mutant, and is left out: {test}", err=True)
    everything = [*tree.folder.glob("mllm_affect/**/*.py"), *tree.folder.glob("eval/**/*.py")]
    sources = {path.relative_to(tree.folder).as_posix(): path.read_text() for path in everything}
    reach = Reach(coverage, sources)
    mutants, places = sample({name: sources[name] for name in modules}, chosen.sample, chosen.seed)
    settings: dict[str, object] = {"files": tree.digest(), "seed": chosen.seed}
    settings |= {"sample": chosen.sample, "modules": modules, "budget": chosen.budget}
    try:
        journal = Journal(out / "outcomes.jsonl", settings, keep_kills=chosen.keep_kills)
    except UserError as fault:
        raise SystemExit(f"error [{fault.code}]: {fault}") from None
    check_control(tree, coverage)
    begun = time.monotonic()
    left = [mutant for mutant in mutants if mutant.key not in journal.outcomes]
    for number, mutant in enumerate(left, 1):
        if chosen.minutes is not None and time.monotonic() - begun > 60 * chosen.minutes:
            typer.echo(f"stopped after {chosen.minutes:g} minutes, {len(left) - number + 1} left")
            break
        tests = coverage.quickest(reach.tests(mutant.module, mutant.line), chosen.budget)
        cost = sum(coverage.seconds[test] for test in tests)
        outcome = try_one(tree, sources[mutant.module], mutant, tests, cost)
        journal.add(mutant.key, outcome)
        typer.echo(f"{number}/{len(left)} {outcome.kind:9} {outcome.seconds:5.1f} s  {mutant.key}")
    tried = [
        Tried(mutant, journal.outcomes[mutant.key])
        for mutant in mutants
        if mutant.key in journal.outcomes
    ]
    command = f"python -m tests.mutation {' '.join(chosen.modules)} --sample {chosen.sample}"
    page = markdown(tried, places, sources, f"{command} --seed {chosen.seed}")
    write_text(out / "table.md", page)
    typer.echo(page.split("## Survivors")[0])
    typer.echo(f"{share_line(tried)}; survivors in {out / 'table.md'}")


if __name__ == "__main__":
    main()
