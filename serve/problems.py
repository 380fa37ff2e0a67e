"""How the service says that something went wrong: RFC 9457 problem documents.

Does: map errors to a status, a stable code and one sentence.  Does not: show paths, stacks or what
a decoder printed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from itertools import islice
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.requests import ClientDisconnect

from mllm_affect.errors import EngineError, UserError
from serve.store.storage_errors import DatabaseAwayError, StorageAwayError, StorageFullError

MEDIA_TYPE = "application/problem+json"

STATUS_OF_CODE = {
    "unknown_task": HTTPStatus.NOT_FOUND,
    "unknown_video": HTTPStatus.NOT_FOUND,
    "unknown_analysis": HTTPStatus.NOT_FOUND,
    "not_answered": HTTPStatus.CONFLICT,
    "idempotency_conflict": HTTPStatus.CONFLICT,
    "queue_full": HTTPStatus.TOO_MANY_REQUESTS,
    "too_many_at_once": HTTPStatus.TOO_MANY_REQUESTS,
    "file_too_large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "video_too_long": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "transcript_too_large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "audio_too_long": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "media_too_big": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "sandbox_missing": HTTPStatus.SERVICE_UNAVAILABLE,
    "media_killed": HTTPStatus.SERVICE_UNAVAILABLE,
    "unsupported_container": HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "unsupported_codec": HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
}
"""Codes of UserError with a status of their own; every other one is 422."""

WITHHELD = {
    "engine_refused": "The model server refused the question; the service's log says why.",
    "engine_died": "The model server has ended.",
}
"""What is said instead of sentences that quote the model server."""


MOST_TOLD = 10
LONGEST_NAME = 64
"""What is told of a request's fields, whose names may be its client's own."""


@dataclass(frozen=True)
class BodyBound:
    """What a body may have; `is_video`: it brings a video, and what surrounds one."""

    max_bytes: int
    is_video: bool


class BodyTooLargeError(HTTPException):
    """The body shows more bytes than allowed; this kind alone passes through body parsing."""

    def __init__(self, bound: BodyBound) -> None:
        super().__init__(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        self.bound = bound


class FieldError(UserError):
    """A request that cannot be used because of these fields."""

    def __init__(self, code: str, sentence: str, fields: Sequence[str]) -> None:
        super().__init__(code, sentence)
        self.fields = tuple(fields)


class Problem(BaseModel):
    """An RFC 9457 problem; `code` is stable, `detail` is one sentence for people."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    fields: list[str] = []


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI description of the problems that a route may answer with."""
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in statuses
    }


def problem(
    request: Request, status: int, code: str, detail: str, fields: Sequence[str] = ()
) -> JSONResponse:
    """Return the response for one problem."""
    content = Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=_sendable(detail),
        code=code,
        request_id=getattr(request.state, "request_id", ""),
        fields=[_sendable(field) for field in fields],
    )
    return JSONResponse(content.model_dump(), status, media_type=MEDIA_TYPE)


def _sendable(text: str) -> str:
    """Return a text that may quote a client so that UTF-8 can spell it."""
    return text.encode("utf-8", "replace").decode("utf-8")


def told_fields(places: Iterable[Sequence[int | str]]) -> list[str]:
    """Return the names of the fields that faults are in, a bounded number of bounded length."""
    names = {_told(place) for place in islice(places, 10 * MOST_TOLD)}
    return sorted(names)[:MOST_TOLD]


def _told(place: Sequence[int | str]) -> str:
    name = str(place[-1]) if place else "body"
    return "".join(letter if letter.isprintable() else "?" for letter in name[:LONGEST_NAME])


def body_too_large(request: Request, bound: BodyBound) -> JSONResponse:
    """Return the response to a body that is larger than allowed; the rest of it is not read."""
    if bound.is_video:
        code, fields = "file_too_large", ["video"]
        detail = f"A video may have at most {bound.max_bytes >> 20} MiB."
    else:
        code, fields = "body_too_large", ["body"]
        detail = f"This body may have at most {bound.max_bytes >> 10} KiB."
    response = problem(request, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, code, detail, fields)
    response.headers["Connection"] = "close"
    return response


def add_handlers(app: FastAPI, retry_after_s: int) -> None:
    """Let every error of the application become a problem document."""

    @app.exception_handler(UserError)
    async def user_error(request: Request, error: UserError) -> JSONResponse:
        status = STATUS_OF_CODE.get(error.code, HTTPStatus.UNPROCESSABLE_ENTITY)
        fields = error.fields if isinstance(error, FieldError) else ()
        response = problem(request, status, error.code, error.sentence, fields)
        if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
            response.headers["Retry-After"] = str(retry_after_s)
        return response

    @app.exception_handler(EngineError)
    async def engine_error(request: Request, error: EngineError) -> JSONResponse:
        sentence = WITHHELD.get(error.code, error.sentence)
        response = problem(request, HTTPStatus.SERVICE_UNAVAILABLE, error.code, sentence)
        response.headers["Retry-After"] = str(retry_after_s)
        return response

    @app.exception_handler(DatabaseAwayError)
    @app.exception_handler(StorageAwayError)
    async def store_away(request: Request, _error: Exception) -> JSONResponse:
        response = problem(
            request,
            HTTPStatus.SERVICE_UNAVAILABLE,
            "database_away",
            "The service's database or storage does not answer; try again in a moment.",
        )
        response.headers["Retry-After"] = str(retry_after_s)
        return response

    @app.exception_handler(StorageFullError)
    async def storage_full(request: Request, _error: StorageFullError) -> JSONResponse:
        sentence = "No room is left for this; erase videos, or try again later."
        return problem(request, HTTPStatus.INSUFFICIENT_STORAGE, "storage_full", sentence)

    @app.exception_handler(RequestValidationError)
    async def bad_request(request: Request, error: RequestValidationError) -> JSONResponse:
        fields = told_fields(item["loc"] for item in error.errors())
        detail = f"The request cannot be used: check {', '.join(fields)}."
        return problem(request, HTTPStatus.UNPROCESSABLE_ENTITY, "bad_request", detail, fields)

    @app.exception_handler(BodyTooLargeError)
    async def too_large(request: Request, error: BodyTooLargeError) -> JSONResponse:
        return body_too_large(request, error.bound)

    @app.exception_handler(ClientDisconnect)
    async def broken_off(request: Request, _error: ClientDisconnect) -> JSONResponse:
        # Nobody reads this; it keeps the log free of what is nobody's fault.
        status = HTTPStatus.UNPROCESSABLE_ENTITY
        return problem(request, status, "upload_broken_off", "The upload broke off.")

    @app.exception_handler(StarletteHTTPException)
    async def http_error(request: Request, error: StarletteHTTPException) -> JSONResponse:
        if error.status_code == HTTPStatus.BAD_REQUEST:  # a body that no parser could read
            detail = "The request's body cannot be read."
            return problem(request, HTTPStatus.UNPROCESSABLE_ENTITY, "bad_request", detail)
        phrase = HTTPStatus(error.status_code).phrase
        code = phrase.lower().replace(" ", "_")
        response = problem(request, error.status_code, code, f"{phrase}.")
        response.headers.update(error.headers or {})
        return response

    @app.exception_handler(Exception)
    async def fault(request: Request, _error: Exception) -> JSONResponse:
        response = problem(
            request,
            HTTPStatus.INTERNAL_SERVER_ERROR,
            "internal_error",
            "Something failed inside the service.",
        )
        # Sent from outside of every middleware, the one that names requests included.
        response.headers["X-Request-ID"] = request.state.request_id
        return response
