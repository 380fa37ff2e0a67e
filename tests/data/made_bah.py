"""Helpers: a made release's text files beside empty videos, for tests that open none."""

from pathlib import Path

from mllm_affect.data.bah.made_plan import PlannedVideo, ReleasePlan, plan_release
from mllm_affect.data.bah.made_release import REFUSED, path_of, write_texts

SMALL = ReleasePlan(participants=(6, 2, 2), videos_each=2, seed=3)


def write_release_texts(folder: Path, plan: ReleasePlan = SMALL) -> list[PlannedVideo]:
    """Write a release whose videos are empty files; return what was planned."""
    videos = plan_release(plan)
    paths = [path_of(video, number) for number, video in enumerate(videos)]
    refused = f"Videos/{REFUSED}/Visite_1/{REFUSED}_Question_1_2031-01-01_080000_Video.mp4"
    for path in (*paths, refused):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).touch()
    write_texts(folder, videos)
    return videos
