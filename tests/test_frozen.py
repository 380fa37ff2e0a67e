"""Labels, answers, scores and settings are values: nobody can change one after it was made."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("mllm_affect/data", "mllm_affect/tasks", "mllm_affect/scoring")
FOLDERS = (*FOLDERS, "mllm_affect/expressions", "mllm_affect/exports", "eval")


def is_frozen(decorator: ast.expr) -> bool:
    """Say whether this is `@dataclass(frozen=True)`, or no dataclass at all."""
    if "dataclass" not in ast.unparse(decorator):
        return True
    settings = {word.arg: word.value for word in getattr(decorator, "keywords", [])}
    frozen = settings.get("frozen")
    return isinstance(frozen, ast.Constant) and frozen.value is True


@pytest.mark.parametrize("folder", FOLDERS)
def test_dataclasses_are_frozen(folder: str) -> None:
    changeable = [
        f"{path.relative_to(ROOT)}: {node.name}"
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef) and not all(map(is_frozen, node.decorator_list))
    ]
    assert not changeable
