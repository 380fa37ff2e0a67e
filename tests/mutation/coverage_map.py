"""Which tests run which line, from one run of the tests without any mutant.

Does: measure lines by test (coverage contexts) and seconds by test, keep both in one JSON file;
choose the tests for a mutant's line, the quickest first.
Does not: see lines that only child processes run.

A test here is a test function; its parametrised cases stay together, because a mutant may change
their names.
"""

import ast
import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from coverage import CoverageData

from mllm_affect.files import write_json
from tests.mutation.modules import AT_IMPORT


@dataclass
class CoverageMap:
    """Lines by test and seconds by test."""

    seconds: dict[str, float]
    """By test function: `tests/scoring/test_rule.py::test_x`, set-up and tear-down included."""
    lines: dict[str, dict[int, list[str]]]
    """By module and line (from 1): the test functions that run it."""
    failed: list[str] = field(default_factory=list)
    """Test functions that fail without any mutant; none of them is ever chosen."""
    files: dict[str, str] = field(default_factory=dict)
    """A digest of every test file that was measured."""

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        write_json(path, asdict(self))

    @classmethod
    def load(cls, path: Path) -> "CoverageMap":
        """Read what `save` wrote."""
        kept = json.loads(path.read_text(encoding="utf-8"))
        lines = {
            module: {int(line): tests for line, tests in by_line.items()}
            for module, by_line in kept["lines"].items()
        }
        return cls(kept["seconds"], lines, kept["failed"], kept["files"])

    def updated(self, newer: "CoverageMap") -> "CoverageMap":
        """Return this map with what `newer` says about the test files that it measured."""

        def kept(test: str) -> bool:
            return test.split("::")[0] not in newer.files

        seconds = {test: spent for test, spent in self.seconds.items() if kept(test)}
        lines = {module: dict(by_line) for module, by_line in newer.lines.items()}
        for module, by_line in self.lines.items():
            for line, tests in by_line.items():
                found = lines.setdefault(module, {}).get(line, [])
                lines[module][line] = sorted({*found, *filter(kept, tests)})
        failed = sorted({*newer.failed, *filter(kept, self.failed)})
        return CoverageMap(
            {**seconds, **newer.seconds}, lines, failed, {**self.files, **newer.files}
        )

    def tests_of(self, module: str, lines: Iterable[int]) -> set[str]:
        """Return the sound tests that run one of these lines of a module."""
        by_line = self.lines.get(module, {})
        found = {test for line in lines for test in by_line.get(line, ())}
        return found.intersection(self.seconds).difference(self.failed)

    def quickest(self, tests: Iterable[str], budget_s: float) -> list[str]:
        """Return the quickest tests that fit into `budget_s`, at least one of them if any.

        Tests that read the sources come first.
        """
        chosen: list[str] = []
        spent = 0.0
        order = sorted(tests, key=lambda test: (test not in AT_IMPORT, self.seconds[test], test))
        for test in order:
            spent += self.seconds[test]
            if chosen and spent > budget_s:
                break
            chosen.append(test)
        return chosen


def test_function(case: str) -> str:
    """Return the test function of a case: its id without the parameters."""
    return case.split("[", 1)[0]


def measured(
    data: Path,
    root: Path,
    seconds: dict[str, float],
    failed: set[str],
    files: dict[str, str],
) -> CoverageMap:
    """Make the map from a coverage data file with a context for each test.

    `seconds` and `failed` are by test function, `files` are digests by test file; `root` is where
    the measured modules lie.
    """
    kept = CoverageData(str(data))
    kept.read()
    lines: dict[str, dict[int, list[str]]] = {}
    for file in kept.measured_files():
        if not Path(file).is_relative_to(root):
            continue
        by_line: dict[int, set[str]] = defaultdict(set)
        for line, contexts in kept.contexts_by_lineno(file).items():
            by_line[line].update(test_function(name.split("|")[0]) for name in contexts if name)
        module = Path(file).relative_to(root).as_posix()
        lines[module] = {line: sorted(tests) for line, tests in sorted(by_line.items()) if tests}
    return CoverageMap(seconds, lines, sorted(failed), files)


class Reach:
    """Which tests may notice a change at a line, by the sources of all modules."""

    def __init__(self, coverage: CoverageMap, sources: dict[str, str]) -> None:
        self._coverage = coverage
        self._trees = {module: ast.parse(source) for module, source in sources.items()}
        self._functions = {module: list(_functions(tree)) for module, tree in self._trees.items()}

    def tests(self, module: str, line: int) -> set[str]:
        """Return the tests that run a line, or what is made of it.

        A line that runs at import (a constant, a default, a class field) is run by no test: there
        it is the tests of the functions that mention what the line defines, in any module.  Where
        nobody mentions it, it is all tests of the module.
        """
        for _, begin, end, _ in self._functions[module]:
            if begin <= line <= end:
                return self._coverage.tests_of(module, _statement(self._trees[module], line))
        names = self._defined(module, line)
        found: set[str] = set()
        for other, functions in self._functions.items():
            for name, begin, end, mentioned in functions:
                if not mentioned.isdisjoint(names) or (other == module and name in names):
                    found |= self._coverage.tests_of(other, range(begin, end + 1))
        if found:
            return found | self._sound(AT_IMPORT)
        bodies = [(begin, end) for _, begin, end, _ in self._functions[module]]
        lines = {line for begin, end in bodies for line in range(begin, end + 1)}
        return self._coverage.tests_of(module, lines) | self._sound(AT_IMPORT)

    def _sound(self, tests: Iterable[str]) -> set[str]:
        """Return those that are there and pass without a mutant."""
        return set(tests).intersection(self._coverage.seconds).difference(self._coverage.failed)

    def _defined(self, module: str, line: int) -> set[str]:
        """Return the names that depend on an import-time line, within the module."""
        statements = list(_import_time(self._trees[module]))
        names = {name for node in statements if _holds(node, line) for name in _names_bound(node)}
        grown = True
        while grown:
            grown = False
            for node in statements:
                bound = _names_bound(node)
                if not names.isdisjoint(_mentioned(node)) and not names.issuperset(bound):
                    names |= bound
                    grown = True
        return names


def _functions(tree: ast.Module) -> Iterable[tuple[str, int, int, set[str]]]:
    """Yield name, first and last line of the body, and mentioned names of every function."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body
            mentioned = set().union(*(_mentioned(statement) for statement in body))
            yield node.name, body[0].lineno, body[-1].end_lineno or body[-1].lineno, mentioned


def _import_time(tree: ast.Module) -> Iterable[ast.stmt]:
    """Yield the smallest statements that run at import: of the module, and of its classes."""
    waiting = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.ClassDef):
            waiting += node.body
        if not isinstance(node, ast.Import | ast.ImportFrom):
            yield node


def _holds(node: ast.stmt, line: int) -> bool:
    """Say whether a statement's own lines hold `line`: of a class or function only its head."""
    decorators = getattr(node, "decorator_list", [])
    begin = min([node.lineno, *(decorator.lineno for decorator in decorators)])
    end = node.end_lineno or node.lineno
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        end = node.body[0].lineno - 1
    return begin <= line <= end


def _names_bound(node: ast.stmt) -> set[str]:
    """Return the names that an import-time statement defines."""
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return {node.name}
    return {
        found.id
        for found in ast.walk(node)
        if isinstance(found, ast.Name) and isinstance(found.ctx, ast.Store)
    }


def _mentioned(node: ast.AST) -> set[str]:
    """Return the names, attributes and keywords that a piece of code mentions."""
    found: set[str] = set()
    for part in ast.walk(node):
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load):
            found.add(part.id)
        elif isinstance(part, ast.Attribute):
            found.add(part.attr)
        elif isinstance(part, ast.keyword) and part.arg:
            found.add(part.arg)
    return found


def _statement(tree: ast.Module, line: int) -> range:
    """Return the lines of the smallest statement around `line`.

    Coverage counts a statement of several lines by its first, so a mutant on the third needs it.
    Of an `if` or `for` it is the head alone.
    """
    best = range(line, line + 1)
    size = 10**9
    for node in ast.walk(tree):
        if not isinstance(node, ast.stmt):
            continue
        end = node.end_lineno or node.lineno
        body = getattr(node, "body", None)
        if isinstance(body, list) and body:
            end = max(node.lineno, body[0].lineno - 1)
        if node.lineno <= line <= end and end - node.lineno < size:
            best, size = range(node.lineno, end + 1), end - node.lineno
    return best
