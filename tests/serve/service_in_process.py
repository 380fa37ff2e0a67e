"""The application with an engine without a model, driven in this process."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fastapi.testclient import TestClient

from mllm_affect.engine.echo import EchoEngine
from mllm_affect.media.types import Sampling
from mllm_affect.model.profile import ModelProfile
from mllm_affect.pipeline import UNSCORED
from mllm_affect.scoring.scoring_file import ScoringFile
from serve.app import create_app
from serve.request_work import RequestWork
from serve.settings import ServiceSettings
from serve.state import ServiceState
from serve.store import Store
from serve.work.worker import Worker

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
        database_url: str | None = None,
        data: Path | None = None,
    ) -> None:
        self.engine = SwitchedEngine() if engine is None else engine
        settings = settings or ServiceSettings()
        self.folder = TemporaryDirectory()
        store = Store.open(data or Path(self.folder.name), database_url)
        work = RequestWork(settings.decoders_at_once, len(settings.keys))
        self.state = ServiceState(settings, self.engine, profile, store, scorings, force, work=work)
        self.app = create_app(self.state)
        self.http = TestClient(
            self.app, raise_server_exceptions=False, base_url="http://127.0.0.1:8000"
        )

    def worked(self) -> None:
        """Work on what was asked for until nothing waits."""
        worker = Worker(self.state)
        while worker.work_once():
            pass

    def ask(self, content: bytes | Path, **fields: object) -> object:
        """POST /v1/ask with a video."""
        data = content.read_bytes() if isinstance(content, Path) else content
        return self.http.post("/v1/ask", files={"video": ("v.mp4", data)}, data=fields)
