"""The page against the real service: progress, reload, cancel, seek, files, and gone again."""

import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import httpx
import pytest
from browsing import Watched, analysis_id, wait_for_video
from playwright.sync_api import Page, expect

from mllm_affect.exports.json_file import read_export
from tests.live_service import HeldEngine, LiveService


def position(page: Page) -> float:
    return float(page.evaluate("document.getElementById('video').currentTime"))


@pytest.mark.rebuild
def test_a_question_of_ones_own_and_another_about_the_same_video(
    page: Page, service: LiveService, interview: Path
) -> None:
    page.goto(service.url)
    page.set_input_files("#file", interview)
    page.get_by_role("radio", name="A question of my own").check()
    page.get_by_label("Your question").fill("Where does <b>she</b> look?")
    page.get_by_label("Allowed answers").fill("left, right , away")
    page.get_by_role("button", name="Analyse the video").click()
    expect(page.locator(".chances li")).to_have_count(3)
    expect(page.get_by_role("heading", level=1)).to_have_text("Where does <b>she</b> look?")
    first = service.get(f"/v1/analyses/{analysis_id(page)}").json()
    page.get_by_role("button", name="Ask something else").click()
    page.get_by_label("Allowed answers").fill("")
    page.get_by_role("button", name="Analyse the video").click()
    expect(page.locator(".said")).to_have_text("One answer a segment: see below.")
    second = service.get(f"/v1/analyses/{analysis_id(page)}").json()
    assert (second["video_id"], second["answers"]) == (first["video_id"], [])
    page.go_back()
    page.go_back()
    expect(page.locator(".chances li")).to_have_count(3)


@pytest.mark.rebuild
def test_a_question_of_the_challenge_is_picked_from_its_list(
    page: Page, service: LiveService, interview: Path
) -> None:
    text = "How many expression events appear in this video?"
    page.goto(service.url)
    page.set_input_files("#file", interview)
    page.get_by_role("radio", name="Expression events in a long video").check()
    offered = page.locator("#wordings option").evaluate_all("all => all.map((one) => one.value)")
    assert text in offered
    page.get_by_label("Which of its questions?").fill(text)
    page.get_by_role("button", name="Analyse the video").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(text)
    page.wait_for_selector(".said")
    asked = service.get(f"/v1/analyses/{analysis_id(page)}").json()
    assert asked["answer"]["question"] == text
    assert page.locator(".said").inner_text() == asked["answer"]["answer"]


def test_progress_is_shown_and_a_reload_goes_on(
    asked: Callable[[], Page], engine: HeldEngine, service: LiveService
) -> None:
    engine.hold()
    page = asked()
    engine.let(1)
    expect(page.locator("#step")).to_have_text("Analysing: 1 of 4 segments")
    assert page.locator("#progress").evaluate("bar => bar.value") == 0.25
    before = analysis_id(page)
    page.reload()
    expect(page.locator("#table tbody tr")).to_have_count(1)
    expect(page.locator("#about")).to_contain_text("an interview.mp4")
    engine.let(1)
    expect(page.locator("#step")).to_have_text("Analysing: 2 of 4 segments")
    engine.free()
    page.wait_for_selector(".said")
    assert analysis_id(page) == before
    expect(page.locator("#working")).to_be_hidden()
    expect(page.locator("#table tbody tr")).to_have_count(4)
    wait_for_video(page)


@pytest.mark.rebuild
def test_without_events_it_asks_again_and_again(
    watched: Watched, asked: Callable[[], Page], engine: HeldEngine
) -> None:
    engine.hold()
    watched.page.route("**/events", lambda route: route.abort())
    page = asked()
    engine.let(1)
    expect(page.locator("#step")).to_have_text("Analysing: 1 of 4 segments")
    engine.free()
    page.wait_for_selector(".said")
    expect(page.locator("#table tbody tr")).to_have_count(4)


def test_cancelling_keeps_what_was_answered(
    asked: Callable[[], Page], engine: HeldEngine, service: LiveService
) -> None:
    engine.hold()
    page = asked()
    engine.let(1)
    expect(page.locator("#table tbody tr")).to_have_count(1)
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#verdict")).to_contain_text("Cancelled")
    expect(page.locator("#working")).to_be_hidden()
    assert service.get(f"/v1/analyses/{analysis_id(page)}").json()["status"] == "cancelled"


def test_erasing_forgets_the_video(page: Page, service: LiveService, interview: Path) -> None:
    another = interview.read_bytes() + b"\0\0\0\x08free"
    page.route("**/observed", lambda route: route.abort())  # not looked at once more
    page.goto(service.url)
    page.set_input_files("#file", {"name": "b.mp4", "mimeType": "video/mp4", "buffer": another})
    page.get_by_role("button", name="Analyse the video").click()
    page.wait_for_selector(".said")
    path = f"/v1/analyses/{analysis_id(page)}"
    video = service.get(path).json()["video_id"]
    page.get_by_role("button", name="Erase").click()
    page.get_by_role("button", name="Keep").click()
    assert service.get(path).status_code == 200
    page.get_by_role("button", name="Erase").click()
    page.get_by_role("dialog").get_by_role("button", name="Erase").click()
    expect(page.get_by_role("heading", name="Ask about a video")).to_be_visible()
    assert service.get(path).status_code == 404
    assert service.get(f"/v1/videos/{video}").status_code == 404


def test_the_timeline_is_a_way_to_anywhere(answer_page: Page) -> None:
    page = answer_page
    wait_for_video(page)
    timeline = page.get_by_role("slider", name="Position in the video")
    third = page.locator(".timeline .span").nth(2).bounding_box()
    assert third
    page.mouse.click(third["x"] + third["width"] / 2, third["y"] + 20)
    assert position(page) == pytest.approx(12.5, abs=0.2)
    expect(timeline).to_have_attribute("aria-valuenow", "12.5")
    expect(page.locator(".timeline .span.now")).to_have_count(1)
    timeline.focus()
    for keys, expected in (
        ("Home", 0.0),
        ("ArrowRight", 1.0),
        ("PageDown", 5.0),
        ("PageDown", 10.0),
        ("ArrowLeft", 9.0),
        ("PageUp", 5.0),
        ("End", 20.0),
    ):
        page.keyboard.press(keys)
        assert position(page) == pytest.approx(expected, abs=0.1), keys
    page.get_by_text("The same as a table").click()
    page.get_by_role("button", name=re.compile("^0:05.0")).click()
    assert position(page) == pytest.approx(5.0, abs=0.1)
    row = page.locator("#table tbody tr").nth(1).locator("td").nth(1).inner_text()
    assert str(timeline.get_attribute("aria-valuetext")).startswith(f"0:05.0 of 0:20.0: {row} ")


def test_every_export_is_downloaded(
    answer_page: Page, service: LiveService, tmp_path: Path
) -> None:
    page = answer_page
    files = {}
    for name in ("JSON", "CSV", "Parquet", "WebVTT", "EAF (ELAN)"):
        with page.expect_download() as waiting:
            page.get_by_role("button", name=name, exact=True).click()
        path = tmp_path / waiting.value.suggested_filename
        waiting.value.save_as(path)
        files[path.suffix] = path
    assert {path.stem for path in files.values()} == {"video-ah"}
    exported = read_export(files[".json"])
    told = service.get(f"/v1/analyses/{analysis_id(page)}").json()["answer"]
    assert exported.answers[0].as_dict() == {
        **told,
        "segments": exported.answers[0].as_dict()["segments"],
    }
    assert (exported.video, len(exported.observed)) == ("video", 4)
    rows = list(csv.DictReader(io.StringIO(files[".csv"].read_text(encoding="utf-8-sig"))))
    assert [float(row["start_s"]) for row in rows] == [0.0, 5.0, 10.0, 15.0]
    assert all(row["speech_share"] for row in rows)
    assert files[".parquet"].read_bytes()[:4] == b"PAR1"
    assert files[".vtt"].read_text().count("-->") == 4
    tiers = {tier.get("TIER_ID") for tier in ElementTree.parse(files[".eaf"]).iter("TIER")}
    assert {"ah", "ah p(yes)", "speech", "pauses"} <= tiers
    assert json.loads(files[".json"].read_text())["notice"]


@pytest.mark.rebuild
def test_what_was_asked_and_said_is_told_to_the_model(
    page: Page, service: LiveService, interview: Path
) -> None:
    page.goto(service.url)
    page.set_input_files("#file", interview)
    page.get_by_role("radio", name="told what the person was asked").check()
    page.get_by_label("What was the person asked?").fill("Would you try again?")
    words = b"WEBVTT\n\n00:01.000 --> 00:02.000\nWell, perhaps.\n"
    page.get_by_label("What is said").set_input_files(
        {"name": "said.vtt", "mimeType": "text/vtt", "buffer": words}
    )
    page.get_by_role("button", name="Analyse the video").click()
    page.wait_for_selector(".said")
    told = service.get(f"/v1/analyses/{analysis_id(page)}").json()["answer"]
    assert told["context_sha256"]
    assert "context_missing" not in [one["code"] for one in told["warnings"]]


@pytest.mark.rebuild
def test_events_stand_where_they_are(page: Page, service: LiveService, interview: Path) -> None:
    video = httpx.post(f"{service.url}/v1/videos", content=interview.read_bytes()).json()["id"]
    question = "How many expression events appear in this video?"
    asked = {"video_id": video, "task": "me_lvqa", "question": question}
    made = httpx.post(f"{service.url}/v1/analyses", json=asked).json()
    page.goto(f"{service.url}/#/analyses/{made['id']}")
    page.wait_for_selector(".said")
    page.locator(".timeline .speech").first.wait_for(state="attached")
    path = f"/v1/analyses/{analysis_id(page)}"
    events = service.get(f"{path}/segments").json()["items"]
    assert service.get(path).json()["answer"]["pooling"] == "profile"
    expect(page.locator(".said")).to_have_text(str(len(events)))
    expect(page.locator(".timeline .chance")).to_have_count(len(events))
    expect(page.locator("#timeline")).to_have_attribute("aria-valuemax", "20.0")
    times = page.locator("#table tbody button").all_text_contents()
    assert len(times) == len(events)
    if events:
        assert times[0].startswith(f"0:{events[0]['start_s']:04.1f}")


def test_a_face_is_marked_where_it_is_when_the_size_changes(answer_page: Page) -> None:
    """The service fits a portrait into a landscape; the browser shows it without the borders."""
    place = answer_page.evaluate(
        """async () => {
          const { onPicture } = await import("/page/reading.js");
          const seen = { width: 640, height: 360 };
          const whole = { left: 219 / 640, top: 0, width: 202 / 640, height: 1 };
          const face = { left: .4, top: .3, width: .1, height: .2 };
          return [onPicture(whole, seen, 360, 640), onPicture(face, seen, 1280, 720)];
        }"""
    )
    assert list(place[0].values()) == pytest.approx([0, 0, 1, 1], abs=0.01)
    assert place[1] == pytest.approx({"left": 0.4, "top": 0.3, "width": 0.1, "height": 0.2})
