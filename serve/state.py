"""What the routes share: settings, the engine, the checkpoint's profile and scoring.

Does: hold them and hand them to routes.  Does not: check keys (see middleware).
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Protocol, cast

from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from mllm_affect.engine.types import Engine
from mllm_affect.errors import UserError
from mllm_affect.media.isolation.sandbox import SandboxLayers
from mllm_affect.model.profile import ModelProfile
from mllm_affect.pipeline import UNSCORED
from mllm_affect.scoring.scoring_file import ScoringFile
from serve.glances import Glances
from serve.meters import Meters
from serve.observing import Observations
from serve.request_work import RequestWork
from serve.settings import ServiceSettings
from serve.store import Store
from serve.store.analyses import StoredAnalysis
from serve.store.videos import StoredVideo


class ReadyEngine(Engine, Protocol):
    """An engine that can be asked whether it answers now."""

    def is_ready(self) -> bool:
        """Return whether it answers now."""
        ...


@dataclass(frozen=True)
class ServiceState:
    """Shared by all requests of one process.

    `force`: answer a task in another wording than the checkpoint was trained or scored with.
    """

    settings: ServiceSettings
    engine: ReadyEngine
    profile: ModelProfile
    store: Store
    scorings: ScoringFile = UNSCORED
    force: bool = False
    sandbox: SandboxLayers = field(default_factory=SandboxLayers)
    """What confines the processes that decode videos here; see sandbox."""
    meters: Meters = field(default_factory=Meters)
    observations: Observations = field(default_factory=Observations)
    on_work: Callable[[], None] = field(default=lambda: None)
    """Called when an analysis was asked for, so that a worker in this process need not wait."""

    glances: Glances = field(default_factory=Glances)
    work: RequestWork = field(default_factory=RequestWork)
    ending: threading.Event = field(default_factory=threading.Event)
    """Set when the process ends: streams of events stop then, their readers come back."""

    def video(self, owner: str, video_id: str) -> StoredVideo:
        """Return an owner's video.  Raises UserError `unknown_video`."""
        found = self.store.videos.get(owner, video_id)
        if found is None:
            raise UserError("unknown_video", "There is no such video; it may have been erased.")
        return found

    def analysis(self, owner: str, analysis_id: str) -> StoredAnalysis:
        """Return an owner's analysis.  Raises UserError `unknown_analysis`."""
        found = self.store.analyses.get(owner, analysis_id)
        if found is None:
            raise UserError(
                "unknown_analysis", "There is no such analysis; it may have been erased."
            )
        return found


async def state_of(request: Request) -> ServiceState:
    """Return the state that the application was made with."""
    return cast(ServiceState, request.app.state.service)


async def owner_of(request: Request) -> str:
    """Return whose request it is: the name of the key, empty where no keys are asked for."""
    return str(getattr(request.state, "owner", ""))


State = Annotated[ServiceState, Depends(state_of)]
Owner = Annotated[str, Depends(owner_of)]

bearer = HTTPBearer(auto_error=False, description="The API key, where the service asks for one.")
"""States the key in the OpenAPI document; it is checked before a body is read."""
