"""What the routes share: settings, the engine, the checkpoint's profile and scoring.

Does: hold them and hand them to routes.  Does not: check keys (see middleware).
"""

from dataclasses import dataclass
from typing import Annotated, Protocol, cast

from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from mllm_affect.engine.types import Engine
from mllm_affect.model.profile import ModelProfile
from mllm_affect.pipeline import UNSCORED
from mllm_affect.scoring.scoring_file import ScoringFile
from serve.settings import ServiceSettings


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
    scorings: ScoringFile = UNSCORED
    force: bool = False


def state_of(request: Request) -> ServiceState:
    """Return the state that the application was made with."""
    return cast(ServiceState, request.app.state.service)


State = Annotated[ServiceState, Depends(state_of)]

bearer = HTTPBearer(auto_error=False, description="The API key, where the service asks for one.")
"""States the key in the OpenAPI document; it is checked before a body is read."""
