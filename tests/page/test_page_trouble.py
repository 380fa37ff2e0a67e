"""What goes wrong is said kindly, and nothing of what was chosen is lost."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from browsing import wait_for_video
from playwright.sync_api import Page, expect

from mllm_affect.errors import UserError
from serve.keys import ApiKey
from serve.settings import ServiceSettings
from tests.live_service import HeldEngine, LiveService, live_service

KEY = "correct horse battery"


def choose(page: Page, name: str, content: bytes) -> None:
    page.set_input_files("#file", {"name": name, "mimeType": "video/mp4", "buffer": content})
    page.get_by_role("button", name="Analyse the video").click()


@pytest.mark.parametrize(
    ("content", "title"),
    [
        (b"#EXTM3U\nfile:///etc/passwd\n", "This is not a video we can read"),
        (b"", "This file is empty"),
    ],
)
def test_a_file_that_is_no_video(
    page: Page, service: LiveService, content: bytes, title: str
) -> None:
    page.goto(service.url)
    choose(page, "holiday.mp4", content)
    problem = page.get_by_role("alert")
    expect(problem.get_by_role("heading")).to_have_text(title)
    expect(problem).to_be_focused()
    expect(problem).to_contain_text("request ")
    expect(page.locator("#chosen")).to_have_text("holiday.mp4")
    expect(page.get_by_role("button", name="Analyse the video")).to_be_enabled()


def test_what_is_missing_is_asked_for(page: Page, service: LiveService, interview: Path) -> None:
    page.goto(service.url)
    page.get_by_role("button", name="Analyse the video").click()
    expect(page.get_by_role("alert")).to_have_text("Choose a video first.")
    page.set_input_files("#file", interview)
    page.get_by_role("radio", name="A question of my own").check()
    page.get_by_role("button", name="Analyse the video").click()
    expect(page.get_by_role("alert")).to_have_text("Write your question first.")
    expect(page.get_by_label("Your question")).to_be_focused()


@pytest.mark.rebuild
def test_answers_that_cannot_be_asked_bring_the_form_back(
    page: Page, service: LiveService, interview: Path
) -> None:
    page.goto(service.url)
    page.set_input_files("#file", interview)
    page.get_by_role("radio", name="A question of my own").check()
    page.get_by_label("Your question").fill("Smile?")
    page.get_by_label("Allowed answers").fill("yes")
    page.get_by_role("button", name="Analyse the video").click()
    expect(page.get_by_role("alert")).to_contain_text("This question cannot be asked")
    page.get_by_label("Allowed answers").fill("yes, no")
    page.get_by_role("button", name="Analyse the video").click()
    page.wait_for_selector(".said")
    expect(page.get_by_role("alert")).to_be_hidden()


@pytest.mark.rebuild
def test_an_analysis_that_fails(
    asked: Callable[[], Page], engine: HeldEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_asked: object) -> None:
        raise UserError("unreadable_video", "video cannot be read to its end.")

    monkeypatch.setattr(engine, "score", fail)
    page = asked()
    expect(page.get_by_role("alert")).to_contain_text("damaged or incomplete")
    expect(page.locator("#verdict")).to_have_text("There is no answer.")


def test_an_address_of_something_that_was_erased(page: Page, service: LiveService) -> None:
    page.goto(f"{service.url}/#/analyses/{'0' * 32}")
    expect(page.get_by_role("alert")).to_contain_text("This answer is not here any more")


@pytest.mark.rebuild
def test_a_service_that_is_gone(page: Page, service: LiveService, interview: Path) -> None:
    page.goto(service.url)
    page.set_input_files("#file", interview)
    page.route("**/v1/videos", lambda route: route.abort())
    page.get_by_role("button", name="Analyse the video").click()
    expect(page.get_by_role("alert")).to_contain_text("The service cannot be reached")
    page.unroute("**/v1/videos")
    page.get_by_role("button", name="Analyse the video").click()
    page.wait_for_selector(".said")


@pytest.fixture
def keyed(tmp_path: Path) -> Iterator[LiveService]:
    settings = ServiceSettings(
        keys=(ApiKey(name="a", sha256=hashlib.sha256(KEY.encode()).hexdigest()),)
    )
    with live_service(tmp_path / "store", HeldEngine(), settings=settings) as service:
        yield service


@pytest.mark.rebuild
def test_the_key_is_asked_for_once(page: Page, keyed: LiveService, interview: Path) -> None:
    page.goto(keyed.url)
    dialog = page.get_by_role("dialog", name="This service asks for a key")
    dialog.get_by_label("API key").fill("wrong")
    dialog.get_by_role("button", name="Go on").click()
    expect(dialog).to_be_visible()
    dialog.get_by_label("API key").fill(KEY)
    dialog.get_by_role("button", name="Go on").click()
    page.set_input_files("#file", interview)
    page.get_by_role("button", name="Analyse the video").click()
    page.wait_for_selector(".said")
    page.reload()
    page.wait_for_selector(".said")
    wait_for_video(page)
    with page.expect_download() as waiting:
        page.get_by_role("button", name="CSV", exact=True).click()
    assert waiting.value.suggested_filename == "an interview-ah.csv"


@pytest.mark.rebuild
def test_nothing_can_be_asked_before_it_is_listed(page: Page, service: LiveService) -> None:
    page.route("**/v1/tasks", lambda _route: None)
    page.goto(service.url)
    expect(page.get_by_role("button", name="Analyse the video")).to_be_disabled()
    page.unroute_all(behavior="ignoreErrors")
    page.reload()
    expect(page.get_by_role("button", name="Analyse the video")).to_be_enabled()
