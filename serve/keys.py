"""Who may ask: API keys, kept as hashes, each with what it may do and how often.

Does: read key files, add a new key to one, find the key that was sent.
Does not: see requests (see guarding).

A key file holds one bare key, which may do everything, or a YAML list of keys, as `mllm-affect key`
writes it:

    # comments and empty lines are skipped
    - name: clinic
      sha256: the SHA-256 of the key in hexadecimal
      scopes: [ask, read]
      requests_per_minute: 120

Videos and analyses belong to the name; other names do not see them.
"""

import hashlib
import hmac
import json
import secrets
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from mllm_affect.errors import UserError
from mllm_affect.files import write_bytes

SHORTEST_KEY = 16
ONE_KEY = "default"
KEY_BYTES = 32
"""Random bytes in a key that we make."""

GUESSABLE = ("", "test", "key", "secret", "password", "changeme", "example", "admin", "token")
"""What people hash to try a key file; no hash of a real key can be told from another."""

Scope = Literal["ask", "read", "erase", "metrics"]
ALL_SCOPES: frozenset[Scope] = frozenset(get_args(Scope))


class ApiKey(BaseModel):
    """One key: `ask` uploads and asks, `read` looks, `erase` deletes, `metrics` scrapes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(default=ONE_KEY, pattern=r"^[A-Za-z0-9_.-]{1,64}$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", repr=False)
    scopes: frozenset[Scope] = ALL_SCOPES
    requests_per_minute: int | None = Field(default=None, ge=1)


def hash_of(key: str) -> str:
    """Return the hash under which a key is kept."""
    return hashlib.sha256(key.encode()).hexdigest()


def find_key(keys: Sequence[ApiKey], given: str | None) -> ApiKey | None:
    """Return the key that was sent, None for a wrong one; takes the same time for each.

    What is shorter than a key may be is wrong, whatever hash the file holds.
    """
    given = given or ""
    digest = hash_of(given)
    found = None
    for key in keys:
        if hmac.compare_digest(digest, key.sha256):
            found = key
    return found if len(given) >= SHORTEST_KEY else None


def read_api_keys(path: Path) -> tuple[ApiKey, ...]:
    """Return the keys of a key file.  Raises UserError `bad_api_key`."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError("bad_api_key", f"No readable API key in {path}; check the path.") from error
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    if len(lines) == 1 and not lines[0].startswith(("- ", "[", "{")):
        return (_bare(lines[0], path),)
    return _listed(text, path)


def add_api_key(
    path: Path, name: str, scopes: Iterable[str], requests_per_minute: int | None
) -> str:
    """Add a new random key to a key file, or make the file; return the key, which is kept nowhere.

    The file is readable by its owner alone.  Raises UserError `bad_api_key` for a file that holds
    no list of keys, a name that is taken or no name.
    """
    before = path.read_text(encoding="utf-8-sig") if path.exists() else ""
    if before.strip() and not before.endswith("\n"):
        before += "\n"
    key = secrets.token_urlsafe(KEY_BYTES)
    lines = [f"- name: {json.dumps(name)}", f"  sha256: {hash_of(key)}"]
    lines += [f"  scopes: [{', '.join(sorted(scopes))}]"]
    if requests_per_minute is not None:
        lines.append(f"  requests_per_minute: {requests_per_minute}")
    text = before + "\n".join(lines) + "\n"
    _listed(text, path)
    write_bytes(path, text.encode(), mode=0o600)
    return key


def _listed(text: str, path: Path) -> tuple[ApiKey, ...]:
    try:
        keys = TypeAdapter(tuple[ApiKey, ...]).validate_python(yaml.safe_load(text))
    except (yaml.YAMLError, ValidationError) as error:
        raise UserError(
            "bad_api_key",
            f"{path} is no list of keys, each with a name of letters, digits, `.`, `_` and `-`, "
            "and a sha256; `mllm-affect key` writes one.",
        ) from error
    if not keys:
        raise UserError("bad_api_key", f"{path} holds no key; `mllm-affect key` adds one.")
    names = [key.name for key in keys]
    if len(set(names)) < len(names):
        raise UserError("bad_api_key", f"Two keys in {path} have the same name; rename one.")
    guessable = {hash_of(word): word for word in GUESSABLE}
    for key in keys:
        if key.sha256 in guessable:
            raise UserError(
                "bad_api_key",
                f"The sha256 of key {key.name} in {path} is that of {guessable[key.sha256]!r}, "
                "which anybody can guess; make a key with `mllm-affect key`.",
            )
    return keys


def _bare(text: str, path: Path) -> ApiKey:
    if len(text) < SHORTEST_KEY:
        raise UserError(
            "bad_api_key",
            f"The API key in {path} has {len(text)} characters; use at least {SHORTEST_KEY}.",
        )
    return ApiKey(sha256=hash_of(text))
