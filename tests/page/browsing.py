"""A page of the browser, and what happens in it that nobody sees."""

from dataclasses import dataclass, field

from playwright.sync_api import ConsoleMessage, Page, Request

PATIENCE_MS = 30_000
"""Machines that run tests are busy."""


@dataclass
class Watched:
    """A page, the errors that only its console tells, and the hosts that it asked."""

    page: Page
    errors: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._hear)
        self.page.on("request", self._see)

    def _hear(self, said: ConsoleMessage) -> None:
        if said.type == "error":
            self.errors.append(said.text)

    def _see(self, request: Request) -> None:
        if request.url.startswith("http"):
            self.hosts.add(request.url.split("/")[2])


def analysis_id(page: Page) -> str:
    """The analysis that the page's address names."""
    return page.url.rsplit("/", 1)[1]


def wait_for_video(page: Page) -> None:
    """Wait until the player knows the video; the page's policy forbids strings that are code."""
    page.locator("#video").evaluate(
        "video => video.readyState > 0 || new Promise((done) =>"
        " video.addEventListener('loadedmetadata', () => done(true), { once: true }))"
    )
