"""A typed client of the service: every resource a method, every problem one of our errors.

Does: send, parse, wait for analyses.  Does not: start a service or read videos.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
from pydantic import BaseModel

from mllm_affect.client.models import Analysis, SegmentPage, VideoInfo
from mllm_affect.errors import EngineError, UserError
from mllm_affect.http_client import http_client
from mllm_affect.scoring.answers import SegmentAnswer, VideoAnswer

DEFAULT_URL = "http://127.0.0.1:8000"
ANSWER_SECONDS = 900.0
LOOK_SECONDS = (0.05, 0.5)
"""Least and longest pause between two looks at an analysis."""
LOOK_SHARE = 0.1
"""In between, the pause as a share of the time waited: what a look too late may cost."""
FINISHED = ("succeeded", "failed", "cancelled")

M = TypeVar("M", bound=BaseModel)
Form = dict[str, Any]


class ServiceClient:
    """The service at one address; use it as a context manager.

    Every method raises UserError where the service refuses what was sent, with the service's code,
    and EngineError where it or its model is away (`service_away`, `engine_away`, ...).
    """

    def __init__(self, url: str = DEFAULT_URL, api_key: str | None = None) -> None:
        self._url = url.rstrip("/")
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._http = http_client(
            self._url, headers=headers, timeout=httpx.Timeout(ANSWER_SECONDS, connect=5.0)
        )

    def ask(self, fields: Form, files: Form) -> VideoAnswer:
        """Ask about one video at once; of a long one, wait for its analysis."""
        response = self.send("POST", "/v1/ask", data=fields, files=files)
        if response.status_code == httpx.codes.OK:
            return VideoAnswer.model_validate(response.json())
        return self.answer(Analysis.model_validate(response.json()).id)

    def upload(self, video: Path) -> VideoInfo:
        """Upload a video file; the same bytes give the same id."""
        with video.open("rb") as stream:
            return self._read(VideoInfo, self.send("POST", "/v1/videos", content=stream))

    def analyse(
        self,
        video_id: str,
        *,
        task: str | None = None,
        question: str | None = None,
        answers: Sequence[str] = (),
        idempotency_key: str | None = None,
        webhook_url: str | None = None,
    ) -> Analysis:
        """Ask for an analysis of an uploaded video; it goes on without us.

        `webhook_url` is told when it has ended (see mllm_affect.client.webhooks).
        """
        body: Form = {"video_id": video_id, "task": task, "question": question}
        if webhook_url is not None:
            body["webhook_url"] = webhook_url
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        return self._read(
            Analysis,
            self.send(
                "POST", "/v1/analyses", json={**body, "answers": [*answers]}, headers=headers
            ),
        )

    def analysis(self, analysis_id: str) -> Analysis:
        """Return how an analysis is getting on."""
        return self._read(Analysis, self.send("GET", f"/v1/analyses/{analysis_id}"))

    def answer(
        self, analysis_id: str, on_progress: Callable[[Analysis], None] | None = None
    ) -> VideoAnswer:
        """Wait for an analysis and return its answer with all segments.

        Raises UserError with the analysis' own code where it failed, `cancelled` where it was
        cancelled.
        """
        begun, (least_s, longest_s) = time.monotonic(), LOOK_SECONDS
        while (found := self.analysis(analysis_id)).status not in FINISHED:
            if on_progress is not None:
                on_progress(found)
            waited_s = time.monotonic() - begun
            time.sleep(min(max(least_s, LOOK_SHARE * waited_s), longest_s))
        if found.error is not None:
            raise UserError(found.error.code, found.error.detail)
        if found.answer is None:
            raise UserError("cancelled", "The analysis was cancelled.")
        return VideoAnswer(**dict(found.answer), segments=tuple(self.segments(analysis_id)))

    def segments(self, analysis_id: str) -> list[SegmentAnswer]:
        """Return the answers about segments that there are so far."""
        found: list[SegmentAnswer] = []
        start: int | None = 0
        while start is not None:
            path = f"/v1/analyses/{analysis_id}/segments"
            page = self._read(
                SegmentPage, self.send("GET", path, params={"start": start, "limit": 500})
            )
            found += page.items
            start = page.next
        return found

    def cancel(self, analysis_id: str) -> Analysis:
        """Stop an analysis and keep what is there."""
        return self._read(Analysis, self.send("POST", f"/v1/analyses/{analysis_id}/cancel"))

    def erase(self, analysis_id: str) -> None:
        """Stop an analysis and forget it."""
        self.send("DELETE", f"/v1/analyses/{analysis_id}")

    def erase_video(self, video_id: str) -> None:
        """Erase a video and everything about it."""
        self.send("DELETE", f"/v1/videos/{video_id}")

    def send(self, method: str, path: str, **given: Any) -> httpx.Response:
        """Send one request; return the answer if it is none that says that something is wrong."""
        try:
            response = self._http.request(method, path, **given)
        except httpx.HTTPError as error:
            raise EngineError(
                "service_away",
                f"No service answers at {self._url}; start one with `mllm-affect serve`, or give "
                "--url.",
            ) from error
        if response.is_success:
            return response
        raise _problem(response)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @staticmethod
    def _read(kind: type[M], response: httpx.Response) -> M:
        return kind.model_validate_json(response.content)


def _problem(response: httpx.Response) -> UserError | EngineError:
    try:
        problem = response.json()
        code, sentence = str(problem["code"]), str(problem["detail"])
    except (ValueError, KeyError, TypeError):
        code, sentence = "bad_service", f"The service answered with status {response.status_code}."
    if response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
        return EngineError(code, sentence)
    return UserError(code, sentence)
