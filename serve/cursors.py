"""Where a page of analyses ended, as an opaque word that the client sends for the next page.

Does: write and read it; refuse one that belongs to another owner, filter or order.
Does not: hide what it holds, or let anybody read more than their own: pages are filtered by owner.

It holds the position itself, so that the next page is the same after the last analysis of this one
was erased.
"""

import base64
import binascii
import json
import math
import re

from mllm_affect.files import sha256_json
from serve.problems import FieldError
from serve.store.analyses import Position

ORDER = "created_s desc, id desc"
PATTERN = r"^[A-Za-z0-9_-]{1,200}$"
ID = re.compile(r"[0-9a-f]{32}", re.ASCII)


def cursor_of(position: Position, owner: str, video_id: str | None) -> str:
    """Return the cursor for what comes after a position in the list of an owner."""
    content = [position.created_s, position.id, _bound_to(owner, video_id)]
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


def position_of(cursor: str, owner: str, video_id: str | None) -> Position:
    """Return the position in a cursor.

    Raises FieldError `bad_cursor` for one that was made for another list or is none.
    """
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        created_s, analysis_id, bound = json.loads(base64.urlsafe_b64decode(padded))
        position = Position(float(created_s), str(analysis_id))
    except (binascii.Error, ValueError, TypeError, OverflowError, RecursionError):
        raise _foreign() from None
    sane = math.isfinite(position.created_s) and ID.fullmatch(position.id)
    if not sane or bound != _bound_to(owner, video_id):
        raise _foreign()
    return position


def _foreign() -> FieldError:
    return FieldError(
        "bad_cursor",
        "This `before` belongs to no page of this list; send the `next` of the page before with "
        "the same key and the same video_id.",
        ("before",),
    )


def _bound_to(owner: str, video_id: str | None) -> str:
    return sha256_json({"owner": owner, "video_id": video_id, "order": ORDER})[:16]
