"""The page below a path of a reverse proxy, from the video to its answer."""

import re
from pathlib import Path

import pytest
from browsing import Watched
from playwright.sync_api import expect

from serve.settings import ServiceSettings
from tests.live_service import TOY, HeldEngine, live_service
from tests.reverse_proxy import reverse_proxy

PREFIX = "/affect"


@pytest.mark.parametrize(
    ("root_path", "removes_prefix"), [(PREFIX, True), (PREFIX, False), ("", True)]
)
def test_a_question_is_answered_below_a_prefix(
    watched: Watched, interview: Path, tmp_path: Path, root_path: str, removes_prefix: bool
) -> None:
    settings = ServiceSettings(in_flight=1, root_path=root_path)
    page = watched.page
    with (
        live_service(tmp_path, HeldEngine(), TOY, settings) as service,
        reverse_proxy(service.url, PREFIX, removes_prefix) as proxy,
    ):
        page.goto(f"{proxy}{PREFIX}/")
        page.set_input_files("#file", interview)
        page.get_by_role("button", name="Analyse the video").click()
        page.wait_for_url(f"{proxy}{PREFIX}/#/analyses/*")
        page.wait_for_selector(".said")
        page.reload()
        page.wait_for_selector(".said")
        kept = re.compile(re.escape(f"{proxy}{PREFIX}/v1/videos/"))
        expect(page.locator("#video")).to_have_attribute("src", kept)
        page.locator("a.brand").click()
        expect(page.get_by_role("button", name="Analyse the video")).to_be_visible()
        if root_path:
            page.get_by_role("link", name="API").click()
            expect(page.locator("#swagger-ui .opblock").first).to_be_visible()
        assert watched.hosts == {proxy.removeprefix("http://")}
        assert watched.errors == []
        page.goto("about:blank")
