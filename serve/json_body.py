"""A JSON body, read within bounds.

Does: parse it beside the event loop, refuse what has too many parts before it is validated, tell a
bounded number of faults.  Does not: bound its bytes (see middleware).
"""

import json
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from mllm_affect.engine.answer_tree import MOST_ANSWERS
from serve.problems import FieldError, told_fields
from serve.request_work import RequestWork

M = TypeVar("M", bound=BaseModel)

MOST_FIELDS = 32
MOST_ITEMS = MOST_ANSWERS
"""Of a list; none of the service's requests holds a longer one."""


async def json_body(request: Request, kind: type[M], work: RequestWork) -> M:
    """Return a request's body.  Raises FieldError `bad_request`."""
    if not _is_json(request.headers.get("content-type", "")):
        raise FieldError("bad_request", "Send JSON, as application/json.", ("body",))
    return await work.parse(parsed, await request.body(), kind)


def parsed(content: bytes, kind: type[M]) -> M:
    """Return what a body holds.  Raises FieldError `bad_request`."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise FieldError(
            "bad_request", "The body is no JSON that can be read.", ("body",)
        ) from error
    _refuse_many(value)
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        fields = told_fields(item["loc"] for item in error.errors(include_input=False))
        detail = f"The request cannot be used: check {', '.join(fields)}."
        raise FieldError("bad_request", detail, fields) from error


def _refuse_many(value: Any) -> None:
    if not isinstance(value, dict):
        raise FieldError("bad_request", "The body is no JSON object.", ("body",))
    if len(value) > MOST_FIELDS:
        raise FieldError("bad_request", f"Send at most {MOST_FIELDS} fields.", ("body",))
    for name, item in value.items():
        if isinstance(item, list | dict) and len(item) > MOST_ITEMS:
            (field,) = told_fields([(name,)])
            raise FieldError("bad_request", f"Give at most {MOST_ITEMS} {field}.", (field,))


def _is_json(content_type: str) -> bool:
    kind = content_type.partition(";")[0].strip().lower()
    return kind == "application/json" or (
        kind.startswith("application/") and kind.endswith("+json")
    )
