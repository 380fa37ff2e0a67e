"""The challenge's questions over HTTP: the same answer as in Python, at once and later."""

from pathlib import Path
from typing import Any

import pytest
from service_in_process import PROFILE, Service

from mllm_affect.data.megc.questions import Asked, Kind, word
from mllm_affect.engine.echo import EchoEngine
from mllm_affect.expressions.answering import answer_video
from mllm_affect.expressions.questions import question_of

ASKED = [
    ("me_vqa", Asked(Kind.coarse)),
    ("me_vqa", Asked(Kind.joint_units)),
    ("me_vqa", Asked(Kind.unit_shown, unit="dimpler")),
    ("me_lvqa", Asked(Kind.count_all)),
    ("me_lvqa", Asked(Kind.event_type, number=2)),
]


def without_times(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name != "timings_s"}


@pytest.mark.parametrize(("family", "asked"), ASKED, ids=lambda one: str(one))
def test_a_question_of_the_challenge_is_answered_at_once(
    service: Service, video: Path, family: str, asked: Asked
) -> None:
    response: Any = service.ask(video, task=family, question=word(asked))
    assert response.status_code == 200, response.text
    here = answer_video(video, question_of(family, word(asked)), EchoEngine(), PROFILE)
    assert without_times(response.json()) == without_times(here.as_dict())


def test_a_question_of_the_challenge_can_be_an_analysis(service: Service, video: Path) -> None:
    content = video.read_bytes()
    uploaded: Any = service.http.post("/v1/videos", files={"video": ("v.mp4", content)})
    text = word(Asked(Kind.count_all))
    body = {"video_id": uploaded.json()["id"], "task": "me_lvqa", "question": text}
    asked: Any = service.http.post("/v1/analyses", json=body)
    assert asked.status_code == 202, asked.text
    service.worked()
    place = asked.headers["Location"]
    done: Any = service.http.get(place).json()
    here = answer_video(video, question_of("me_lvqa", text), EchoEngine(), PROFILE)
    assert (done["status"], done["answer"]["answer"]) == ("succeeded", here.answer)
    events = service.http.get(f"{place}/segments").json()["items"]
    assert [(e["start_s"], e["answer"]) for e in events] == [
        (segment.start_s, segment.answer) for segment in here.segments
    ]


def test_other_words_are_refused(service: Service, video: Path) -> None:
    response: Any = service.ask(video, task="me_vqa", question="What does the face show?")
    assert (response.status_code, response.json()["code"]) == (422, "unknown_question")
    assert response.json()["fields"] == ["question"]
