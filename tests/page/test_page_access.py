"""The page for everybody: screen readers, keyboards, phones, dark rooms; and for nobody else."""

from collections.abc import Callable
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from browsing import Watched
from playwright.sync_api import Page, expect

from serve.routes.page import page_files
from tests.live_service import HeldEngine, LiveService

GRAVE = ("serious", "critical")


def grave(page: Page) -> list[str]:
    """What axe-core finds grave, as lines."""
    page.evaluate("document.fonts.ready")
    return [
        f"{found['id']}: {node['target']}"
        for found in Axe().run(page).response["violations"]
        if found["impact"] in GRAVE
        for node in found["nodes"]
    ]


SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_axe_finds_nothing_grave_while_choosing(
    page: Page, service: LiveService, scheme: Literal["light", "dark"]
) -> None:
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.goto(service.url)
    page.get_by_role("radio", name="A question of my own").check()
    page.get_by_role("button", name="Analyse the video").click()
    expect(page.get_by_role("alert")).to_be_visible()
    assert grave(page) == []


@pytest.mark.parametrize("scheme", SCHEMES)
def test_axe_finds_nothing_grave_in_an_answer(
    answer_page: Page, scheme: Literal["light", "dark"]
) -> None:
    answer_page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    answer_page.get_by_text("The same as a table").click()
    answer_page.get_by_role("button", name="CSV").focus()
    assert grave(answer_page) == []


@pytest.mark.rebuild
def test_axe_finds_nothing_grave_while_it_works(
    asked: Callable[[], Page], engine: HeldEngine
) -> None:
    engine.hold()
    page = asked()
    engine.let(1)
    expect(page.locator("#step")).to_have_text("Analysing: 1 of 4 segments")
    assert grave(page) == []
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#working")).to_be_hidden()
    page.get_by_role("button", name="Erase").click()
    assert grave(page) == []


def test_a_phone_shows_it_all_without_scrolling_sideways(
    page: Page, service: LiveService, answered: str
) -> None:
    page.set_viewport_size({"width": 340, "height": 700})

    def too_wide() -> int:
        return int(page.evaluate("document.documentElement.scrollWidth - innerWidth"))

    page.goto(service.url)
    page.wait_for_selector("#tasks .choice")
    page.locator("#file").set_input_files(
        {"name": f"{'long' * 40}.mp4", "mimeType": "video/mp4", "buffer": b"x"}
    )
    assert too_wide() == 0
    page.goto(service.url + answered)
    page.wait_for_selector(".said")
    page.get_by_text("The same as a table").click()
    assert too_wide() == 0
    for name in ("Ask something else", "Erase", "JSON"):
        box = page.get_by_role("button", name=name, exact=True).bounding_box()
        assert box
        assert box["height"] >= 40, "large enough for a finger"


@pytest.mark.rebuild
def test_a_keyboard_is_enough(page: Page, service: LiveService, interview: object) -> None:
    page.goto(service.url)
    page.wait_for_selector("#tasks .choice")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.locator("#file")).to_be_focused()
    page.set_input_files("#file", str(interview))
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Analyse the video")).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_selector(".said")
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    assert "· mllm-affect" in page.title()


def test_nothing_but_the_files_of_the_page_can_be_had(service: LiveService) -> None:
    index = service.get("/")
    policy = index.headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    for path in ("/page/../app.py", "/page/%2e%2e%2fapp.py", "/page/nothing.js", "/page/"):
        assert service.get(path).status_code == 404
    assert "<script>" not in index.text
    assert " style=" not in index.text
    for name, found in page_files().items():
        same = service.get(f"/page/{name}")
        assert (same.status_code, same.content) == (200, found.content)
        assert b"https://" not in found.content


def test_the_pages_about_the_api_need_no_other_host(watched: Watched, service: LiveService) -> None:
    watched.page.goto(f"{service.url}/docs")
    expect(watched.page.locator("[id^=operations-]").first).to_be_visible()
    assert watched.hosts == {service.url.split("/")[2]}
    assert watched.errors == []
