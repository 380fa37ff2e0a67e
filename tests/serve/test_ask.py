"""`POST /v1/ask`: answers, and a clear refusal for everything that is none."""

import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from imageio_ffmpeg import get_ffmpeg_exe
from PIL import Image
from scoring_entry import entry
from service_in_process import PROFILE, Service

from mllm_affect.engine.echo import EchoEngine
from mllm_affect.engine.types import AnswerScores
from mllm_affect.errors import EngineError
from mllm_affect.media.images.folder import ImageFolder, video_file
from mllm_affect.pipeline import answer_video
from mllm_affect.scoring.answers import VideoAnswer
from mllm_affect.scoring.scoring_file import ScoringFile
from mllm_affect.tasks.model_input import ModelInput
from mllm_affect.tasks.prompts import load_task, question_task
from serve.settings import ServiceSettings


@pytest.fixture(autouse=True)
def uploads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where uploads are kept while they are needed; empty after every request."""
    folder = tmp_path / "uploads"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    left = [path.name for path in folder.rglob("*") if path.is_file()]
    assert [name for name in left if not name.startswith(("service.sqlite", "reserve"))] == []


def is_problem(response: Any, status: int, code: str) -> dict[str, Any]:
    """Check that a response is a problem document that gives nothing away; return it."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = response.json()
    assert (document["status"], document["code"]) == (status, code)
    assert document["request_id"] == response.headers["x-request-id"]
    assert document["title"]
    assert document["detail"].endswith(".")
    for secret in ("/tmp", "Traceback", "site-packages", tempfile.gettempdir(), "Errno"):
        assert secret not in response.text
    return document


def without_times(answer: VideoAnswer) -> dict[str, Any]:
    return {name: value for name, value in answer.as_dict().items() if name != "timings_s"}


def test_images_are_asked_about_as_one_video(service: Service, tmp_path: Path) -> None:
    (tmp_path / "clip").mkdir()
    for number in range(8):
        Image.new("L", (64, 64), 30 * number).save(tmp_path / f"clip/{number}.png")
    images = ImageFolder(tmp_path / "clip", 4.0)
    with video_file(images.path, images.fps) as file:
        response: Any = service.ask(file, task="ah")
    answer = VideoAnswer.model_validate(response.json())
    offline = answer_video(images, load_task("ah"), EchoEngine(), PROFILE)
    assert answer.duration_s == 2.0
    assert without_times(answer) == without_times(offline)


def test_a_task_is_answered_as_the_pipeline_answers(service: Service, video: Path) -> None:
    response: Any = service.ask(video, task="ah")
    assert response.status_code == 200
    answer = VideoAnswer.model_validate(response.json())
    offline = answer_video(video, load_task("ah"), EchoEngine(), PROFILE)
    assert without_times(answer) == without_times(offline)
    assert [remark.code for remark in answer.warnings] == ["uncalibrated", "model_miniature"]


def test_a_question_of_ones_own(service: Service, video: Path) -> None:
    response: Any = service.ask(video, question="Smile?", answers=["yes", "no", "perhaps"])
    answer = VideoAnswer.model_validate(response.json())
    assert set(answer.probabilities) == {"yes", "no", "perhaps"}
    assert answer.task == question_task("Smile?", ("yes", "no", "perhaps")).id
    free: Any = service.ask(video, question="Smile?")
    assert free.json()["probabilities"] == {}


def test_a_task_that_was_learned_in_another_wording_is_refused_unless_forced(video: Path) -> None:
    other = PROFILE.model_copy(update={"prompt_hashes": {"ah": "0" * 64}})
    refusing = Service(profile=other)
    is_problem(refusing.ask(video, task="ah"), 422, "other_prompt")
    response: Any = refusing.ask(video, question="Smile?", answers=["yes", "no"])
    assert response.status_code == 200
    forced: Any = Service(profile=other, force=True).ask(video, task="ah")
    assert forced.status_code == 200


def test_the_scoring_beside_the_checkpoint_decides(video: Path) -> None:
    scoring = entry(pooling="max", threshold=0.0, sampling=PROFILE.sampling)
    scored = Service(scorings=ScoringFile().with_task(scoring))
    response: Any = scored.ask(video, task="ah")
    answer = VideoAnswer.model_validate(response.json())
    assert (answer.answer, answer.calibration, answer.pooling) == ("yes", scoring.id, "max")
    stale = Service(scorings=ScoringFile().with_task(entry(max_seconds=2.0)))
    is_problem(stale.ask(video, task="ah"), 422, "other_scoring")


def test_a_video_without_sound_is_answered_with_a_warning(
    service: Service, video: Path, tmp_path: Path
) -> None:
    silent = tmp_path / "silent.mp4"
    command = [get_ffmpeg_exe(), "-loglevel", "error", "-i", str(video), "-an", "-c", "copy"]
    subprocess.run([*command, str(silent)], check=True)
    response: Any = service.ask(silent, task="ah")
    assert response.status_code == 200
    assert response.json()["warnings"][0]["code"] == "no_audio"


def sound_only(video: Path, folder: Path) -> bytes:
    path = folder / "sound.mp4"
    command = [get_ffmpeg_exe(), "-loglevel", "error", "-i", str(video), "-vn", "-c", "copy"]
    subprocess.run([*command, str(path)], check=True)
    return path.read_bytes()


PLAYLIST = b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n"


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"", 422, "empty_file"),
        (b"this is no video\n", 415, "unsupported_container"),
        (PLAYLIST, 415, "unsupported_container"),
        (b"\0\0\0\x20ftypisom" + b"\0" * 500, 422, "unreadable_video"),
    ],
)
def test_files_that_are_no_video(service: Service, content: bytes, status: int, code: str) -> None:
    document = is_problem(service.ask(content, task="ah"), status, code)
    assert document["detail"].startswith("video ")


def test_a_video_without_pictures_or_cut_off(service: Service, video: Path, tmp_path: Path) -> None:
    is_problem(service.ask(sound_only(video, tmp_path), task="ah"), 422, "no_video")
    half = video.read_bytes()
    is_problem(service.ask(half[: len(half) // 2], task="ah"), 422, "unreadable_video")


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"task": "nosuch"}, 404, "unknown_task"),
        ({"task": "/etc/passwd.yaml"}, 404, "unknown_task"),
        ({}, 422, "bad_request"),
        ({"task": "ah", "question": "Why?"}, 422, "bad_request"),
        ({"task": "ah", "answers": ["a", "b"]}, 422, "bad_request"),
        ({"question": "  "}, 422, "bad_question"),
        ({"question": "Why?", "answers": ["one"]}, 422, "bad_question"),
        ({"question": "Why?", "answers": [" a", "b"]}, 422, "bad_answers"),
    ],
)
def test_questions_that_cannot_be_asked(
    service: Service, video: Path, fields: dict[str, Any], status: int, code: str
) -> None:
    is_problem(service.ask(video, **fields), status, code)


def test_requests_that_are_no_form(service: Service) -> None:
    document = is_problem(service.http.post("/v1/ask", json={"task": "ah"}), 422, "bad_request")
    assert document["fields"] == ["video"]
    torn = service.http.post(
        "/v1/ask",
        content=b"--x\r\nContent-Disposition: nonsense",
        headers={"content-type": "multipart/form-data; boundary=x"},
    )
    assert torn.status_code in (400, 422)
    assert torn.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("stated", [True, False])
def test_a_body_that_is_too_large_is_stopped(video: Path, stated: bool) -> None:
    service = Service(ServiceSettings(max_upload_bytes=100_000))
    head = b'--x\r\nContent-Disposition: form-data; name="video"; filename="v"\r\n\r\n'
    sent = 0

    def body() -> Iterator[bytes]:
        nonlocal sent
        yield head
        for _ in range(400):
            sent += 10_000
            yield b"\0" * 10_000
        yield b"\r\n--x--\r\n"

    headers = {"content-type": "multipart/form-data; boundary=x"}
    if stated:
        headers["content-length"] = str(4_000_000)
    response = service.http.post("/v1/ask", content=body(), headers=headers)
    is_problem(response, 413, "file_too_large")


def test_a_video_above_the_limits(video: Path) -> None:
    small = Service(ServiceSettings(max_upload_bytes=10_000))
    is_problem(small.ask(video, task="ah"), 413, "file_too_large")
    short = Service(ServiceSettings(max_video_seconds=2.0))
    is_problem(short.ask(video, task="ah"), 413, "video_too_long")


def test_the_engine_is_away(service: Service, video: Path) -> None:
    service.engine.ready = False
    response: Any = service.ask(video, task="ah")
    is_problem(response, 503, "engine_away")
    assert int(response.headers["retry-after"]) > 0


def test_what_the_model_server_says_stays_inside(
    service: Service, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(inputs: Sequence[ModelInput], answers: Sequence[str]) -> list[AnswerScores]:
        raise EngineError("engine_refused", "refused: /srv/models/x is broken")

    monkeypatch.setattr(service.engine, "score", refuse)
    response: Any = service.ask(video, task="ah")
    is_problem(response, 503, "engine_refused")
    assert "/srv" not in response.text


def test_a_fault_of_ours_gives_nothing_away(
    service: Service, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(inputs: Sequence[ModelInput], answers: Sequence[str]) -> list[AnswerScores]:
        raise RuntimeError("secret")

    monkeypatch.setattr(service.engine, "score", fail)
    response: Any = service.ask(video, task="ah")
    is_problem(response, 500, "internal_error")
    assert "secret" not in response.text
