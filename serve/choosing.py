"""Which task a request means.

Does: turn `task`, `question` and `answers` into a Task.  Does not: read prompt files that a client
names.
"""

from mllm_affect.engine.answer_tree import check_answers
from mllm_affect.engine.largest_question import LONGEST_QUESTION
from mllm_affect.errors import UserError
from mllm_affect.expressions.questions import question_of
from mllm_affect.tasks.prompts import (
    load_task,
    question_task,
    shipped_family_ids,
    shipped_task_ids,
)
from mllm_affect.tasks.task import Task
from serve.problems import FieldError


def chosen_task(task: str | None, question: str | None, answers: tuple[str, ...]) -> Task:
    """Return the task that a request means.

    A family of tasks is asked by `task` and `question` together, in the challenge's own words.
    Raises UserError `bad_request`, `unknown_task`, `unknown_question`, `bad_question` or
    `bad_answers`.
    """
    if task in shipped_family_ids() and question is not None and not answers:
        return _of_family(task, question)
    if (task is None) == (question is None):
        raise FieldError("bad_request", "Give either task or question.", ("task", "question"))
    if question is not None:
        if len(question) > LONGEST_QUESTION or "\0" in question:
            raise FieldError(
                "bad_question", f"A question has at most {LONGEST_QUESTION} characters.",
                ("question",),
            )  # fmt: skip
        chosen = question_task(question, answers)
        if chosen.answers:
            check_answers(chosen.answers)
        return chosen
    if answers:
        raise FieldError(
            "bad_request", "A task has its own answers; leave answers out.", ("answers",)
        )
    if task not in shipped_task_ids():  # never a path: clients do not name files
        known = ", ".join(shipped_task_ids())
        raise FieldError("unknown_task", f"There is no such task; use one of {known}.", ("task",))
    return load_task(task)


def _of_family(family: str, question: str) -> Task:
    try:
        return question_of(family, question)
    except UserError as error:
        raise FieldError(error.code, error.sentence, ("question",)) from error
