"""Analyses as their owner sees them: asked for, looked at, cancelled, erased.

Does: everything that a client does with an analysis.  Does not: work on one (see queue).
"""

import json
import uuid
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, case, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from mllm_affect.errors import UserError
from mllm_affect.files import sha256_json
from mllm_affect.scoring.answers import VideoVerdict
from mllm_affect.tasks.task import Task
from mllm_affect.tasks.video_context import UNKNOWN, VideoContext
from serve.store.contexts import context_text
from serve.store.database import Database, now_s
from serve.store.events import Events
from serve.store.tables import analyses, videos, webhook_outbox
from serve.store.videos import CLOCK_SLACK_S, UNFINISHED, StoredVideo, forget_analyses
from serve.store.webhook_outbox import DeliveryState

NOT_SERVED = (
    "No worker took this analysis in time: none serves its model, or all were busy; ask again "
    "while one does."
)


@dataclass(frozen=True)
class StoredAnalysis:
    """One analysis; times in seconds since 1970, `answer` as JSON text once it has succeeded."""

    id: str
    owner: str
    video_id: str
    task: Task
    status: str
    done: int
    total: int
    created_s: float
    started_s: float | None
    finished_s: float | None
    error_code: str | None
    error_detail: str | None
    answer: VideoVerdict | None
    webhook: DeliveryState | None = None

    @property
    def is_finished(self) -> bool:
        """Whether nothing will happen to it any more."""
        return self.status not in UNFINISHED

    @property
    def position(self) -> "Position":
        """Where it stands in its owner's list."""
        return Position(self.created_s, self.id)


@dataclass(frozen=True)
class Position:
    """The place of an analysis in its owner's list, which stays when the analysis is erased."""

    created_s: float
    id: str


class Analyses:
    """The analyses of the store."""

    def __init__(self, database: Database, log: Events) -> None:
        self._database, self._events = database, log

    def ask(
        self,
        owner: str,
        video: StoredVideo,
        task: Task,
        model: str,
        idempotency_key: str | None = None,
        *,
        context: VideoContext = UNKNOWN,
        most_waiting: int = 10_000,
        webhook_url: str | None = None,
    ) -> StoredAnalysis:
        """Ask for an analysis; the same key and request give the one that there is already.

        Raises UserError `idempotency_conflict` for a key that was used for another request,
        `unknown_video` for a video that was erased meanwhile, and `queue_full` when so many
        analyses wait.
        """
        told = context_text(context)
        asked = {"video": video.id, "task": task.model_dump(mode="json"), "context": told}
        if webhook_url is not None:
            asked["webhook_url"] = webhook_url
        request_hash = sha256_json(asked)
        try:
            with self._database.writing() as connection:
                found = self._with_key(connection, owner, idempotency_key, request_hash)
                if found is not None:
                    return found
                self._refuse_erased(connection, video)
                self._refuse_when_full(connection, most_waiting)
                analysis_id = uuid.uuid4().hex
                connection.execute(
                    insert(analyses).values(
                        id=analysis_id, owner=owner, video_id=video.id, model=model,
                        idempotency_key=idempotency_key, request_hash=request_hash,
                        task=task.model_dump_json(),
                        context=told, status="queued", done=0,
                        total=video.segments, created_s=now_s(), not_before_s=0.0, stalls=0,
                        beats=0, webhook_url=webhook_url,
                    )
                )  # fmt: skip
                self._events.append(connection, analysis_id, "queued", {"total": video.segments})
                return _made(_row(connection, analysis_id))
        except IntegrityError:  # somebody used the key at the same moment
            with self._database.reading() as connection:
                found = self._with_key(connection, owner, idempotency_key, request_hash)
            if found is None:
                raise
            return found

    def get(self, owner: str, analysis_id: str) -> StoredAnalysis | None:
        """Return an owner's analysis, None where there is none."""
        with self._database.reading() as connection:
            row = _row(connection, analysis_id)
        return _made(row) if row is not None and row.owner == owner else None

    def page(
        self, owner: str, after: Position | None, limit: int, video_id: str | None = None
    ) -> list[StoredAnalysis]:
        """Return an owner's analyses, the newest first, those after a position."""
        wanted = _WITH_DELIVERY.where(analyses.c.owner == owner)
        if video_id is not None:
            wanted = wanted.where(analyses.c.video_id == video_id)
        if after is not None:
            older = analyses.c.created_s < after.created_s
            same = (analyses.c.created_s == after.created_s) & (analyses.c.id < after.id)
            wanted = wanted.where(older | same)
        wanted = wanted.order_by(analyses.c.created_s.desc(), analyses.c.id.desc()).limit(limit)
        with self._database.reading() as connection:
            return [_made(row) for row in connection.execute(wanted)]

    def cancel(self, owner: str, analysis_id: str) -> StoredAnalysis | None:
        """Stop an analysis; one that is finished stays as it is.  None where there is none."""
        with self._database.writing() as connection:
            stopped = connection.execute(
                update(analyses)
                .where(
                    analyses.c.id == analysis_id,
                    analyses.c.owner == owner,
                    analyses.c.status.in_(UNFINISHED),
                )
                .values(status="cancelled", finished_s=now_s(), lease=None)
            )
            if stopped.rowcount:
                self._events.append(connection, analysis_id, "cancelled", {})
            row = _row(connection, analysis_id)
        return _made(row) if row is not None and row.owner == owner else None

    def erase(self, owner: str, analysis_id: str) -> bool:
        """Stop and forget an analysis with its results."""
        own = select(analyses.c.id).where(analyses.c.id == analysis_id, analyses.c.owner == owner)
        with self._database.writing() as connection:
            gone = connection.execute(own.with_for_update()).scalars().all()
            forget_analyses(connection, gone)
        return bool(gone)

    def expire(self, seconds: float) -> int:
        """Forget what was finished longer ago than this; return how many.

        A time to come, of a clock that was set back since, counts as now.
        """
        ahead = analyses.c.finished_s > now_s() + CLOCK_SLACK_S
        old = select(analyses.c.id).where(analyses.c.finished_s < now_s() - seconds)
        with self._database.writing() as connection:
            connection.execute(update(analyses).where(ahead).values(finished_s=now_s()))
            gone = connection.execute(old.with_for_update()).scalars().all()
            forget_analyses(connection, gone)
        return len(gone)

    def end_unserved(self, seconds: float) -> int:
        """End analyses that nobody has worked on for so long, as no worker has their model.

        Their videos can expire then.  Returns how many.
        """
        waits_since_s = case(
            (analyses.c.not_before_s > analyses.c.created_s, analyses.c.not_before_s),
            else_=analyses.c.created_s,
        )
        old = select(analyses.c.id).where(
            analyses.c.status == "queued", waits_since_s < now_s() - seconds
        )
        with self._database.writing() as connection:
            ended = connection.execute(old.with_for_update(skip_locked=True)).scalars().all()
            for analysis_id in ended:
                self._end(connection, analysis_id, "failed", "not_served", NOT_SERVED)
        return len(ended)

    def counts(self) -> dict[str, int]:
        """Return how many analyses there are of each status."""
        counted = select(analyses.c.status, func.count()).group_by(analyses.c.status)
        with self._database.reading() as connection:
            rows = connection.execute(counted).all()
        return {str(status): int(count) for status, count in rows}

    def _with_key(
        self, connection: Connection, owner: str, key: str | None, request_hash: str
    ) -> StoredAnalysis | None:
        if key is None:
            return None
        row = connection.execute(
            _WITH_DELIVERY.where(analyses.c.owner == owner, analyses.c.idempotency_key == key)
        ).first()
        if row is None:
            return None
        if row.request_hash != request_hash:
            raise UserError(
                "idempotency_conflict",
                "This Idempotency-Key was used for another request; take a new one.",
            )
        return _made(row)

    def _end(
        self, connection: Connection, analysis_id: str, status: str, code: str, detail: str
    ) -> None:
        connection.execute(
            update(analyses)
            .where(analyses.c.id == analysis_id)
            .values(
                status=status, finished_s=now_s(), lease=None, error_code=code,
                error_detail=detail,
            )
        )  # fmt: skip
        self._events.append(connection, analysis_id, status, {"code": code, "detail": detail})

    def _refuse_erased(self, connection: Connection, video: StoredVideo) -> None:
        """Hold the video until the analysis is there: whoever erases the one finds the other."""
        held = select(videos.c.id).where(videos.c.id == video.id).with_for_update(read=True)
        if connection.execute(held).first() is None:
            raise UserError("unknown_video", "There is no such video; it may have been erased.")

    def _refuse_when_full(self, connection: Connection, most_waiting: int) -> None:
        waiting = select(func.count()).where(analyses.c.status == "queued")
        if connection.execute(waiting).scalar_one() >= most_waiting:
            raise UserError("queue_full", "Too many analyses are waiting; try again later.")


_WITH_DELIVERY = select(
    analyses,
    *(
        webhook_outbox.c[name].label(f"delivery_{name}")
        for name in ("id", "state", "tries", "last_status", "last_error", "next_try_s")
    ),
).select_from(analyses.outerjoin(webhook_outbox, webhook_outbox.c.analysis_id == analyses.c.id))


def _row(connection: Connection, analysis_id: str) -> Row[Any] | None:
    return connection.execute(_WITH_DELIVERY.where(analyses.c.id == analysis_id)).first()


def _made(row: Row[Any] | None) -> StoredAnalysis:
    assert row is not None
    return StoredAnalysis(
        id=row.id,
        owner=row.owner,
        video_id=row.video_id,
        task=Task.model_validate(json.loads(row.task)),
        status=row.status,
        done=row.done,
        total=row.total,
        created_s=row.created_s,
        started_s=row.started_s,
        finished_s=row.finished_s,
        error_code=row.error_code,
        error_detail=row.error_detail,
        answer=VideoVerdict.model_validate_json(row.answer) if row.answer else None,
        webhook=_delivery(row),
    )


def _delivery(row: Row[Any]) -> DeliveryState | None:
    if row.webhook_url is None:
        return None
    if row.delivery_id is None:
        return DeliveryState(None, "waiting", 0, None, None, None)
    return DeliveryState(
        row.delivery_id, row.delivery_state, row.delivery_tries, row.delivery_last_status,
        row.delivery_last_error, row.delivery_next_try_s,
    )  # fmt: skip
