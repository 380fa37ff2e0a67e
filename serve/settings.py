"""Everything about the service that can be set, in one place.

Does: hold settings and refuse unsafe ones.  Does not: read the environment, or keys (see keys).
"""

import ipaddress
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from mllm_affect.errors import UserError
from mllm_affect.media.limits import Limits
from serve.connection_limits import ConnectionLimits
from serve.keys import ApiKey
from serve.webhooks.settings import WebhookSettings

TEMPORARY_DATA = "mllm-affect-data-"
"""Beginning of the name of a data folder that ends with its process."""

HOUR = 3600.0
DAY = 24 * HOUR


class ServiceSettings(BaseModel):
    """Settings of one service process; all times in seconds.

    `keys` empty: no key is asked for, and the service stays on this machine.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=1, le=65535)
    root_path: str = Field(
        default="", description="Path prefix of a reverse proxy, as /affect; see paths."
    )
    allow_origins: tuple[str, ...] = Field(
        default=(), description="Origins whose pages may use the service; see origins."
    )
    keys: tuple[ApiKey, ...] = ()
    data: Path | None = Field(
        default=None, description="Folder of database and media; None: a temporary one."
    )
    database_url: str | None = Field(
        default=None, repr=False, description="PostgreSQL; None: SQLite in the folder."
    )
    database_wait_s: float = Field(
        default=60.0, ge=0, description="Wait at the start for a database that is not there yet."
    )
    audit_log: Path | None = Field(
        default=None, description="File that gets a JSON line for every request; no content."
    )

    otlp_endpoint: str | None = Field(
        default=None, description="OpenTelemetry collector that gets traces; None: no traces."
    )
    require_sandbox: bool = Field(
        default=False, description="Refuse to start, and to decode, where a layer is missing."
    )
    max_upload_bytes: int = Field(default=512 << 20, ge=1)
    max_video_seconds: float = Field(default=600.0, gt=0)
    ask_video_seconds: float = Field(default=120.0, gt=0)
    most_waiting: int = Field(default=10_000, ge=1)
    retry_after_s: int = Field(default=1, ge=1)

    keep_media_s: float = Field(default=DAY, gt=0)
    keep_results_s: float = Field(default=30 * DAY, gt=0)
    clip_cache_bytes: int = Field(default=4 << 30, ge=0)

    connections: ConnectionLimits = ConnectionLimits()
    decoders_at_once: int | None = Field(
        default=None, ge=1, description="Videos that requests decode; None: one a core."
    )
    question_s: float = Field(
        default=120.0, gt=0, description="One question about one clip, from the first request on."
    )

    webhooks: WebhookSettings = WebhookSettings()

    jobs_at_once: int = Field(default=2, ge=0, description="Analyses worked on here; 0: none.")
    in_flight: int = Field(default=8, ge=1, description="Clips of one video in flight.")
    lease_s: float = Field(default=15.0, gt=0)
    drain_s: float = Field(default=8.0, gt=0)

    @property
    def limits(self) -> Limits:
        """Bounds on an uploaded video."""
        return Limits(
            bytes=self.max_upload_bytes,
            seconds=self.max_video_seconds,
            full_sandbox=self.require_sandbox,
        )

    @property
    def ask_seconds(self) -> float:
        """Length of the longest video that is answered at once."""
        return min(self.ask_video_seconds, self.max_video_seconds)


def refuse_unsafe(settings: ServiceSettings) -> None:
    """Raise UserError `unsafe_bind` for an address beyond this machine without an API key."""
    if not settings.keys and not is_loopback(settings.host):
        raise UserError(
            "unsafe_bind",
            f"Without an API key the service binds to this machine only, not to {settings.host}; "
            "give --api-key-file, or leave --host out.",
        )


def is_loopback(host: str) -> bool:
    """Return whether an address reaches this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
