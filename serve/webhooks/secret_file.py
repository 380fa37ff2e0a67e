"""The file with the secrets that sign webhooks.

Does: read it, refuse what others can read or guess, add a new secret for rotation.
Does not: sign (see mllm_affect.client.webhooks).

One secret a line, `whsec_` and base64, the newest first; `#` begins a comment.  With two secrets
each request has two signatures, so that receivers can change from one to the other.
"""

import base64
import secrets
from pathlib import Path

from pydantic import SecretBytes

from mllm_affect.client.webhooks import SECRET_PREFIX, secret_bytes
from mllm_affect.errors import UserError
from mllm_affect.files import write_bytes

MOST_SECRETS = 2
MADE_BYTES, LEAST_BYTES, MOST_BYTES = 32, 24, 64
LEAST_DIFFERENT_BYTES = 12
"""Of 24 random bytes about 23 differ."""

EXAMPLES = ("MfKQ9r8GKYqrTwj",)
"""How the secrets begin that are printed in the specification and in public libraries."""

OPEN_TO_OTHERS = 0o027
"""Anything by others, writing by the group; a group may read, as containers mount files."""


def read_webhook_secrets(path: Path) -> tuple[SecretBytes, ...]:
    """Return the secrets of a file, the newest first.  Raises UserError `bad_webhook_secret`."""
    try:
        mode = path.stat().st_mode
        lines = _lines(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            "bad_webhook_secret", f"No readable webhook secret in {path}; check the path."
        ) from error
    if mode & OPEN_TO_OTHERS:
        raise UserError(
            "bad_webhook_secret",
            f"Others may read or change {path}, which holds webhook secrets; run `chmod 600` on "
            "it and make a new secret.",
        )
    if not 1 <= len(lines) <= MOST_SECRETS:
        raise UserError(
            "bad_webhook_secret",
            f"{path} holds {len(lines)} webhook secrets; give one, or two to change from one to "
            "the other. `mllm-affect webhook-secret` makes one.",
        )
    return tuple(SecretBytes(_strong(line, path)) for line in lines)


def add_webhook_secret(path: Path) -> str:
    """Put a new random secret at the beginning of a file, or make the file; return the secret.

    The file is readable by its owner alone.  Raises UserError `bad_webhook_secret` for a file that
    cannot be used or holds two secrets already.
    """
    before = ""
    if path.exists():
        known = read_webhook_secrets(path)
        if len(known) >= MOST_SECRETS:
            raise UserError(
                "bad_webhook_secret",
                f"{path} holds two webhook secrets already; remove the last line, which is the "
                "older one, first.",
            )
        before = path.read_text(encoding="utf-8-sig")
    made = SECRET_PREFIX + base64.b64encode(secrets.token_bytes(MADE_BYTES)).decode()
    write_bytes(path, f"{made}\n{before}".encode(), mode=0o600)
    return made


def _lines(text: str) -> list[str]:
    lines = [line.strip() for line in text.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def _strong(line: str, path: Path) -> bytes:
    content = secret_bytes(line) if line.startswith(SECRET_PREFIX) else b""
    if not LEAST_BYTES <= len(content) <= MOST_BYTES:
        raise UserError(
            "bad_webhook_secret",
            f"A line of {path} is no `{SECRET_PREFIX}` with {LEAST_BYTES} to {MOST_BYTES} bytes in "
            "base64; make a secret with `mllm-affect webhook-secret`.",
        )
    guessable = (
        line.removeprefix(SECRET_PREFIX).startswith(EXAMPLES)
        or len(set(content)) < LEAST_DIFFERENT_BYTES
        or all(32 <= byte < 127 for byte in content)  # words, not random bytes
    )
    if guessable:
        raise UserError(
            "bad_webhook_secret",
            f"A webhook secret in {path} is an example or can be guessed; make one with "
            "`mllm-affect webhook-secret`.",
        )
    return content
