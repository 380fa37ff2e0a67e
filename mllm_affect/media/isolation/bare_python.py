"""Starting a fresh Python that knows this one's packages and nothing else of it.

Does: give the words of the command.  Does not: start it.
"""

import sys
from pathlib import Path


def bare_python(module: str) -> list[str]:
    """Return the command that calls `main()` of one of our modules, to be run with `env={}`.

    Isolated (`-I`), without site packages' start-up files (`-S`), without writing bytecode; its
    import path is this process's own, this package first.  Words added to it come after an empty
    one in `sys.argv[1:]`.
    """
    root = str(Path(__file__).resolve().parents[3])
    known = [root, *(entry for entry in sys.path if entry and Path(entry).is_absolute())]
    paths = list(dict.fromkeys(known))
    start = (
        f"import sys; sys.path[:] = sys.argv[1:{len(paths) + 1}]; "
        f"del sys.argv[1:{len(paths) + 1}]; from {module} import main; main()"
    )
    return [sys.executable, "-I", "-S", "-B", "-c", start, *paths]
