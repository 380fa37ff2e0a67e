"""The database behind the store: SQLite in write-ahead mode, or PostgreSQL, by the same code.

Does: bring the tables up to date, hand out transactions, tell the database's time, say
whether it answers.  Does not: know what the rows mean, or wait for long: whoever asks does.
"""

import math
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Connection, Engine, Float, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from mllm_affect.errors import UserError
from serve.store.connection import connected
from serve.store.first_connection import DatabaseNotThereError, is_not_there
from serve.store.storage_errors import FAULTS, DatabaseAwayError, Outage, database_faults, is_busy

MIGRATIONS = Path(__file__).parent / "migrations"
MIGRATION_SECONDS = 60.0
PROBE_FRESH_SECONDS = 1.0
MIGRATION_LOCK, MEDIA_LOCK = 7_201, 7_202
"""Numbers of PostgreSQL's advisory locks that the service takes."""


class now_s(FunctionElement[float]):  # noqa: N801 - an SQL function
    """Seconds since 1970 on the database's clock, which all workers share."""

    type = Float()
    inherit_cache = True


@compiles(now_s, "sqlite")
def _now_sqlite(_element: Any, _compiler: Any, **_given: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(now_s)
def _now_postgresql(_element: Any, _compiler: Any, **_given: Any) -> str:
    return "cast(extract(epoch from clock_timestamp()) as double precision)"


class Database:
    """Connections to one database.  Make one by `open`."""

    def __init__(self, engine: Engine, probe: Engine) -> None:
        self._engine, self._probe = engine, probe
        self._is_sqlite = engine.dialect.name == "sqlite"
        self._reading = Outage("the database cannot be read", "the database can be read again")
        self._writing = Outage("the database takes no change", "the database takes changes again")
        self._probing, self._answered, self._probed_s = threading.Lock(), True, -math.inf

    @classmethod
    def open(cls, url: str) -> Self:
        """Connect and bring the tables up to date.  Raises UserError `bad_database`."""
        try:
            database = cls(connected(url), connected(url, probe=True))
            database._migrate_in_turn()
        except (SQLAlchemyError, ValueError, ImportError, OSError, *FAULTS) as error:
            kind = DatabaseNotThereError if is_not_there(error) else UserError
            # Neither the address, which may hold a password, nor what the driver says goes out.
            raise kind(
                "bad_database",
                "The database cannot be used; check --database, that the server runs and that "
                f"the user may create tables ({type(error.__cause__ or error).__name__}).",
            ) from error
        return database

    def _migrate_in_turn(self) -> None:
        deadline = time.monotonic() + MIGRATION_SECONDS
        while True:
            try:
                self.migrate()
                return
            except DatabaseAwayError as error:  # another process does the same now
                if not is_busy(error) or time.monotonic() > deadline:
                    raise

    def migrate(self) -> None:
        """Bring the tables up to date; several processes may do so at the same time."""
        if self._version() == newest_version():
            return  # Alembic would find the same, and takes long to import at every start
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        with self.writing() as connection:
            if not self._is_sqlite:
                connection.execute(text("SET LOCAL statement_timeout = 0"))
            self.lock(connection, MIGRATION_LOCK)
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    def _version(self) -> str | None:
        """Return the number of the last change that the tables had, None without tables."""
        try:
            with self.reading() as connection:
                found: str | None = connection.scalar(
                    text("SELECT version_num FROM alembic_version")
                )
        except (DBAPIError, *FAULTS):
            return None
        return found

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Yield a connection for reading one consistent state.

        Raises DatabaseAwayError, StorageFullError.
        """
        with self._noted(self._reading), database_faults(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self, progress: bool = False) -> Iterator[Connection]:
        """Yield a connection whose changes are kept together when the block ends well.

        SQLite lets one in at a time.  `progress`: what can be worked out again, so that a power cut
        may undo the last of it (the end of a process cannot); nobody waits for the disk then.
        Raises DatabaseAwayError, StorageFullError; changes may have been kept all the same when
        the connection broke at the very end.
        """
        writer = self._engine.execution_options(writes=True, progress=progress)
        with self._noted(self._writing), database_faults(), writer.begin() as connection:
            yield connection

    @contextmanager
    def _noted(self, outage: Outage) -> Iterator[None]:
        try:
            yield
        except FAULTS as error:
            outage.began(error)
            raise
        outage.ended()

    def lock(self, connection: Connection, number: int) -> None:
        """Wait until no other transaction holds this lock; SQLite's writers never overlap."""
        if not self._is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": number})

    def is_ready(self) -> bool:
        """Return whether the database takes changes now; asked once a second at most."""
        if self._probing.acquire(blocking=False):
            try:
                if time.monotonic() - self._probed_s > PROBE_FRESH_SECONDS:
                    self._answered = self._takes_changes()
                    self._probed_s = time.monotonic()
            finally:
                self._probing.release()
        return self._answered

    def _takes_changes(self) -> bool:
        try:
            with self._probe.execution_options(writes=True).begin() as connection:
                if self._is_sqlite:
                    return True  # the lock for writing was to be had
                return not connection.scalar(text("SELECT pg_is_in_recovery()"))
        except SQLAlchemyError:
            return False

    def overwrite_freed(self) -> None:
        """Remove what was erased from SQLite's log of changes too, if nobody reads it now.

        PostgreSQL does so by itself (autovacuum, and its own write-ahead log as it is recycled).
        """
        if not self._is_sqlite:
            return
        with suppress(SQLAlchemyError, sqlite3.Error):
            connection = self._probe.raw_connection()
            try:
                connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            finally:
                connection.close()

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()
        self._probe.dispose()


def newest_version() -> str:
    """Return the number of the last change of the tables that this program knows."""
    return max(path.name[1:5] for path in (MIGRATIONS / "versions").glob("v[0-9]*.py"))
