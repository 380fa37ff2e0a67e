"""The challenge's questions over HTTP: the same answer as in Python, at once and later."""

from pathlib import Path
from typing import Any

import pytest
from service_in_process import PROFILE, Service

from mllm_affect.data.megc.questions import Asked, Kind, word
from mllm_affect.engine.echo import EchoEngine
from mllm_affect.expressions.answering import answer_video
from mllm_affect.expressions.questions import family_of, question_of

ASKED = [
    (family_of(Asked(kind)), Asked(kind, unit=unit, number=number))
    for kind in Kind
    for unit in ["dimpler" if kind in (Kind.unit_shown, Kind.unit_side) else None]
    for number in [2 if kind is Kind.event_type else None]
]
"""Every kind of question."""
FIRST = ("units", "count_all")


def without_times(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name != "timings_s"}


@pytest.mark.parametrize(("family", "asked"), ASKED, ids=[str(one.kind) for _, one in ASKED])
def test_a_question_of_the_challenge_is_answered_at_once(
    service: Service, video: Path, family: str, asked: Asked
) -> None:
    response: Any = service.ask(video, task=family, question=word(asked))
    assert response.status_code == 200, response.text
    here = answer_video(video, question_of(family, word(asked)), EchoEngine(), PROFILE)
    assert without_times(response.json()) == without_times(here.as_dict())


@pytest.mark.parametrize(
    ("family", "asked"),
    [
        # From here on a question of each family is like its others.
        pytest.param(
            *one, id=kind, marks=() if kind in ("units", "count_all") else pytest.mark.rebuild
        )
        for one in ASKED
        for kind in [str(one[1].kind)]
    ],
)
def test_a_question_of_the_challenge_can_be_an_analysis(
    service: Service, video: Path, family: str, asked: Asked
) -> None:
    content = video.read_bytes()
    uploaded: Any = service.http.post("/v1/videos", files={"video": ("v.mp4", content)})
    text = word(asked)
    body = {"video_id": uploaded.json()["id"], "task": family, "question": text}
    accepted: Any = service.http.post("/v1/analyses", json=body)
    assert accepted.status_code == 202, accepted.text
    service.worked()
    place = accepted.headers["Location"]
    done: Any = service.http.get(place).json()
    here = answer_video(video, question_of(family, text), EchoEngine(), PROFILE)
    assert (done["status"], done["answer"]["answer"]) == ("succeeded", here.answer)
    events = service.http.get(f"{place}/segments").json()["items"]
    assert [(e["start_s"], e["answer"]) for e in events] == [
        (segment.start_s, segment.answer) for segment in here.segments
    ]


def test_other_words_are_refused(service: Service, video: Path) -> None:
    response: Any = service.ask(video, task="me_vqa", question="What does the face show?")
    assert (response.status_code, response.json()["code"]) == (422, "unknown_question")
    assert response.json()["fields"] == ["question"]


def test_what_can_be_asked_is_listed(service: Service) -> None:
    listed: Any = service.http.get("/v1/tasks").json()
    questions = {task["id"]: task["questions"] for task in listed if task["questions"]}
    assert set(questions) == {family for family, _ in ASKED}
    for family, asked in ASKED:
        assert word(asked) in questions[family]
    for family, texts in questions.items():
        assert all(question_of(family, text).question == text for text in texts)
