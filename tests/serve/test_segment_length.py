"""The service cuts videos into the segments that its checkpoint was trained on, everywhere."""

from pathlib import Path
from typing import Any

import pytest
from service_in_process import PROFILE, Service

from mllm_affect.media.observing import observe_video

LEARNED = PROFILE.model_copy(update={"max_seconds": 2.0})


def test_every_route_uses_the_checkpoints_longest_segment(
    video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = Service(profile=LEARNED)
    http = service.http
    assert http.get("/v1/limits").json()["segment_seconds"] == 2.0
    asked: Any = service.ask(video, task="ah")
    assert (asked.json()["max_seconds"], len(asked.json()["segments"])) == (2.0, 3)
    kept = http.post("/v1/videos", files={"video": ("v.mp4", video.read_bytes())}).json()
    made = http.post("/v1/analyses", json={"video_id": kept["id"], "task": "ah"}).json()
    assert made["progress"]["total"] == 3
    service.worked()
    told = http.get(f"/v1/analyses/{made['id']}").json()
    assert (told["answer"]["max_seconds"], told["progress"]["total"]) == (2.0, 3)
    bounds = []

    def observed(*words: Any, **named: Any) -> Any:
        bounds.append(named["max_seconds"])
        return observe_video(*words, **named)

    monkeypatch.setattr("serve.observing.observe_video", observed)
    shown = http.get(f"/v1/videos/{kept['id']}/observed").json()
    assert [part["end_s"] for part in shown] == pytest.approx([2.0, 4.0, 6.0], abs=0.05)
    http.get(f"/v1/analyses/{made['id']}/export", params={"format": "csv", "observed": True})
    assert bounds == [2.0]  # looked at once, for both


def test_a_checkpoint_that_learned_no_bound_gets_five_seconds(video: Path) -> None:
    service = Service()
    assert service.http.get("/v1/limits").json()["segment_seconds"] == 5.0
    asked: Any = service.ask(video, task="ah")
    assert (asked.json()["max_seconds"], len(asked.json()["segments"])) == (5.0, 2)
