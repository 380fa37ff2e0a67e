"""Webhook deliveries: written with the end of an analysis, taken under a lease, sent later.

Does: keep each delivery until it was sent or given up, hand it to one process at a time.
Does not: send (see serve.webhooks), or trust a time of day for leases: a lease that stands still
for longer than a try may take was left by a process that died (see lease_watch).
The row is written in the transaction that ends the analysis, so that a killed process loses none.
After that a delivery can be sent twice, with the same id, but not lost.
"""

import json
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, and_, func, insert, or_, select, update

from serve.store.database import Database, now_s
from serve.store.lease_watch import Heartbeat, LeaseWatch
from serve.store.tables import analyses, webhook_outbox

LONGEST_PAUSE_S = 16 * 3600.0
"""No pause between two tries is longer; a later time was written before the clock was set back."""

PENDING, DELIVERED, FAILED = STATES = ("pending", "delivered", "failed")


@dataclass(frozen=True)
class DeliveryState:
    """How one delivery stands; `state` is `waiting` (and `id` None) until the analysis ends."""

    id: str | None
    state: str
    tries: int
    last_status: int | None
    last_error: str | None
    next_try_s: float | None


@dataclass(frozen=True)
class Delivery:
    """One taking of one delivery; `tries` counts this one, from 1."""

    id: str
    lease: str
    analysis_id: str
    url: str
    body: str
    tries: int


def add_delivery(connection: Connection, analysis_id: str) -> None:
    """Write the delivery of an analysis that has just ended, if it asked for one.

    Runs in the transaction that ends the analysis.
    """
    row = connection.execute(
        select(
            analyses.c.webhook_url, analyses.c.status, analyses.c.created_s,
            analyses.c.started_s, analyses.c.finished_s,
        ).where(analyses.c.id == analysis_id)
    ).first()  # fmt: skip
    if row is None or row.webhook_url is None:
        return
    body = {
        "type": f"analysis.{row.status}",
        "timestamp": _time(row.finished_s),
        "data": {
            "id": analysis_id,
            "status": row.status,
            "created_at": _time(row.created_s),
            "started_at": _time(row.started_s),
            "finished_at": _time(row.finished_s),
            "path": f"/v1/analyses/{analysis_id}",
        },
    }
    connection.execute(
        insert(webhook_outbox).values(
            id=f"msg_{uuid.uuid4().hex}", analysis_id=analysis_id, url=row.webhook_url,
            body=json.dumps(body, separators=(",", ":")), state=PENDING, tries=0,
            created_s=now_s(), next_try_s=now_s(),
        )
    )  # fmt: skip


class WebhookOutbox:
    """The deliveries of the store."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._leases = LeaseWatch()

    def take(self, lease_s: float, busy_origins: Iterable[str] = ()) -> Delivery | None:
        """Take the delivery that is due for longest, or whose sender has died; None without one.

        Call it again and again, from one thread: only so it sees which leases stand still.
        `lease_s`: others wait for so long before they take it over.  Receivers at `busy_origins`
        (`https://host:port`) are left out.
        """
        ready = or_(self._due(), *self._abandoned())
        oldest = (
            select(webhook_outbox)
            .where(webhook_outbox.c.state == PENDING, ready)
            .order_by(webhook_outbox.c.next_try_s, webhook_outbox.c.id)
            .limit(1)
        )
        for origin in busy_origins:
            here = webhook_outbox.c.url.startswith(f"{origin}/", autoescape=True)
            oldest = oldest.where(~here)
        with self._database.reading() as connection:  # most looks find nothing and write nothing
            if connection.execute(oldest).first() is None:
                return None
        with self._database.writing(progress=True) as connection:
            row = connection.execute(oldest.with_for_update(skip_locked=True)).first()
            if row is None:
                return None
            lease = uuid.uuid4().hex
            connection.execute(
                update(webhook_outbox)
                .where(webhook_outbox.c.id == row.id)
                .values(lease=lease, lease_s=lease_s, tries=row.tries + 1)
            )
        return Delivery(row.id, lease, row.analysis_id, row.url, row.body, row.tries + 1)

    def delivered(self, one: Delivery, status: int) -> bool:
        """Note that the receiver took it; return False where the lease is lost."""
        return self._leave(one, state=DELIVERED, next_try_s=None, last_status=status)

    def try_again(
        self, one: Delivery, after_s: float, status: int | None, error: str | None
    ) -> bool:
        """Note a try that failed and let the next one come after so many seconds, as `delivered`.

        Pauses beyond LONGEST_PAUSE_S are cut to it.
        """
        due = now_s() + min(after_s, LONGEST_PAUSE_S)
        return self._leave(one, next_try_s=due, last_status=status, last_error=error)

    def give_up(self, one: Delivery, status: int | None, error: str | None) -> bool:
        """Note the last try, which failed as well, as `delivered`."""
        return self._leave(one, state=FAILED, next_try_s=None, last_status=status, last_error=error)

    def counts(self) -> dict[str, int]:
        """Return how many deliveries there are of each state."""
        counted = select(webhook_outbox.c.state, func.count()).group_by(webhook_outbox.c.state)
        with self._database.reading() as connection:
            rows = connection.execute(counted).all()
        return {str(state): int(count) for state, count in rows}

    def _leave(self, one: Delivery, **values: Any) -> bool:
        values = {"last_error": None, **values, "lease": None, "lease_s": None}
        with self._database.writing(progress=True) as connection:
            changed = connection.execute(
                update(webhook_outbox)
                .where(webhook_outbox.c.id == one.id, webhook_outbox.c.lease == one.lease)
                .values(**values)
            )
        return bool(changed.rowcount)

    def _due(self) -> Any:
        return and_(
            webhook_outbox.c.lease.is_(None),
            or_(
                webhook_outbox.c.next_try_s <= now_s(),
                webhook_outbox.c.next_try_s > now_s() + LONGEST_PAUSE_S + 60.0,
            ),
        )

    def _abandoned(self) -> list[Any]:
        """Return conditions for deliveries whose sender no longer lives."""
        held = select(webhook_outbox.c.lease, webhook_outbox.c.lease_s).where(
            webhook_outbox.c.state == PENDING, webhook_outbox.c.lease.is_not(None)
        )
        with self._database.reading() as connection:
            found = [Heartbeat(row.lease, 0, row.lease_s) for row in connection.execute(held)]
        return [webhook_outbox.c.lease == one.lease for one in self._leases.look(found)]


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat()
