"""The application with an engine without a model, driven in this process."""

from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from mllm_affect.engine.echo import EchoEngine
from mllm_affect.media.types import Sampling
from mllm_affect.model.profile import ModelProfile
from mllm_affect.pipeline import UNSCORED
from mllm_affect.scoring.scoring_file import ScoringFile
from serve.app import create_app
from serve.settings import ServiceSettings

PROFILE = ModelProfile(kind="miniature", sampling=Sampling(fps=4.0, max_pixels=4096), note="A toy.")


class SwitchedEngine(EchoEngine):
    """An engine that can be away."""

    ready = True

    def is_ready(self) -> bool:
        return self.ready


class Service:
    """A test client of the application, its engine beside it."""

    def __init__(
        self,
        settings: ServiceSettings | None = None,
        profile: ModelProfile = PROFILE,
        scorings: ScoringFile = UNSCORED,
        force: bool = False,
        engine: Any = None,
    ) -> None:
        self.engine = SwitchedEngine() if engine is None else engine
        settings = settings or ServiceSettings()
        self.app = create_app(settings, self.engine, profile, scorings, force)
        self.http = TestClient(self.app, raise_server_exceptions=False)

    def ask(self, content: bytes | Path, **fields: object) -> object:
        """POST /v1/ask with a video."""
        data = content.read_bytes() if isinstance(content, Path) else content
        return self.http.post("/v1/ask", files={"video": ("v.mp4", data)}, data=fields)
