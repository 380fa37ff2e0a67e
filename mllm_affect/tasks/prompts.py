"""Finding and reading versioned prompt files.

Does: load a task by id from the shipped `prompts` package or from a YAML path; make a task from
a user's own question.  Does not: know any particular task.
"""

import hashlib
from functools import cache
from importlib.resources import files
from pathlib import Path

import yaml
from pydantic import ValidationError

from mllm_affect.errors import UserError
from mllm_affect.tasks.family import Family
from mllm_affect.tasks.task import Task


@cache
def shipped_task_ids() -> tuple[str, ...]:
    """Return the ids of the tasks that come with the package, sorted; families are apart."""
    return tuple(name for name in _shipped() if not _is_family(_shipped_text(name)))


@cache
def shipped_family_ids() -> tuple[str, ...]:
    """Return the ids of the families of tasks that come with the package, sorted."""
    return tuple(name for name in _shipped() if _is_family(_shipped_text(name)))


def load_family(family_id: str) -> Family:
    """Load a shipped family of tasks.  Raises UserError `unknown_task` or `bad_prompt_file`."""
    if family_id not in shipped_family_ids():
        known = ", ".join(shipped_family_ids())
        raise UserError(
            "unknown_task", f"No family of tasks is called {family_id!r}; use one of {known}."
        )
    where = f"prompts/{family_id}.yaml"
    try:
        return Family.model_validate(yaml.safe_load(_shipped_text(family_id)))
    except (yaml.YAMLError, ValidationError) as error:
        reason = str(error).replace("\n", " ")
        raise UserError("bad_prompt_file", f"{where} is not a usable prompt: {reason}") from error


def load_task(id_or_path: str) -> Task:
    """Load a shipped task by id, or a prompt file by path (anything that ends in .yaml).

    A kind of a shipped family is called `<family>-<kind>`: `me_vqa-coarse`.
    Raises UserError `unknown_task` or `bad_prompt_file`.
    """
    if id_or_path.endswith((".yaml", ".yml")):
        path = Path(id_or_path)
        if not path.is_file():
            raise UserError("unknown_task", f"No prompt file at {path}; check the path.")
        return parse_task(path.read_text(encoding="utf-8"), where=str(path))
    known = shipped_task_ids()
    family, _, kind = id_or_path.partition("-")
    if kind and family in shipped_family_ids():
        return load_family(family).task(kind)
    if id_or_path not in known:
        raise UserError(
            "unknown_task",
            f"No task is called {id_or_path!r}; use one of {', '.join(known)} or a .yaml file.",
        )
    return parse_task(_shipped_text(id_or_path), where=f"prompts/{id_or_path}.yaml")


def label_of(task_id: str) -> str:
    """Return what labelled sets call the right answer to a task; of one unknown here, its id."""
    return load_task(task_id).label_name if task_id in shipped_task_ids() else task_id


def tasks_named(name: str) -> tuple[Task, ...]:
    """Return the tasks of a family, or the one that `load_task` finds.  Raises as that does."""
    if name in shipped_family_ids():
        family = load_family(name)
        return tuple(map(family.task, family.kinds))
    return (load_task(name),)


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


def _shipped() -> list[str]:
    names = (entry.name for entry in files("prompts").iterdir())
    return sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml"))


def _shipped_text(name: str) -> str:
    return (files("prompts") / f"{name}.yaml").read_text(encoding="utf-8")


def _is_family(text: str) -> bool:
    return "kinds" in yaml.safe_load(text)
