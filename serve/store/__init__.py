"""What the service remembers: videos, analyses, results and events, and the media they are about.

`Store` is the whole of it; each part stands in its own module.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeVar

from serve.store.analyses import Analyses
from serve.store.database import Database
from serve.store.events import Events
from serve.store.media_folder import MediaFolder
from serve.store.queue import Queue
from serve.store.results import Results
from serve.store.storage_errors import StorageFullError
from serve.store.videos import Videos
from serve.store.webhook_outbox import WebhookOutbox

T = TypeVar("T")

DATABASE_NAME = "service.sqlite"

__all__ = ["Store"]


@dataclass(frozen=True)
class Store:
    """The database and the media folder, and what is done with them."""

    database: Database
    media: MediaFolder
    videos: Videos
    analyses: Analyses
    queue: Queue
    results: Results
    events: Events
    webhooks: WebhookOutbox

    @classmethod
    def open(cls, folder: Path, database_url: str | None = None) -> Self:
        """Open the store in a folder, or make one there; its tables are brought up to date.

        `database_url` None: SQLite in the folder; else where the PostgreSQL database is, the folder
        then holds the media alone and is shared by all hosts.
        Raises UserError `bad_database` or `bad_data_folder`.
        """
        media = MediaFolder.open(folder)
        database = Database.open(database_url or f"sqlite:///{folder.resolve() / DATABASE_NAME}")
        events = Events(database)
        return cls(
            database, media, Videos(database, media), Analyses(database, events),
            Queue(database, events), Results(database), events,
            WebhookOutbox(database),
        )  # fmt: skip

    def freeing(self, change: Callable[[], T]) -> T:
        """Return what a change returns that frees room, made on a full disk too.

        Raises StorageFullError where even the reserve does not suffice, DatabaseAwayError.
        """
        try:
            return change()
        except StorageFullError:
            if not self.media.room.release():
                raise
            return change()

    def close(self) -> None:
        """Close the connections."""
        self.database.close()
