"""What happened to an analysis, in order, so that a reader may go on where it stopped.

Does: append and read; the event that ends an analysis also puts its webhook into the outbox.
Does not: send (see routes.events and serve.webhooks).  Whoever appends holds the row of the
analysis in the same transaction, so that the numbers of one analysis grow in the order of commits.
"""

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, select

from serve.store.database import Database
from serve.store.tables import events
from serve.store.webhook_outbox import add_delivery

PAGE = 500
FINAL_KINDS = ("succeeded", "failed", "cancelled")


@dataclass(frozen=True)
class StoredEvent:
    """One event; `number` grows, `data` is JSON text."""

    number: int
    kind: str
    data: str


class Events:
    """The events of the store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(
        self, connection: Connection, analysis_id: str, kind: str, data: dict[str, Any] | str
    ) -> None:
        """Append within a transaction of the caller; `data` is a JSON object or its text.

        The caller has changed the analysis already: what its webhook says is read from there.
        """
        encoded = data if isinstance(data, str) else json.dumps(data)
        connection.execute(insert(events).values(analysis_id=analysis_id, kind=kind, data=encoded))
        if kind in FINAL_KINDS:
            add_delivery(connection, analysis_id)

    def after(self, analysis_id: str, number: int) -> list[StoredEvent]:
        """Return the next events after this number, a page at most."""
        wanted = (
            select(events.c.id, events.c.kind, events.c.data)
            .where(events.c.analysis_id == analysis_id, events.c.id > number)
            .order_by(events.c.id)
            .limit(PAGE)
        )
        with self._database.reading() as connection:
            return [StoredEvent(*row) for row in connection.execute(wanted)]
