"""The answers about a short clip, in the challenge's words.

Does: write every kind of answer from one profile, so that they agree; or, for the ablation, answer
each question alone.  Does not: read or write files.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mllm_affect.data.megc.questions import VQA, Asked, Kind
from mllm_affect.data.megc.sentences import analysis_text, joint_sentence
from mllm_affect.data.megc.vocabulary import (
    ACTION_UNITS,
    COARSE,
    FINE_IN_TEST,
    SIDES,
    in_order,
    join_units,
)
from mllm_affect.errors import UserError
from mllm_affect.scoring.clip_profile import (
    UNASKED,
    Allowed,
    ClipEvidence,
    ClipProfile,
    LabelPrior,
    allowed_by,
    infer_profile,
)


@dataclass(frozen=True)
class ClipAnswers:
    """Answers in the order of the questions; `profile` is None where each was answered alone."""

    answers: tuple[str, ...]
    profile: ClipProfile | None


def answer_clip(
    questions: Sequence[Asked],
    evidence: ClipEvidence,
    prior: LabelPrior | None = None,
    alone: bool = False,
) -> ClipAnswers:
    """Answer all questions about one clip; `alone` ignores the others for each of them.

    Raises UserError `contradicting_questions`, or `wrong_task` for a question about long videos.
    """
    strange = [item.kind for item in questions if item.kind not in VQA]
    if strange:
        raise UserError("wrong_task", f"A clip cannot be asked for {strange[0]}; that is ME-LVQA.")
    if alone:
        return ClipAnswers(tuple(_alone(item, evidence) for item in questions), None)
    profile = infer_profile(evidence, allowed_by(questions), prior)
    answers = tuple(
        _from_facts(item, profile.units, profile.fine, profile.coarse, evidence)
        for item in questions
    )
    return ClipAnswers(answers, profile)


def _from_facts(
    asked: Asked, units: Sequence[str], fine: str, coarse: str, evidence: ClipEvidence
) -> str:
    match asked.kind:
        case Kind.coarse:
            return coarse
        case Kind.fine:
            return fine
        case Kind.unit | Kind.units:
            return join_units(units)
        case Kind.unit_shown:
            return "yes" if asked.unit in units else "no"
        case Kind.unit_side:
            return _most_probable(evidence.side.get(asked.unit or "", {}), SIDES)
        case Kind.joint_unit | Kind.joint_units:
            return joint_sentence(units, fine, coarse)
        case _:
            return analysis_text(units, fine, coarse)


def _alone(asked: Asked, evidence: ClipEvidence) -> str:
    """Answer from this question's own probabilities and wording."""
    if asked.kind is Kind.unit_shown:
        return "yes" if evidence.shown.get(asked.unit or "", UNASKED) >= 0.5 else "no"
    return _from_facts(
        asked,
        _units_alone(allowed_by([asked]), evidence),
        _most_probable(evidence.fine, FINE_IN_TEST),
        _most_probable(evidence.coarse, COARSE),
        evidence,
    )


def _units_alone(allowed: Allowed, evidence: ClipEvidence) -> tuple[str, ...]:
    if allowed.most == 1 and evidence.only:
        return (_most_probable(evidence.only, tuple(ACTION_UNITS)),)
    ranked = sorted(ACTION_UNITS, key=lambda name: -evidence.shown.get(name, UNASKED))
    probable = [name for name in ranked if evidence.shown.get(name, UNASKED) >= 0.5]
    count = min(allowed.most, max(allowed.fewest, len(probable)))
    return in_order(ranked[:count])


def _most_probable(probabilities: Mapping[str, float], otherwise: Sequence[str]) -> str:
    if not probabilities:
        return otherwise[0]
    return max(probabilities, key=lambda name: probabilities[name])
