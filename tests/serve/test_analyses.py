"""Videos and analyses over HTTP: from the upload to the answer, and away again."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from service_in_process import PROFILE, Service

from mllm_affect.engine.echo import EchoEngine
from mllm_affect.errors import EngineError
from mllm_affect.pipeline import answer_video
from mllm_affect.scoring.answers import SegmentAnswer, VideoAnswer, VideoVerdict
from mllm_affect.tasks.prompts import load_task
from serve.keys import ApiKey, hash_of
from serve.settings import ServiceSettings


def uploaded(service: Service, video: Path) -> dict[str, Any]:
    response = service.http.post("/v1/videos", content=video.read_bytes())
    assert response.status_code == 201, response.text
    assert response.headers["location"] == f"/v1/videos/{response.json()['id']}"
    found: dict[str, Any] = response.json()
    return found


def asked(service: Service, video_id: str, **fields: Any) -> dict[str, Any]:
    response = service.http.post("/v1/analyses", json={"video_id": video_id, **fields})
    assert response.status_code == 202, response.text
    found: dict[str, Any] = response.json()
    assert response.headers["location"] == f"/v1/analyses/{found['id']}"
    return found


def kinds(events: str) -> list[str]:
    return [line[7:] for line in events.splitlines() if line.startswith("event: ")]


def files(service: Service) -> set[str]:
    folder = Path(service.folder.name)
    return {
        path.name
        for part in ("videos", "incoming", "clips")
        for path in (folder / part).rglob("*")
        if path.is_file()
    }


def test_a_video_is_known_by_its_bytes(service: Service, video: Path) -> None:
    raw = uploaded(service, video)
    form = service.http.post("/v1/videos", files={"video": ("../../x.mp4", video.read_bytes())})
    assert (form.status_code, form.json()) == (201, raw)
    assert (raw["segments"], raw["width"], raw["height"], raw["has_audio"]) == (2, 64, 64, True)
    assert service.http.get(f"/v1/videos/{raw['id']}").json() == raw
    assert files(service) == {raw["sha256"]}
    content = service.http.get(f"/v1/videos/{raw['id']}/content", headers={"range": "bytes=4-7"})
    assert (content.status_code, content.content) == (206, b"ftyp")
    assert content.headers["content-type"] == "video/mp4"


def test_an_analysis_gives_what_the_pipeline_gives(service: Service, video: Path) -> None:
    made = asked(service, uploaded(service, video)["id"], task="ah")
    assert (made["status"], made["progress"]) == ("queued", {"done": 0, "total": 2})
    service.worked()
    found = service.http.get(f"/v1/analyses/{made['id']}").json()
    assert (found["status"], found["progress"]) == ("succeeded", {"done": 2, "total": 2})
    offline = answer_video(video, load_task("ah"), EchoEngine(), PROFILE)
    verdict = VideoVerdict.model_validate(found["answer"])
    assert verdict == offline.verdict().model_copy(update={"timings_s": verdict.timings_s})
    pages = service.http.get(f"/v1/analyses/{made['id']}/segments").json()
    assert [SegmentAnswer.model_validate(item) for item in pages["items"]] == [*offline.segments]
    VideoAnswer(**verdict.model_dump(), segments=offline.segments)


def test_segments_come_in_pages(service: Service, video: Path) -> None:
    made = asked(service, uploaded(service, video)["id"], task="ah")
    service.worked()
    url = f"/v1/analyses/{made['id']}/segments"
    first = service.http.get(url, params={"limit": 1}).json()
    assert ([item["index"] for item in first["items"]], first["next"]) == ([0], 1)
    last = service.http.get(url, params={"limit": 1, "start": 1}).json()
    assert ([item["index"] for item in last["items"]], last["next"]) == ([1], None)


def test_events_tell_everything_and_can_be_resumed(service: Service, video: Path) -> None:
    made = asked(service, uploaded(service, video)["id"], task="ah")
    service.worked()
    url = f"/v1/analyses/{made['id']}/events"
    response = service.http.get(url)
    assert response.headers["content-type"].startswith("text/event-stream")
    assert kinds(response.text) == ["queued", "running", "segment", "segment", "succeeded"]
    numbers = [int(line[4:]) for line in response.text.splitlines() if line.startswith("id: ")]
    rest = service.http.get(url, headers={"last-event-id": str(numbers[2])})
    assert kinds(rest.text) == ["segment", "succeeded"]
    assert service.http.get(url, headers={"last-event-id": str(numbers[-1])}).status_code == 200


def test_the_same_key_asks_once(service: Service, video: Path) -> None:
    body = {"video_id": uploaded(service, video)["id"], "task": "ah"}
    headers = {"idempotency-key": "mine"}
    first = service.http.post("/v1/analyses", json=body, headers=headers).json()
    assert service.http.post("/v1/analyses", json=body, headers=headers).json() == first
    other = service.http.post("/v1/analyses", json={**body, "task": "ah_demo"}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")
    assert len(service.http.get("/v1/analyses").json()["items"]) == 1


def test_lists_are_paged_newest_first(service: Service, video: Path) -> None:
    video_id = uploaded(service, video)["id"]
    made = [asked(service, video_id, question=f"{n}?", answers=["a", "b"])["id"] for n in range(3)]
    first = service.http.get("/v1/analyses", params={"limit": 2}).json()
    assert [item["id"] for item in first["items"]] == made[:0:-1]
    rest = service.http.get("/v1/analyses", params={"before": first["next"]}).json()
    assert ([item["id"] for item in rest["items"]], rest["next"]) == (made[:1], None)


def test_the_next_page_is_the_same_after_the_last_of_this_one_was_erased(
    service: Service, video: Path
) -> None:
    video_id = uploaded(service, video)["id"]
    made = [asked(service, video_id, question=f"{n}?", answers=["a", "b"])["id"] for n in range(5)]
    first = service.http.get("/v1/analyses", params={"limit": 2}).json()
    for shown in first["items"]:
        assert service.http.delete(f"/v1/analyses/{shown['id']}").status_code == 204
    rest = service.http.get("/v1/analyses", params={"before": first["next"]}).json()
    assert [item["id"] for item in rest["items"]] == made[2::-1]


def test_a_cursor_is_of_one_list_alone(video: Path) -> None:
    keys = tuple(ApiKey(name=name, sha256=hash_of(f"the very long key of {name}")) for name in "ab")
    service = Service(ServiceSettings(keys=keys))
    mine, other = ({"authorization": f"Bearer the very long key of {name}"} for name in "ab")
    content = video.read_bytes()
    found = service.http.post("/v1/videos", content=content, headers=mine).json()
    for _ in range(2):
        body = {"video_id": found["id"], "task": "ah"}
        made = service.http.post("/v1/analyses", json=body, headers=mine).json()
    page = service.http.get("/v1/analyses", params={"limit": 1}, headers=mine).json()
    position = json.loads(base64.urlsafe_b64decode(page["next"] + "=="))
    forged = base64.urlsafe_b64encode(
        json.dumps([float("nan"), "\ud800", position[2]]).encode()
    ).decode().rstrip("=")  # fmt: skip
    for params, headers in (
        ({"before": page["next"]}, other),  # of another owner
        ({"before": page["next"], "video_id": found["id"]}, mine),  # of another list
        ({"before": made["id"]}, mine),  # an id is none
        ({"before": "AAAA"}, mine),
        ({"before": forged}, mine),
    ):
        response = service.http.get("/v1/analyses", params=params, headers=headers)
        assert (response.status_code, response.json()["code"]) == (422, "bad_cursor"), params
    response = service.http.get("/v1/analyses", params={"before": page["next"]}, headers=mine)
    assert len(response.json()["items"]) == 1


def test_a_cancelled_analysis_is_not_worked_on(service: Service, video: Path) -> None:
    made = asked(service, uploaded(service, video)["id"], task="ah")
    found = service.http.post(f"/v1/analyses/{made['id']}/cancel").json()
    assert found["status"] == "cancelled"
    service.worked()
    assert service.http.get(f"/v1/analyses/{made['id']}").json()["status"] == "cancelled"
    assert kinds(service.http.get(f"/v1/analyses/{made['id']}/events").text)[-1] == "cancelled"


def test_erasing_leaves_nothing(service: Service, video: Path) -> None:
    video_id = uploaded(service, video)["id"]
    made = asked(service, video_id, task="ah")
    other = asked(service, video_id, task="ah")
    service.worked()
    assert len(files(service)) > 1  # decoded clips too
    assert service.http.delete(f"/v1/analyses/{made['id']}").status_code == 204
    assert service.http.get(f"/v1/analyses/{made['id']}").json()["code"] == "unknown_analysis"
    assert service.http.get(f"/v1/analyses/{made['id']}/segments").status_code == 404
    assert service.http.delete(f"/v1/videos/{video_id}").status_code == 204
    for path in (f"/v1/videos/{video_id}", f"/v1/analyses/{other['id']}"):
        assert service.http.get(path).status_code == 404
    assert files(service) == set()
    database = Path(service.folder.name) / "service.sqlite"
    service.state.store.close()
    assert video_id.encode() not in database.read_bytes()


def test_an_analysis_waits_for_its_engine_and_goes_on_where_it_was(
    service: Service, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = asked(service, uploaded(service, video)["id"], task="ah")
    asked_about: list[int] = []
    true_score = service.engine.score

    def fails_at_the_second(inputs: Any, answers: Any) -> Any:
        asked_about.extend(one.segment.index for one in inputs)
        if asked_about == [0, 1]:
            raise EngineError("engine_away", "Away.")
        return true_score(inputs, answers)

    monkeypatch.setattr(service.engine, "score", fails_at_the_second)
    monkeypatch.setattr("serve.work.job.ENGINE_WAIT_S", 0.0)
    service.state.settings.__dict__["in_flight"] = 1
    service.worked()
    assert asked_about == [0, 1, 1]
    found = service.http.get(f"/v1/analyses/{made['id']}").json()
    assert found["status"] == "succeeded"
    assert "waiting" in kinds(service.http.get(f"/v1/analyses/{made['id']}/events").text)


def test_a_long_video_is_answered_later(video: Path) -> None:
    service = Service(ServiceSettings(ask_video_seconds=3.0))
    response: Any = service.ask(video, task="ah")
    assert response.status_code == 202
    service.worked()
    found = service.http.get(response.headers["location"]).json()
    assert found["status"] == "succeeded"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"task": "ah"}, 422, "bad_request"),
        ({"video_id": "0" * 32, "task": "ah"}, 404, "unknown_video"),
        ({"video_id": "0" * 32, "task": "nosuch"}, 404, "unknown_task"),
        ({"video_id": "0" * 32}, 422, "bad_request"),
        ({"video_id": "0" * 32, "question": "Why?", "answers": ["a"]}, 422, "bad_question"),
        ({"video_id": "0" * 32, "task": "ah", "more": 1}, 422, "bad_request"),
    ],
)
def test_requests_that_cannot_be_used(
    service: Service, body: dict[str, Any], status: int, code: str
) -> None:
    response = service.http.post("/v1/analyses", json=body)
    assert (response.status_code, response.json()["code"]) == (status, code)


def test_a_refused_upload_leaves_nothing(service: Service) -> None:
    response = service.http.post("/v1/videos", content=b"this is no video\n")
    assert (response.status_code, response.json()["code"]) == (415, "unsupported_container")
    assert files(service) == set()
