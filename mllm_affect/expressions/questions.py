"""The challenge's questions as tasks of their own, for whoever asks one question at a time.

Does: make a Task of a question in the challenge's words, and tell what such a task asks.
Does not: answer it (see answering).
"""

from mllm_affect.data.megc.answers import ONE_OF
from mllm_affect.data.megc.questions import TEXTS, VQA, Asked, Kind, recognise, word
from mllm_affect.data.megc.vocabulary import ACTION_UNITS
from mllm_affect.errors import UserError
from mllm_affect.tasks.family import Family
from mllm_affect.tasks.prompts import load_family, shipped_family_ids
from mllm_affect.tasks.task import Task

CLIP_FAMILY, VIDEO_FAMILY = "me_vqa", "me_lvqa"
ASKED = "asked"
EVENTS_NAMED = 5
"""Events that are listed by number; any number can be asked about."""


def question_of(family_id: str, text: str) -> Task:
    """Return the task that asks `text`, one of the challenge's questions, word for word.

    Raises UserError `unknown_task` for another family, `unknown_question` for another wording.
    """
    if family_id not in shipped_family_ids():
        known = ", ".join(shipped_family_ids())
        raise UserError("unknown_task", f"No family of tasks is called so; use one of {known}.")
    asked = recognise(text.strip())
    if asked is None or family_of(asked) != family_id:
        raise UserError(
            "unknown_question",
            f"{family_id} answers the challenge's questions word for word; this is none of them.",
        )
    family = load_family(family_id)
    return Task(
        # Not the id of the family's own kind: what the model learned is asked in other tasks.
        id=f"{family_id}-{ASKED}-{asked.kind}",
        version=family.version,
        title=family.title,
        question=text.strip(),
        answers=ONE_OF.get(asked.kind, ()),
        sampling=family.sampling,
        pooling="profile",
    )


def questions_of(family_id: str) -> tuple[str, ...]:
    """Return the questions that a family answers, word for word: each named unit, five events."""
    kinds = [kind for kind in TEXTS if family_of(Asked(kind)) == family_id]
    return tuple(question for kind in kinds for question in _all_of(kind))


def _all_of(kind: Kind) -> tuple[str, ...]:
    if kind in (Kind.unit_shown, Kind.unit_side):
        return tuple(word(Asked(kind, unit=unit)) for unit in ACTION_UNITS)
    if kind is Kind.event_type:
        return tuple(word(Asked(kind, number=number)) for number in range(1, EVENTS_NAMED + 1))
    return TEXTS[kind]


def family_of(asked: Asked) -> str:
    """Return the family that a question belongs to."""
    return CLIP_FAMILY if asked.kind in VQA else VIDEO_FAMILY


def asked_by(task: Task) -> tuple[Family, Asked] | None:
    """Return what a task of a family asks in the challenge's words, None for any other task."""
    family_id, _, kind = task.id.partition(f"-{ASKED}-")
    asked = recognise(task.question) if kind else None
    if asked is None or family_of(asked) != family_id:
        return None
    return load_family(family_id), asked
