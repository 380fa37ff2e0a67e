"""Who may ask: API keys, kept as hashes, each with what it may do and how often.

Does: read key files, find the key that was sent.  Does not: see requests (see middleware).

A key file holds one bare key, which may do everything, or a YAML list of keys:

    - name: clinic
      sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
      scopes: [ask, read]
      requests_per_minute: 120

Videos and analyses belong to the name; other names do not see them.
"""

import hashlib
import hmac
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from mllm_affect.errors import UserError

SHORTEST_KEY = 16
ONE_KEY = "default"

Scope = Literal["ask", "read", "erase", "metrics"]
ALL_SCOPES: frozenset[Scope] = frozenset(get_args(Scope))


class ApiKey(BaseModel):
    """One key: `ask` uploads and asks, `read` looks, `erase` deletes, `metrics` scrapes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(default=ONE_KEY, pattern=r"^[A-Za-z0-9_.-]{1,64}$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", repr=False)
    scopes: frozenset[Scope] = ALL_SCOPES
    requests_per_minute: int | None = Field(default=None, ge=1)


def find_key(keys: Sequence[ApiKey], given: str | None) -> ApiKey | None:
    """Return the key that was sent, None for a wrong one; takes the same time for each."""
    digest = hashlib.sha256((given or "").encode()).hexdigest()
    found = None
    for key in keys:
        if hmac.compare_digest(digest, key.sha256):
            found = key
    return found


def read_api_keys(path: Path) -> tuple[ApiKey, ...]:
    """Return the keys of a key file.  Raises UserError `bad_api_key`."""
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError("bad_api_key", f"No readable API key in {path}; check the path.") from error
    if not text.startswith("- "):
        return (_bare(text, path),)
    try:
        keys = TypeAdapter(tuple[ApiKey, ...]).validate_python(yaml.safe_load(text))
    except (yaml.YAMLError, ValidationError) as error:
        raise UserError(
            "bad_api_key", f"{path} is no list of keys with name and sha256; see docs/security.md."
        ) from error
    names = [key.name for key in keys]
    if len(set(names)) < len(names):
        raise UserError("bad_api_key", f"Two keys in {path} have the same name; rename one.")
    return keys


def _bare(text: str, path: Path) -> ApiKey:
    if len(text) < SHORTEST_KEY:
        raise UserError(
            "bad_api_key",
            f"The API key in {path} has {len(text)} characters; use at least {SHORTEST_KEY}.",
        )
    return ApiKey(sha256=hashlib.sha256(text.encode()).hexdigest())
