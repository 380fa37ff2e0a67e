"""The service as an ASGI application.

Does: join routes, error handling and limits.  Does not: start engines or listen (see running).
"""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi_offline import FastAPIOffline

from mllm_affect import __version__
from mllm_affect.client.models import AnalysisRequest
from mllm_affect.engine.echo import EchoEngine
from mllm_affect.model.profile import ModelProfile
from serve.guarding import Door
from serve.meters import Metered
from serve.middleware import BodyLimit, RequestId
from serve.origins import allow_origins
from serve.paths import PathPrefix
from serve.problems import Problem, add_handlers
from serve.request_limit import RequestLimit
from serve.routes import (
    analyses,
    ask,
    events,
    exports,
    health,
    limits,
    metrics,
    page,
    tasks,
    videos,
)
from serve.settings import ServiceSettings
from serve.state import ServiceState
from serve.telemetry import TracedRequests

VIEWER = "/docs/viewer"
"""Where the viewer of /docs is served from: nothing is loaded from other hosts."""
TITLE = "mllm-affect"
ABOUT = (
    "Questions about ambivalence, hesitancy and micro-expressions in a video, answered segment by "
    "segment with probabilities. For research and lawful use with consent; not for judging a "
    "person."
)
RESOURCES = (ask, videos, analyses, events, exports, tasks, limits, health, metrics, page)


def create_app(state: ServiceState) -> FastAPI:
    """Return the application over one state."""
    settings = state.settings
    app = FastAPIOffline(
        title=TITLE, version=__version__, description=ABOUT, redoc_url=None, static_url=VIEWER,
        root_path=settings.root_path,
    )  # fmt: skip
    app.state.service = state
    for resource in RESOURCES:
        app.include_router(resource.router)
    add_handlers(app, settings.retry_after_s)
    app.add_middleware(BodyLimit, max_video_bytes=settings.max_upload_bytes)
    app.add_middleware(
        RequestLimit, owners=len(settings.keys), retry_after_s=settings.retry_after_s
    )
    app.add_middleware(Door, settings=settings)
    allow_origins(app, settings.allow_origins)  # before the door: preflights carry no key
    if settings.otlp_endpoint is not None:
        app.add_middleware(TracedRequests)
    app.add_middleware(RequestId)
    app.add_middleware(Metered, meters=state.meters)
    app.add_middleware(PathPrefix, prefix=settings.root_path)
    app.openapi = lambda: _document(app)  # type: ignore[method-assign]
    return app


def openapi_document() -> dict[str, Any]:
    """Return the OpenAPI document, which depends on neither settings nor engine."""
    nothing: Any = None
    return _document(
        create_app(ServiceState(ServiceSettings(), _NoModel(), ModelProfile(), nothing))
    )


def _document(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        schemas["Problem"] = Problem.model_json_schema()
        schemas["AnalysisRequest"] = AnalysisRequest.model_json_schema()
        app.openapi_schema = document
    return app.openapi_schema


class _NoModel(EchoEngine):
    def is_ready(self) -> bool:
        return True
