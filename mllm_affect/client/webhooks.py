"""Signatures of completion webhooks, after the Standard Webhooks specification.

Does: sign what the service sends, verify what a receiver gets.  Does not: send or listen.

A request has the headers `webhook-id`, `webhook-timestamp` (whole seconds since 1970) and
`webhook-signature`: one or more of `v1,` and the base64 of HMAC-SHA256 over
`id.timestamp.body`, separated by spaces, one for each secret that the sender holds.
"""

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Mapping, Sequence
from datetime import datetime

from pydantic import BaseModel, ValidationError

from mllm_affect.client.models import Status
from mllm_affect.errors import UserError

SECRET_PREFIX = "whsec_"
TOLERANCE_S = 300.0
"""A signature is good for so long, before and after its time by the receiver's clock."""

ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
MOST_SIGNATURES = 8


class EndedAnalysis(BaseModel):
    """The analysis that has ended; `path` is where the service has it, to be read with a key."""

    id: str
    status: Status
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime
    path: str


class WebhookEvent(BaseModel):
    """What a webhook tells; `type` is `analysis.` and the status."""

    type: str
    timestamp: datetime
    data: EndedAnalysis


def secret_bytes(secret: str) -> bytes:
    """Return the bytes of a secret, `whsec_` and base64.  Raises UserError `bad_webhook_secret`."""
    encoded = secret.strip().removeprefix(SECRET_PREFIX)
    try:
        padding = "=" * (-len(encoded) % 4)  # some tools leave it out
        content = base64.b64decode(encoded + padding, validate=True)
    except (ValueError, binascii.Error):
        content = b""
    if not content:
        raise UserError(
            "bad_webhook_secret",
            "A webhook secret is `whsec_` and base64; make one with `mllm-affect webhook-secret`.",
        )
    return content


def webhook_headers(
    secrets: Sequence[bytes], delivery_id: str, timestamp: int, body: bytes
) -> dict[str, str]:
    """Return the headers that identify and sign a body, with a signature for each secret."""
    signatures = [_signature(secret, delivery_id, str(timestamp), body) for secret in secrets]
    return {ID: delivery_id, TIMESTAMP: str(timestamp), SIGNATURE: " ".join(signatures)}


def verified_webhook(
    body: bytes,
    headers: Mapping[str, str],
    secrets: str | Sequence[str],
    *,
    tolerance_s: float = TOLERANCE_S,
    now_s: float | None = None,
) -> WebhookEvent:
    """Return what a webhook tells, once its signature and time are known to be good.

    `body`: the bytes of the request's body, as they came.  `headers`: those of the request; names
    in any case.  `secrets`: one secret, or all that are in use now.  `now_s`: seconds since 1970,
    by default those of this machine.
    Raises UserError: `bad_webhook_signature` (a header is missing or no signature fits),
    `webhook_out_of_time` (older or newer than `tolerance_s`), `bad_webhook_body` (signed, but not
    an event known here), `bad_webhook_secret`.
    """
    keys = [secret_bytes(one) for one in ([secrets] if isinstance(secrets, str) else secrets)]
    if not keys:
        raise UserError("bad_webhook_secret", "No webhook secret was given; give at least one.")
    named = {name.lower(): value for name, value in headers.items()}
    delivery_id, timestamp = named.get(ID, ""), named.get(TIMESTAMP, "")
    given = [one.encode("utf-8", "replace") for one in named.get(SIGNATURE, "").split()]
    fits = False
    for key in keys:
        wanted = _signature(key, delivery_id, timestamp, body).encode()
        for one in given[:MOST_SIGNATURES]:
            fits |= hmac.compare_digest(wanted, one)
    plain_time = timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= 12
    if not (fits and delivery_id and plain_time):
        raise UserError(
            "bad_webhook_signature", "The webhook's signature is missing or wrong; do not use it."
        )
    now_s = time.time() if now_s is None else now_s
    if abs(now_s - int(timestamp)) > tolerance_s:
        raise UserError(
            "webhook_out_of_time",
            f"The webhook was signed more than {tolerance_s:g} s from now; it may be a replay, or "
            "a clock is wrong.",
        )
    try:
        return WebhookEvent.model_validate_json(body)
    except ValidationError as error:
        raise UserError(
            "bad_webhook_body", "The webhook's signature is good, but its body is no known event."
        ) from error


def _signature(secret: bytes, delivery_id: str, timestamp: str, body: bytes) -> str:
    signed = f"{delivery_id}.{timestamp}.".encode("utf-8", "replace") + body
    digest = hmac.new(secret, signed, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"
