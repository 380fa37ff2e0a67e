"""Rows on their way to the trainer, and what their manifest says.

Does: gather by kind, balance, write rows.jsonl, grpo.jsonl and, last, manifest.json.
Does not: ask anything of a clip.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from finetune.labelling import Balance, balanced
from finetune.megc.clip_rows import Question
from finetune.megc.rule import ExpressionRule
from mllm_affect.data.megc.vocabulary import OTHER_UNITS
from mllm_affect.errors import UserError
from mllm_affect.files import sha256_file, sha256_json, write_json, write_jsonl
from mllm_affect.media.cutting import MAX_SECONDS, SEGMENTER
from mllm_affect.media.types import Sampling
from mllm_affect.tasks.family import Family
from mllm_affect.tasks.rows import without_answer

ROWS_NAME, GRPO_NAME, MANIFEST_NAME = "rows.jsonl", "grpo.jsonl", "manifest.json"
ROWS_VERSION = 2
"""Raise it when the same clip would be written differently."""

BY_RULE = frozenset({"unit_shown", "event_here"})
"""Kinds whose answers the rule has weighed already; balancing leaves them alone."""


@dataclass
class Gathered:
    """Rows by family and kind, and what is counted on the way.

    `units`: every action unit that events of long videos show.
    """

    rows: dict[tuple[str, str], list[tuple[dict[str, Any], str]]] = field(default_factory=dict)
    allowed: dict[str, tuple[str, ...]] = field(default_factory=dict)
    people: set[str] = field(default_factory=set)
    units: set[str] = field(default_factory=set)
    left_out: Counter[str] = field(default_factory=Counter)
    inputs: dict[str, str] = field(default_factory=dict)
    clips: int = 0
    windows: int = 0

    def add(self, family: Family, question: Question, row: dict[str, Any]) -> None:
        """Take the row of one question."""
        kind, task, answer = question
        self.rows.setdefault((family.id, kind), []).append((row, answer))
        self.allowed[task.question] = task.answers

    def write(
        self,
        out: Path,
        families: Sequence[Family],
        sampling: Sampling,
        rule: ExpressionRule,
        balance: Balance,
        seed: int,
    ) -> dict[str, Any]:
        """Balance answers and kinds, write rows and manifest; return the manifest.

        Raises UserError `bad_data` where there is no row.
        """
        rows: list[dict[str, Any]] = []
        by_kind: dict[str, dict[str, int]] = {}
        most = max(map(len, self.rows.values()), default=0)
        for (family, kind), some in self.rows.items():
            answers = [answer for _, answer in some]
            by_kind[f"{family}-{kind}"] = dict(sorted(Counter(answers).items()))
            evened = "none" if kind in BY_RULE else balance
            of_kind = balanced([row for row, _ in some], answers, evened, seed)
            share = 0.0 if balance == "none" else rule.rarest_kind
            rows += of_kind * max(1, round(share * most / len(of_kind)))
        if not rows:
            raise UserError("bad_data", "No training clip has both frames and a label to use.")
        write_jsonl(out / GRPO_NAME, (without_answer(row, self.allowed) for row in rows))
        write_jsonl(out / ROWS_NAME, rows)
        people = sorted(self.people)
        manifest = {
            "rows": len(rows),
            "videos": self.clips,
            "segments": self.clips if not self.windows else self.windows,
            "answers": dict(Counter(row["messages"][-1]["content"] for row in rows)),
            "answers_before_balance": by_kind,
            "balance": balance,
            "balance_seed": seed,
            "rule": rule.model_dump(),
            "participants": len(people),
            "participants_sha256": sha256_json(people),
            "tasks": {
                task.id: task.prompt_hash
                for family in families
                for task in map(family.task, family.kinds)
            },
            "segmenter": {"name": SEGMENTER, "max_seconds": MAX_SECONDS},
            "sampling": sampling.facts(),
            "scan": {family.id: family.scan.model_dump() for family in families},
            "data": {
                "kind": "megc",
                "left_out": dict(sorted(self.left_out.items())),
                "other_units": [name for name in OTHER_UNITS if name in self.units],
            },
            "inputs_sha256": self.inputs,
            "rows_version": ROWS_VERSION,
            "rows_sha256": sha256_file(out / ROWS_NAME),
            "grpo_sha256": sha256_file(out / GRPO_NAME),
        }
        write_json(out / MANIFEST_NAME, manifest)
        return manifest
