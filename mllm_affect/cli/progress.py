"""A progress bar on standard error.

Does: show how much of a known amount is done.  Does not: print results or write to standard output.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mllm_affect.cli.common import err

Advance = Callable[[int, int], None]
"""Called with how many are done and how many there are."""


@contextmanager
def progress(what: str, show: bool = True) -> Iterator[Advance]:
    """Show a bar named `what` until the block ends; `show` False does nothing.

    Where standard error is no terminal, a line every quarter of the way is written instead.
    """
    if not show:
        yield _nothing
    elif err.is_terminal:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, TimeRemainingColumn(), console=err, transient=True) as bar:
            task = bar.add_task(what, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)
    else:
        yield _lines(what)


def _nothing(done: int, total: int) -> None:
    """Show nothing."""


def _lines(what: str) -> Advance:
    """Return an advance that writes a line for every quarter of the way."""
    shown = -1

    def advance(done: int, total: int) -> None:
        nonlocal shown
        quarter = 4 * done // total if total else 4
        if quarter > shown:
            shown = quarter
            err.print(f"{what}: {done} of {total}", highlight=False)

    return advance
