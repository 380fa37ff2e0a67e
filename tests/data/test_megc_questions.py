"""Questions are told by their exact text; answers are read strictly."""

import pytest

from mllm_affect.data.megc.answers import contradictions, read_answer
from mllm_affect.data.megc.questions import TEXTS, Asked, Kind, recognise, word
from mllm_affect.data.megc.sentences import analysis_text, joint_sentence, read_analysis
from mllm_affect.data.megc.vocabulary import (
    ACTION_UNITS,
    COARSE,
    COARSE_OF_FINE,
    EVENT_TYPES,
    join_units,
)

NAMED = {
    Kind.unit_shown: {"unit": "lip pressor"},
    Kind.unit_side: {"unit": "dimpler"},
    Kind.event_type: {"number": 23},
}


def test_the_vocabulary_has_the_challenges_spelling() -> None:
    assert len(ACTION_UNITS) == 25 == len(set(ACTION_UNITS.values()))
    assert (ACTION_UNITS["lip pressor"], ACTION_UNITS["lip tightener"]) == (24, 23)
    assert {"nostril dilater", "nostril compress", "lips part"} <= ACTION_UNITS.keys()
    assert set(COARSE_OF_FINE.values()) == set(COARSE)
    assert join_units({"lips part", "brow lowerer"}) == "brow lowerer, lips part"


@pytest.mark.parametrize("kind", list(Kind))
def test_every_wording_is_recognised_as_what_it_asks(kind: Kind) -> None:
    asked = Asked(kind, **NAMED.get(kind, {}))
    for wording in range(len(TEXTS[kind])):
        assert recognise(word(asked, wording)) == asked


@pytest.mark.parametrize(
    "text",
    [
        "What is the coarse expression class",
        "what is the coarse expression class?",
        " What is the coarse expression class?",
        "What is the coarse expression class?\n",
        "Is the action unit lip presser shown on the face?",
        "Is the action unit shown on the face?",
        "What is the expression type of the 0-th expression event in this video?",
        "What is the expression type of the 1st expression event in this video?",
        "",
    ],
)
def test_another_wording_is_none_of_them(text: str) -> None:
    assert recognise(text) is None


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (Kind.coarse, "surprise", ["Surprise", "fear", "", None, "positive "]),
        (Kind.fine, "fear", ["others", "negative", 3]),
        (Kind.unit, "dimpler", ["dimpler, lips part", "dimple", "dimpler."]),
        (
            Kind.units,
            "brow lowerer, lips part",
            ["brow lowerer", "brow lowerer,lips part", "lips part, lips part", "lip part, dimpler"],
        ),
        (Kind.unit_shown, "no", ["No", "maybe", True]),
        (Kind.event_type, "micro-expression", ["micro", "microexpression"]),
        (Kind.count_all, "3", ["three", "-1", "3.0", 2.0, True, "", None, "²"]),
        (Kind.count_all, 0, []),
        (Kind.distinct_units, "dimpler", [" ", "none", None]),
        (
            Kind.joint_units,
            "The action units present are: dimpler, lips part. Therefore, the fine-grained "
            "expression class is fear, and the coarse expression class is negative.",
            [
                "The action units present are: dimpler. Therefore, the fine-grained "
                "expression class is fear, and the coarse expression class is negative.",
                "The action units present are: dimpler, lips part.",
            ],
        ),
    ],
)
def test_answers_are_read_strictly(kind: Kind, good: object, bad: list[object]) -> None:
    asked = Asked(kind, **NAMED.get(kind, {}))
    read_answer(asked, good)
    for answer in bad:
        with pytest.raises(ValueError, match=r"."):
            read_answer(asked, answer)


def test_sentences_say_what_they_were_written_from() -> None:
    units = {"lips part", "brow lowerer"}
    assert joint_sentence(units, "fear", "negative") == (
        "The action units present are: brow lowerer, lips part. Therefore, the fine-grained "
        "expression class is fear, and the coarse expression class is negative."
    )
    assert joint_sentence({"dimpler"}, "happiness", "positive").startswith(
        "The action unit present is: dimpler. Therefore,"
    )
    for unit in ACTION_UNITS:
        told = read_analysis(analysis_text({unit}, "surprise", "surprise"))
        assert (told.units, told.fine, told.coarse) == (frozenset({unit}), "surprise", "surprise")


SOUND = [
    (Asked(Kind.coarse), "negative"),
    (Asked(Kind.fine), "fear"),
    (Asked(Kind.units), "brow lowerer, lips part"),
    (Asked(Kind.unit_shown, unit="dimpler"), "no"),
    (Asked(Kind.analysis), analysis_text({"lips part", "brow lowerer"}, "fear", "negative")),
]


@pytest.mark.parametrize(
    ("position", "answer", "said"),
    [
        (0, "positive", "coarse class is negative and positive"),
        (1, "happiness", "happiness is positive, not negative"),
        (2, "brow lowerer, dimpler", "different action units"),
        (3, "yes", "dimpler is said to be shown"),
        (4, analysis_text({"lips part", "brow lowerer"}, "anger", "negative"), "fine class"),
    ],
)
def test_each_contradiction_about_a_clip_is_named(position: int, answer: str, said: str) -> None:
    assert contradictions(SOUND) == []
    changed = [*SOUND]
    changed[position] = (SOUND[position][0], answer)
    assert any(said in item for item in contradictions(changed))


LONG = [
    (Asked(Kind.count_all), 3),
    (Asked(Kind.count_micro), "1"),
    (Asked(Kind.count_macro), 2),
    (Asked(Kind.distinct_units), "dimpler"),
    (Asked(Kind.event_type, number=3), "micro-expression"),
    (Asked(Kind.event_type, number=1), "macro-expression"),
]


@pytest.mark.parametrize(
    ("position", "answer", "said"),
    [
        (0, 4, "4 events are not 1 micro- and 2 macro"),
        (0, 2, "event 3 is asked about"),
        (3, "", "3 events show 0 action units"),
        (5, "micro-expression", "2 events are called micro-expression, but only 1"),
    ],
)
def test_each_contradiction_about_a_long_video_is_named(
    position: int, answer: object, said: str
) -> None:
    assert contradictions(LONG) == []
    changed = [*LONG]
    changed[position] = (LONG[position][0], answer)
    assert any(said in item for item in contradictions(changed))


@pytest.mark.parametrize(
    ("answered", "said"),
    [
        ([(Asked(Kind.count_all), 2), (Asked(Kind.count_all), "3")], ["is 2 and 3"]),
        ([(Asked(Kind.count_all), 2), (Asked(Kind.count_all), "2")], []),
        (
            [(Asked(Kind.event_type, number=1), name) for name in EVENT_TYPES],
            ["event 1 has two types"],
        ),
        ([(Asked(Kind.event_type, number=n), EVENT_TYPES[0]) for n in (1, 2)], []),
        ([(Asked(Kind.count_all), 0), (Asked(Kind.distinct_units), "dimpler")],
         ["0 events show 1 action units"]),
        ([(Asked(Kind.count_all), 0), (Asked(Kind.distinct_units), "")], []),
        ([(Asked(Kind.distinct_units), ""), (Asked(Kind.count_micro), 1)], []),
        ([(Asked(Kind.count_all), 1), (Asked(Kind.count_micro), 2)], []),
        ([(Asked(Kind.count_macro), 0), (Asked(Kind.event_type, number=4), EVENT_TYPES[1])],
         ["1 events are called macro-expression, but only 0 are counted"]),
        ([(Asked(Kind.units), "dimpler, lips part"), (Asked(Kind.distinct_units), "dimpler")], []),
        ([(Asked(Kind.units), "dimpler, lips part"),
          (Asked(Kind.unit_shown, unit="dimpler"), "no")],
         ["dimpler is said not to be shown, against the action units listed"]),
        ([(Asked(Kind.unit), "dimpler"), (Asked(Kind.unit_side, unit="lips part"), "left")],
         ["lips part is said to be shown, against the action units listed"]),
        ([(Asked(Kind.unit), "dimpler"), (Asked(Kind.unit_side, unit="dimpler"), "left")], []),
        ([(Asked(Kind.unit), "no unit"), (Asked(Kind.unit_shown, unit="dimpler"), "no")], []),
    ],
)  # fmt: skip
def test_what_contradicts_and_what_does_not(
    answered: list[tuple[Asked, object]], said: list[str]
) -> None:
    found = contradictions(answered)
    assert len(found) == len(said)
    assert all(text in sentence for text, sentence in zip(said, found, strict=True))
