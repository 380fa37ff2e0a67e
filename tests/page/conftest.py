"""A browser, a made interview, and services for it to talk to."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from browsing import PATIENCE_MS, Watched
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from mllm_affect.data.made.folders import make_long_video
from tests.live_service import HeldEngine, LiveService, live_service


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's Chromium.

    Ended with each file: while Playwright runs, asyncio refuses to run anything else here.
    """
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("no Chromium on this machine; Debian's package is called chromium")
    alone = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=alone)
        yield started
        started.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    opened = browser.new_context(viewport={"width": 1180, "height": 900}, accept_downloads=True)
    opened.set_default_timeout(PATIENCE_MS)
    yield opened
    opened.close()


@pytest.fixture
def watched(context: BrowserContext) -> Watched:
    return Watched(context.new_page())


@pytest.fixture
def page(watched: Watched) -> Page:
    return watched.page


@pytest.fixture(scope="session")
def interview(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drawn person who speaks for twenty seconds: four segments."""
    path = tmp_path_factory.mktemp("filmed") / "an interview.mp4"
    make_long_video(path, seed=3)
    return path


@pytest.fixture(scope="session")
def engine() -> HeldEngine:
    return HeldEngine()


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory, engine: HeldEngine) -> Iterator[LiveService]:
    with live_service(tmp_path_factory.mktemp("store"), engine) as service:
        yield service


@pytest.fixture
def service(shared: LiveService, engine: HeldEngine) -> Iterator[LiveService]:
    """A service whose answers come at once, unless a test holds `engine`."""
    yield shared
    engine.free()


@pytest.fixture
def asked(page: Page, service: LiveService, interview: Path) -> Callable[[], Page]:
    """Ask the first task about the interview, and return the page while it works."""

    def ask() -> Page:
        page.goto(service.url)
        page.set_input_files("#file", interview)
        page.get_by_role("button", name="Analyse the video").click()
        page.wait_for_url("**/#/analyses/*")
        return page

    return ask


@pytest.fixture(scope="session")
def answered(shared: LiveService, interview: Path) -> str:
    """The path of a finished analysis of the interview, for tests that only look at it."""
    with httpx.Client(base_url=shared.url, timeout=60.0) as http:
        video = http.post("/v1/videos", content=interview.read_bytes()).json()
        made = http.post("/v1/analyses", json={"video_id": video["id"], "task": "ah"}).json()
        while http.get(f"/v1/analyses/{made['id']}").json()["status"] != "succeeded":
            time.sleep(0.05)
        return f"/#/analyses/{made['id']}"


@pytest.fixture
def answer_page(page: Page, service: LiveService, answered: str) -> Page:
    """The page that shows it, speech and face included."""
    page.goto(service.url + answered)
    page.wait_for_selector(".said")
    page.locator(".timeline .speech").first.wait_for(state="attached")
    return page
