"""Outcomes as they come, so that a stopped run can go on.

Does: keep one JSON line a mutant, under a first line that says what was run; refuse to go on with
another tree, seed or size.  Does not: know what a mutant is.
"""

import json
from pathlib import Path

from mllm_affect.errors import UserError
from tests.mutation.forked_tests import Outcome


class Journal:
    """The file `outcomes.jsonl` of one run."""

    def __init__(self, path: Path, settings: dict[str, object], *, keep_kills: bool = False):
        """Open it, or begin it with `settings`.

        Raises UserError `other_run` where it was begun with others.  `keep_kills`: the tests have
        changed since, and what was killed before counts as killed still; the rest is tried again.
        """
        self._path = path
        self.outcomes: dict[str, Outcome] = {}
        if path.exists():
            first, *rest = path.read_text(encoding="utf-8").splitlines()
            same = json.loads(first) == settings
            if not same and not keep_kills:
                raise UserError(
                    "other_run",
                    f"{path} was begun with other files or settings: name another --out, or try "
                    "what survived again with --keep-kills.",
                )
            for line in rest:
                kept = json.loads(line)
                outcome = Outcome(kept["kind"], kept["seconds"], kept["by"])
                if same or outcome.kind != "survived":
                    self.outcomes[kept["mutant"]] = outcome
            if same:
                return
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(settings) + "\n", encoding="utf-8")
        for key, outcome in self.outcomes.items():
            self._append(key, outcome)

    def add(self, key: str, outcome: Outcome) -> None:
        """Keep one more outcome."""
        self.outcomes[key] = outcome
        self._append(key, outcome)

    def _append(self, key: str, outcome: Outcome) -> None:
        line = {"mutant": key, "kind": outcome.kind, "seconds": round(outcome.seconds, 2)}
        with self._path.open("a", encoding="utf-8") as journal:
            journal.write(json.dumps({**line, "by": outcome.by}) + "\n")
