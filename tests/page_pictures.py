"""The pictures of the page that the docs show: `make pictures`.

Does: serve the embedded miniature, ask it about a made interview in the system's Chromium, keep
docs/images/page.png and page-dark.png.  Does not: show a real person.
"""

import io
import shutil
import subprocess
import tempfile
from pathlib import Path

from imageio_ffmpeg import get_ffmpeg_exe
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from mllm_affect.data.made.folders import make_long_video
from mllm_affect.engine.transformers_engine import TransformersEngine
from mllm_affect.files import replacing
from mllm_affect.model.miniature import embedded_checkpoint
from mllm_affect.model.profile import read_profile
from tests.live_service import live_service
from tests.without_proxies import remove_proxies

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
SEED = 8
SECONDS = "14.2"
"""Three of its four segments, so that the answer is a clear one."""
WIDE, HIGH = 1100, 1330
SCHEMES = {"page.png": "light", "page-dark.png": "dark"}
MINUTES_MS = 240_000
MOMENT_S = 11.0
SEEK = """(video, seconds) => new Promise((done) => {
  video.addEventListener("seeked", () => done(true), { once: true });
  video.currentTime = seconds;
})"""


class ReadyTransformers(TransformersEngine):
    """The offline engine, behind the service for once."""

    @property
    def model_id(self) -> str:
        """The name under which `mllm-affect serve` has it."""
        return "miniature"

    def is_ready(self) -> bool:
        return True


def main() -> None:
    """Make the pictures."""
    remove_proxies()
    checkpoint = embedded_checkpoint()
    engine, profile = ReadyTransformers(checkpoint), read_profile(checkpoint)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        video = Path(folder) / "interview.mp4"
        make_long_video(Path(folder) / "whole.mp4", SEED)
        cut = ("-i", f"{folder}/whole.mp4", "-t", SECONDS, "-c", "copy", str(video))
        subprocess.run([get_ffmpeg_exe(), "-loglevel", "error", *cut], check=True)
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        with live_service(Path(folder) / "store", engine, profile) as service:
            for name, scheme in SCHEMES.items():
                _keep(_picture(browser, service.url, video, scheme), IMAGES / name)
        browser.close()


def _picture(browser: Browser, url: str, video: Path, scheme: str) -> bytes:
    context = browser.new_context(
        color_scheme=scheme,  # type: ignore[arg-type]
        viewport={"width": WIDE, "height": HIGH},
        reduced_motion="reduce",
    )
    context.set_default_timeout(MINUTES_MS)
    page = context.new_page()
    page.goto(url)
    page.set_input_files("#file", video)
    page.get_by_role("button", name="Analyse the video").click()
    page.wait_for_selector(".said")
    page.locator(".timeline .speech").first.wait_for(state="attached")
    page.locator("#video").evaluate(SEEK, MOMENT_S)
    page.evaluate("document.activeElement.blur()")
    taken = page.screenshot(full_page=True)
    context.close()
    return taken


def _keep(png: bytes, path: Path) -> None:
    """Write the picture, packed tightly."""
    with replacing(path) as temporary:
        Image.open(io.BytesIO(png)).convert("RGB").save(temporary, format="PNG", optimize=True)


if __name__ == "__main__":
    main()
