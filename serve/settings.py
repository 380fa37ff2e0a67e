"""Everything about the service that can be set, in one place.

Does: hold settings and refuse unsafe ones.  Does not: read the environment.
"""

import hashlib
import hmac
import ipaddress
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from mllm_affect.errors import UserError
from mllm_affect.media.limits import Limits

SHORTEST_KEY = 16


class ServiceSettings(BaseModel):
    """Settings of one service process; `api_key_sha256` None means that no key is asked for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=1, le=65535)
    api_key_sha256: str | None = None
    max_upload_bytes: int = Field(default=512 << 20, ge=1)
    max_video_seconds: float = Field(default=600.0, gt=0)
    retry_after_s: int = Field(default=10, ge=1)

    @property
    def limits(self) -> Limits:
        """Bounds on an uploaded video."""
        return Limits(bytes=self.max_upload_bytes, seconds=self.max_video_seconds)

    def accepts(self, key: str | None) -> bool:
        """Return whether a caller with this key may ask; takes the same time for every key."""
        if self.api_key_sha256 is None:
            return True
        given = hashlib.sha256((key or "").encode()).hexdigest()
        return hmac.compare_digest(given, self.api_key_sha256)


def refuse_unsafe(settings: ServiceSettings) -> None:
    """Raise UserError `unsafe_bind` for an address beyond this machine without an API key."""
    if settings.api_key_sha256 is None and not _is_loopback(settings.host):
        raise UserError(
            "unsafe_bind",
            f"Without an API key the service binds to this machine only, not to {settings.host}; "
            "give --api-key-file, or leave --host out.",
        )


def read_api_key(path: Path) -> str:
    """Return the SHA-256 of the key in a file.  Raises UserError `bad_api_key`."""
    try:
        key = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError("bad_api_key", f"No readable API key in {path}; check the path.") from error
    if len(key) < SHORTEST_KEY:
        raise UserError(
            "bad_api_key",
            f"The API key in {path} has {len(key)} characters; use at least {SHORTEST_KEY}.",
        )
    return hashlib.sha256(key.encode()).hexdigest()


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
