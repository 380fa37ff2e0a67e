"""Analyses as their workers see them: taken under a lease, worked on, finished once.

Does: hand each waiting analysis to one worker, take it from a worker that fell silent, refuse
everything that a worker writes after it lost its lease.  Does not: the work (see serve.work), or
trust a time of day: a worker is silent when its beats stand still (see silence).
Leases and answers about segments are progress: after a power cut the analysis is worked on again.
Every write names the lease and changes the row of the analysis first, so that of two workers that
believe to hold one analysis only the later one can write.
"""

import uuid
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, insert, or_, select, update

from mllm_affect.scoring.answers import SegmentAnswer, VideoVerdict
from mllm_affect.tasks.task import Task
from mllm_affect.tasks.video_context import VideoContext
from serve.store.contexts import context_from
from serve.store.database import Database, now_s
from serve.store.events import Events
from serve.store.lease_watch import Heartbeat, LeaseWatch
from serve.store.tables import analyses, segments

LONGEST_WAIT_S = 3600.0
"""Nothing is put back for longer: what waits for a later time was put back before the clock was set
back, and is due."""

MOST_STALLS = 20
"""So often in a row an analysis may lose its worker or its model server without any progress before
it is given up."""

WORKERS_DIED = "The video ended every worker that took it; the service's log says more."
LONGEST_ENGINE_WAIT_S = 60.0

NOT_ANSWERED = "Model servers went away each time that they were asked this; try again later."


class LeaseLostError(Exception):
    """The analysis was cancelled, erased or taken over; whoever works on it must stop."""


@dataclass(frozen=True)
class Lease:
    """One taking of one analysis by one worker; `queued_s`: seconds since it was asked for."""

    id: str
    analysis_id: str
    owner: str
    video_id: str
    task: Task
    context: VideoContext
    total: int
    queued_s: float = 0.0


class Queue:
    """The work of the store."""

    def __init__(self, database: Database, log: Events) -> None:
        self._database, self._events = database, log
        self._silence: dict[str | None, LeaseWatch] = {}

    def take(self, model: str, seconds: float) -> Lease | None:
        """Take the oldest analysis for this model that waits or whose worker fell silent.

        Others take it over once it has seen no `beat` for so many seconds.
        """
        due = or_(
            analyses.c.not_before_s <= now_s(),
            analyses.c.not_before_s > now_s() + LONGEST_WAIT_S,
        )
        ready = [and_(analyses.c.status == "queued", due)]
        ready += [
            and_(
                analyses.c.status == "running",
                analyses.c.lease == one.lease,
                analyses.c.beats == one.beats,
            )
            for one in self._silent(model)
        ]
        oldest = (
            select(analyses, (now_s() - analyses.c.created_s).label("queued_s"))
            .where(analyses.c.model == model, or_(*ready))
            .order_by(analyses.c.created_s, analyses.c.id)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        with self._database.writing(progress=True) as connection:
            row = connection.execute(oldest).first()
            if row is None:
                return None
            stalls = row.stalls + (row.status == "running")
            if stalls > MOST_STALLS:
                self._give_up(connection, row.id, "worker_died", WORKERS_DIED)
                return None
            lease_id = uuid.uuid4().hex
            connection.execute(
                update(analyses)
                .where(analyses.c.id == row.id)
                .values(
                    status="running", lease=lease_id, beats=0, lease_s=seconds,
                    started_s=row.started_s or now_s(), stalls=stalls,
                )
            )  # fmt: skip
            self._events.append(
                connection, row.id, "running", {"done": row.done, "total": row.total}
            )
        task = Task.model_validate_json(row.task)
        context = context_from(row.context)
        return Lease(
            lease_id, row.id, row.owner, row.video_id, task, context, row.total,
            queued_s=max(0.0, float(row.queued_s)),
        )  # fmt: skip

    def beat(self, lease: Lease) -> bool:
        """Show that the worker lives; return False when the lease is lost."""
        with self._database.writing(progress=True) as connection:
            return self._hold(connection, lease, beats=analyses.c.beats + 1)

    def look(self, model: str) -> None:
        """Note which workers beat; called often enough, `take` knows who is silent."""
        self._silent(model)

    def release_silent(self) -> int:
        """Let analyses of any model whose workers fell silent wait again; return how many.

        Without it, those of a model that nobody serves any more would count as worked on for ever.
        """
        released = 0
        for one in self._silent(None):
            with self._database.writing(progress=True) as connection:
                changed = connection.execute(
                    update(analyses)
                    .where(
                        analyses.c.status == "running",
                        analyses.c.lease == one.lease,
                        analyses.c.beats == one.beats,
                    )
                    .values(
                        status="queued", lease=None, not_before_s=now_s(),
                        stalls=analyses.c.stalls + 1,
                    )
                    .returning(analyses.c.id)
                )  # fmt: skip
                for analysis_id in changed.scalars().all():
                    self._events.append(connection, analysis_id, "waiting", {})
                    released += 1
        return released

    def add(self, lease: Lease, answer: SegmentAnswer, done: int) -> None:
        """Store a segment's answer and the progress; twice is once.  Raises LeaseLostError."""
        encoded = answer.model_dump_json()
        own = and_(segments.c.analysis_id == lease.analysis_id, segments.c.place == answer.index)
        with self._database.writing(progress=True) as connection:
            if not self._hold(connection, lease, done=done, stalls=0):
                raise LeaseLostError
            if connection.execute(select(segments.c.place).where(own)).first() is not None:
                return  # kept by an attempt whose connection broke at its very end
            connection.execute(
                insert(segments).values(
                    analysis_id=lease.analysis_id, place=answer.index, answer=encoded
                )
            )
            progress = f'{{"done": {done}, "total": {lease.total}, "segment": {encoded}}}'
            self._events.append(connection, lease.analysis_id, "segment", progress)

    def succeed(self, lease: Lease, answer: VideoVerdict, segment_count: int) -> None:
        """Finish with an answer.  Raises LeaseLostError."""
        values = {"answer": answer.model_dump_json(), "done": segment_count, "total": segment_count}
        self._finish(lease, "succeeded", values, {"answer": answer.answer})

    def fail(self, lease: Lease, code: str, detail: str) -> None:
        """Finish with an error.  Raises LeaseLostError."""
        self._finish(
            lease, "failed", {"error_code": code, "error_detail": detail},
            {"code": code, "detail": detail},
        )  # fmt: skip

    def put_back(self, lease: Lease, after_s: float) -> None:
        """Let the analysis wait again, for so many seconds at least; what is done stays done."""
        with self._database.writing(progress=True) as connection:
            if self._hold(
                connection, lease, status="queued", lease=None, not_before_s=now_s() + after_s
            ):
                self._events.append(connection, lease.analysis_id, "waiting", {})

    def wait_again(
        self,
        lease: Lease,
        first_s: float,
        code: str = "engine_failed",
        detail: str = NOT_ANSWERED,
    ) -> bool:
        """Let the analysis wait again; return False if it was given up, with this code and detail.

        It waits twice as long each time, until there is progress again.
        """
        with self._database.writing(progress=True) as connection:
            if not self._hold(connection, lease, stalls=analyses.c.stalls + 1):
                return True
            found = select(analyses.c.stalls).where(analyses.c.id == lease.analysis_id)
            stalls = connection.execute(found).scalar_one()
            if stalls > MOST_STALLS:
                self._give_up(connection, lease.analysis_id, code, detail)
                return False
            after_s = min(first_s * 2 ** (stalls - 1), LONGEST_ENGINE_WAIT_S)
            self._hold(
                connection, lease, status="queued", lease=None, not_before_s=now_s() + after_s
            )
            self._events.append(connection, lease.analysis_id, "waiting", {})
        return True

    def _silent(self, model: str | None) -> list[Heartbeat]:
        wanted = select(analyses.c.lease, analyses.c.beats, analyses.c.lease_s).where(
            analyses.c.status == "running"
        )
        if model is not None:
            wanted = wanted.where(analyses.c.model == model)
        with self._database.reading() as connection:
            found = [Heartbeat(*row) for row in connection.execute(wanted)]
        return self._silence.setdefault(model, LeaseWatch()).look(found)

    def _finish(
        self, lease: Lease, status: str, values: dict[str, Any], data: dict[str, Any]
    ) -> None:
        with self._database.writing() as connection:
            held = self._hold(
                connection, lease, status=status, finished_s=now_s(), lease=None, **values
            )
            if not held:
                raise LeaseLostError
            self._events.append(connection, lease.analysis_id, status, data)

    def _hold(self, connection: Connection, held: Lease, /, **values: Any) -> bool:
        """Change the analysis if the lease still holds it; return whether it does."""
        changed = connection.execute(
            update(analyses)
            .where(
                analyses.c.id == held.analysis_id,
                analyses.c.lease == held.id,
                analyses.c.status == "running",
            )
            .values(**values)
        )
        return bool(changed.rowcount)

    def _give_up(self, connection: Connection, analysis_id: str, code: str, detail: str) -> None:
        connection.execute(
            update(analyses)
            .where(analyses.c.id == analysis_id)
            .values(
                status="failed", finished_s=now_s(), lease=None, error_code=code,
                error_detail=detail,
            )
        )  # fmt: skip
        data = {"code": code, "detail": detail}
        self._events.append(connection, analysis_id, "failed", data)
