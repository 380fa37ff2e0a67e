"""Finding and reading versioned prompt files.

Does: load a task by id from the shipped `prompts` package or from a YAML path; make a task from
a user's own question.  Does not: know any particular task.
"""

import hashlib
from importlib.resources import files
from pathlib import Path

import yaml
from pydantic import ValidationError

from mllm_affect.errors import UserError
from mllm_affect.tasks.task import Task


def shipped_task_ids() -> tuple[str, ...]:
    """Return the ids of the tasks that come with the package, sorted."""
    names = (entry.name for entry in files("prompts").iterdir())
    return tuple(sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml")))


def load_task(id_or_path: str) -> Task:
    """Load a shipped task by id, or a prompt file by path (anything that ends in .yaml).

    Raises UserError `unknown_task` or `bad_prompt_file`.
    """
    if id_or_path.endswith((".yaml", ".yml")):
        path = Path(id_or_path)
        if not path.is_file():
            raise UserError("unknown_task", f"No prompt file at {path}; check the path.")
        return parse_task(path.read_text(encoding="utf-8"), where=str(path))
    known = shipped_task_ids()
    if id_or_path not in known:
        raise UserError(
            "unknown_task",
            f"No task is called {id_or_path!r}; use one of {', '.join(known)} or a .yaml file.",
        )
    text = (files("prompts") / f"{id_or_path}.yaml").read_text(encoding="utf-8")
    return parse_task(text, where=f"prompts/{id_or_path}.yaml")


def parse_task(text: str, where: str) -> Task:
    """Parse the YAML text of one prompt file; `where` names it in errors."""
    try:
        return Task.model_validate(yaml.safe_load(text))
    except (yaml.YAMLError, ValidationError) as error:
        reason = str(error).replace("\n", " ")
        raise UserError("bad_prompt_file", f"{where} is not a usable prompt: {reason}") from error


def question_task(question: str, answers: tuple[str, ...] = ()) -> Task:
    """Make a task from a user's own question; the same question gives the same id.

    Raises UserError `bad_question` when the question is blank or the answers are unusable.
    """
    question = question.strip()
    digest = hashlib.sha256("\n".join((question, *answers)).encode()).hexdigest()[:12]
    try:
        return Task(
            id=f"question-{digest}",
            question=question,
            answers=answers,
            positive=answers[0] if len(answers) == 2 else None,
        )
    except ValidationError as error:
        reason = "; ".join(item["msg"] for item in error.errors())
        raise UserError("bad_question", f"This question cannot be asked: {reason}.") from error
