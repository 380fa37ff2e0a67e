"""Analyses as their owner sees them: asked for, looked at, cancelled, erased.

Does: everything that a client does with an analysis.  Does not: work on one (see queue).
"""

import json
import uuid
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from mllm_affect.errors import UserError
from mllm_affect.files import sha256_json
from mllm_affect.scoring.answers import VideoVerdict
from mllm_affect.tasks.task import Task
from mllm_affect.tasks.video_context import UNKNOWN, VideoContext
from serve.store.contexts import context_text
from serve.store.database import Database, now_s
from serve.store.events import Events
from serve.store.tables import analyses, events, segments
from serve.store.videos import UNFINISHED, StoredVideo


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
    ) -> StoredAnalysis:
        """Ask for an analysis; the same key and request give the one that there is already.

        Raises UserError `idempotency_conflict` for a key that was used for another request, and
        `queue_full` when so many analyses wait.
        """
        told = context_text(context)
        request_hash = sha256_json(
            {"video": video.id, "task": task.model_dump(mode="json"), "context": told}
        )
        try:
            with self._database.writing() as connection:
                found = self._with_key(connection, owner, idempotency_key, request_hash)
                if found is not None:
                    return found
                self._refuse_when_full(connection, most_waiting)
                analysis_id = uuid.uuid4().hex
                connection.execute(
                    insert(analyses).values(
                        id=analysis_id, owner=owner, video_id=video.id, model=model,
                        idempotency_key=idempotency_key, request_hash=request_hash,
                        task=task.model_dump_json(),
                        context=told, status="queued", done=0,
                        total=video.segments, created_s=now_s(), not_before_s=0.0, stalls=0,
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
        wanted = select(analyses).where(analyses.c.owner == owner)
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
        with self._database.writing() as connection:
            gone = connection.execute(
                delete(analyses).where(analyses.c.id == analysis_id, analyses.c.owner == owner)
            )
            if gone.rowcount:
                for table in (segments, events):
                    connection.execute(delete(table).where(table.c.analysis_id == analysis_id))
        return bool(gone.rowcount)

    def expire(self, seconds: float) -> int:
        """Forget what was finished longer ago than this; return how many."""
        old = select(analyses.c.id, analyses.c.owner).where(
            analyses.c.finished_s < now_s() - seconds
        )
        with self._database.reading() as connection:
            rows = connection.execute(old).all()
        return sum(self.erase(owner, analysis_id) for analysis_id, owner in rows)

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
            select(analyses).where(analyses.c.owner == owner, analyses.c.idempotency_key == key)
        ).first()
        if row is None:
            return None
        if row.request_hash != request_hash:
            raise UserError(
                "idempotency_conflict",
                "This Idempotency-Key was used for another request; take a new one.",
            )
        return _made(row)

    def _refuse_when_full(self, connection: Connection, most_waiting: int) -> None:
        waiting = select(func.count()).where(analyses.c.status == "queued")
        if connection.execute(waiting).scalar_one() >= most_waiting:
            raise UserError("queue_full", "Too many analyses are waiting; try again later.")


def _row(connection: Connection, analysis_id: str) -> Row[Any] | None:
    return connection.execute(select(analyses).where(analyses.c.id == analysis_id)).first()


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
    )
