"""Files of an analysis, and what a video shows besides, over HTTP."""

from pathlib import Path
from typing import Any

import pytest
from service_in_process import Service

from mllm_affect.exports.formats import MEDIA_TYPES, Format
from mllm_affect.exports.json_file import read_export
from mllm_affect.media.observed import Observed
from mllm_affect.media.speech.activity import Span
from mllm_affect.stopping import Stop
from serve import observing
from serve.observing import Observations


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Videos that were looked at; what is found is invented."""
    seen: list[str] = []

    def look(source: Any, _limits: Any, *, max_seconds: float, stop: Any) -> list[Observed]:
        seen.append(source.sha256)
        pause = Span(0.0, 5.0)
        return [Observed(0, 0.0, 5.0, True, (), (pause,), 0.0, 5.0, 0.0, 0.0, ())]

    monkeypatch.setattr(observing, "observe_video", look)
    return seen


def analysed(service: Service, video: Path) -> dict[str, Any]:
    uploaded = service.http.post("/v1/videos", content=video.read_bytes()).json()
    asked = {"video_id": uploaded["id"], "task": "ah"}
    made: dict[str, Any] = service.http.post("/v1/analyses", json=asked).json()
    return made


def test_every_format_can_be_had(service: Service, video: Path, tmp_path: Path) -> None:
    made = analysed(service, video)
    service.worked()
    for form in Format:
        response = service.http.get(
            f"/v1/analyses/{made['id']}/export?format={form}&video=a%0A.mp4"
        )
        assert response.status_code == 200, response.text
        assert response.headers["content-type"] == MEDIA_TYPES[form]
        assert response.headers["content-disposition"] == f'attachment; filename="analysis.{form}"'
        assert response.content
    path = tmp_path / "a.json"
    path.write_bytes(service.http.get(f"/v1/analyses/{made['id']}/export").content)
    (answer,) = read_export(path).answers
    found = service.http.get(f"/v1/analyses/{made['id']}").json()["answer"]
    assert answer.verdict().model_dump(mode="json") == found
    assert len(answer.segments) == 2


def test_what_cannot_be_exported(service: Service, video: Path) -> None:
    made = analysed(service, video)
    early = service.http.get(f"/v1/analyses/{made['id']}/export")
    assert (early.status_code, early.json()["code"]) == (409, "not_answered")
    assert service.http.get(f"/v1/analyses/{'0' * 32}/export").status_code == 404
    odd = service.http.get(f"/v1/analyses/{made['id']}/export?format=docx")
    assert (odd.status_code, odd.json()["fields"]) == (422, ["format"])


def test_a_video_is_looked_at_once_and_forgotten_when_erased(
    service: Service, video: Path, looked: list[str], tmp_path: Path
) -> None:
    made = analysed(service, video)
    service.worked()
    path = f"/v1/videos/{made['video_id']}"
    (seen,) = service.http.get(f"{path}/observed").json()
    assert seen["pauses"] == [{"start_s": 0.0, "end_s": 5.0}]
    exported = tmp_path / "a.json"
    exported.write_bytes(
        service.http.get(f"/v1/analyses/{made['id']}/export?observed=true").content
    )
    assert read_export(exported).observed[0].pauses == (Span(0.0, 5.0),)
    assert len(looked) == 1
    assert service.http.delete(path).status_code == 204
    assert service.http.get(f"{path}/observed").status_code == 404
    analysed(service, video)
    assert service.http.get(f"{path}/observed").status_code == 200
    assert len(looked) == 2


def test_only_the_last_videos_are_remembered(looked: list[str]) -> None:
    observations = Observations(most=2)

    class Named:
        def __init__(self, sha256: str) -> None:
            self.sha256 = sha256

    for name in ("a", "b", "b", "c", "a"):
        observations.of(name, Named(name), 5.0, None, Stop())  # type: ignore[arg-type]
    assert looked == ["a", "b", "c", "a"]


def test_while_another_video_is_looked_at_one_waits(
    service: Service, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observing, "PATIENCE_S", 0.01)
    made = analysed(service, video)
    with service.state.observations._looking:
        response = service.http.get(f"/v1/videos/{made['video_id']}/observed")
    assert (response.status_code, response.json()["code"]) == (503, "looking_elsewhere")
    assert "retry-after" in response.headers
