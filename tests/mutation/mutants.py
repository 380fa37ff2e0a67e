"""The mutants of a module, and samples of them.

Does: list every place that an operator of Cosmic Ray can change, outside type annotations; draw
places by seed and one change for each.  Does not: write files or run tests.

A place is drawn first and its change second: `a - b` has eleven replacements, most of which fail
at once, and would count eleven times otherwise.
"""

import ast
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.operator import Operator
from cosmic_ray.plugins import get_operator, operator_names

Place = tuple[tuple[int, int], tuple[int, int], str]
"""Begin and end, each (line from 1, column from 0), and the operators' family."""


@dataclass(frozen=True)
class Mutant:
    """One change to one module."""

    module: str
    operator: str
    occurrence: int
    """Which of the operator's possible changes in the module this is, from 0."""
    line: int
    """Where the changed code begins, from 1."""

    @property
    def key(self) -> str:
        """What the journal knows it by, as long as the module stays as it is."""
        return f"{self.module}:{self.line}:{self.operator}:{self.occurrence}"


@cache
def operators() -> dict[str, Operator]:
    """Return Cosmic Ray's operators that need no arguments, by name."""
    classes = {name: get_operator(name) for name in operator_names()}
    return {name: kind() for name, kind in classes.items() if not kind.arguments()}


def mutated(source: str, mutant: Mutant) -> str | None:
    """Return the module's source with the change, or None where it leads to no other program."""
    changed = mutate_code(source, operators()[mutant.operator], mutant.occurrence)
    if changed is None:
        return None
    try:
        same = ast.dump(ast.parse(changed)) == ast.dump(ast.parse(source))
    except SyntaxError:
        return None
    return None if same else str(changed)


def places_of(module: str, source: str) -> dict[Place, list[Mutant]]:
    """Return every place of a module that can be changed, with its possible changes."""
    annotations = list(_annotations(ast.parse(source)))
    seen: dict[str, int] = dict.fromkeys(operators(), 0)
    places: dict[Place, list[Mutant]] = {}
    for node in ast_nodes(get_ast(source)):
        for name, operator in operators().items():
            for begin, end in operator.mutation_positions(node):
                mutant = Mutant(module, name, seen[name], begin[0])
                seen[name] += 1
                if not any(low <= begin and end <= high for low, high in annotations):
                    family = type(operator).__name__.split("_")[0]
                    places.setdefault((begin, end, family), []).append(mutant)
    return places


def sample(sources: dict[str, str], size: int, seed: int) -> tuple[list[Mutant], dict[str, int]]:
    """Draw about `size` mutants over all modules, and return them with the places a module has.

    Every module gives the same share of its places, at least one.  A module's draw depends on
    its own source, the share and `seed` alone.  The order is random, so that a run that was
    stopped has tried a sample too.
    """
    places = {module: places_of(module, source) for module, source in sources.items()}
    share = min(1.0, size / max(1, sum(map(len, places.values()))))
    drawn: list[Mutant] = []
    for module, found in places.items():
        dice = random.Random(f"{seed}:{module}")
        order = dice.sample(sorted(found), len(found))
        drawn += _drawn(sources[module], [found[place] for place in order], share, dice)
    random.Random(seed).shuffle(drawn)
    return drawn, {module: len(found) for module, found in places.items()}


def _drawn(
    source: str, places: Sequence[Sequence[Mutant]], share: float, dice: random.Random
) -> list[Mutant]:
    """Take one valid change from each of the first places, until the share is reached."""
    wanted = math.ceil(share * len(places))
    drawn: list[Mutant] = []
    for changes in places:
        if len(drawn) == wanted:
            break
        for mutant in dice.sample(list(changes), len(changes)):
            if mutated(source, mutant) is not None:
                drawn.append(mutant)
                break
    return drawn


def _annotations(tree: ast.AST) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Yield where annotations begin and end: nothing reads them when the program runs."""
    for node in ast.walk(tree):
        for name in ("annotation", "returns"):
            found = getattr(node, name, None)
            if isinstance(found, ast.expr):
                assert found.end_lineno is not None
                assert found.end_col_offset is not None
                begin, end = (
                    (found.lineno, found.col_offset),
                    (
                        found.end_lineno,
                        found.end_col_offset,
                    ),
                )
                yield begin, end
