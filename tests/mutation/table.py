"""The result of a run as a Markdown table, and the survivors with what was changed.

Does: count by module, add an interval, show each survivor as two lines of code.
Does not: say why a mutant survived; that takes a reader.
"""

import difflib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from eval.intervals import wilson
from tests.mutation.forked_tests import Outcome
from tests.mutation.mutants import Mutant, mutated

HEAD = "| module | places | tried | killed | timed out | survived | noticed |"


@dataclass(frozen=True)
class Tried:
    """One mutant and what became of it."""

    mutant: Mutant
    outcome: Outcome


def share_line(tried: Sequence[Tried]) -> str:
    """Return the share that was noticed, killed or timed out, with Wilson's 95 % interval."""
    noticed = sum(one.outcome.kind != "survived" for one in tried)
    if not tried:
        return "no mutant was tried"
    about = wilson(noticed, len(tried))
    share = f"{100 * noticed / len(tried):.1f} %"
    return f"{share} of {len(tried)} noticed, 95 % interval {about.low:.3f} to {about.high:.3f}"


def markdown(
    tried: Sequence[Tried], places: dict[str, int], sources: dict[str, str], command: str
) -> str:
    """Return the whole page: the command, the counts by module, the survivors."""
    rows = [HEAD, "|---|--:|--:|--:|--:|--:|--:|"]
    for module, count in places.items():
        rows.append(_row(module, count, [one for one in tried if one.mutant.module == module]))
    rows.append(_row("**all**", sum(places.values()), tried))
    survivors = sorted(
        (one.mutant for one in tried if one.outcome.kind == "survived"),
        key=lambda mutant: (mutant.module, mutant.line),
    )
    shown = [text for mutant in survivors for text in survivor_lines(sources, mutant)]
    head = ["# Mutation tests", "", f"`{command}`", "", share_line(tried) + ".", "", *rows]
    return "\n".join([*head, "", "## Survivors", "", "```diff", *shown, "```", ""])


def survivor_lines(sources: dict[str, str], mutant: Mutant) -> list[str]:
    """Return where a mutant is and the lines it changes, as a diff."""
    source = sources[mutant.module]
    changed = mutated(source, mutant) or ""
    delta = difflib.unified_diff(source.splitlines(), changed.splitlines(), n=0, lineterm="")
    lines = [line for line in delta if not line.startswith(("---", "+++", "@@"))]
    return [f"# {mutant.module}:{mutant.line} {mutant.operator.split('/')[-1]}", *lines]


def _row(name: str, places: int, tried: Sequence[Tried]) -> str:
    """Return the counts of one module, or of all."""
    kinds = Counter(one.outcome.kind for one in tried)
    counts = [kinds["killed"], kinds["timed out"], kinds["survived"]]
    noticed = f"{100 * (1 - kinds['survived'] / len(tried)):.0f} %" if tried else "-"
    return f"| {name} | {places} | {len(tried)} | {' | '.join(map(str, counts))} | {noticed} |"
