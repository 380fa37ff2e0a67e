"""The page over the whole chain: browser, service, vLLM, the miniature."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from browsing import Watched, analysis_id
from engine_server import RunningEngine
from playwright.sync_api import expect

from mllm_affect.engine.balanced import BalancedEngine
from mllm_affect.engine.warm_up import warm_up
from mllm_affect.engine.watched_server import WatchedServer
from mllm_affect.model.profile import read_profile
from tests.live_service import LiveService, live_service


@pytest.fixture
def with_a_model(running_engine: RunningEngine, tmp_path: Path) -> Iterator[LiveService]:
    """The service over vLLM and the miniature."""
    warm = partial(warm_up, sampling=running_engine.sampling)
    engine = BalancedEngine([WatchedServer(running_engine.client(), warm)])
    engine.start()
    profile = read_profile(running_engine.checkpoint)
    with live_service(tmp_path / "store", engine, profile) as service:
        yield service
    engine.close()


@pytest.mark.engine
def test_from_a_file_to_an_answer_of_the_model(
    watched: Watched, with_a_model: LiveService, interview: Path
) -> None:
    page = watched.page
    page.goto(with_a_model.url)
    expect(page.locator("#toy")).to_contain_text("toy model")
    expect(page.locator("footer")).to_contain_text("no lie detector")
    page.set_input_files("#file", interview)
    page.get_by_role("radio", name="Ambivalence or hesitancy Is this").check()
    page.get_by_role("button", name="Analyse the video").click()
    page.wait_for_selector(".said")
    told = with_a_model.get(f"/v1/analyses/{analysis_id(page)}").json()["answer"]
    expect(page.locator(".said")).to_have_text(told["answer"])
    shown = page.locator(".chances li.best")
    written = float(shown.locator("b").inner_text().strip("<> %"))
    assert written == pytest.approx(100 * told["probabilities"][told["answer"]], abs=1.0)
    expect(page.locator(".timeline .chance")).to_have_count(4)
    expect(page.locator(".remarks")).to_contain_text("not calibrated")
    expect(page.locator(".timeline .speech").first).to_be_attached()
    expect(page.locator("#about")).to_contain_text("an interview.mp4 · 20 s")
    assert watched.errors == []
    assert watched.hosts == {urlsplit(with_a_model.url).netloc}, "nothing else was asked"
