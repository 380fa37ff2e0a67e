"""The database behind the store: SQLite in write-ahead mode, or PostgreSQL, by the same code.

Does: connect, bring the tables up to date, hand out transactions, tell the database's time.
Does not: know what the rows mean.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Connection, Engine, Float, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from mllm_affect.errors import UserError

MIGRATIONS = Path(__file__).parent / "migrations"
BUSY_MS = 30_000
MIGRATION_LOCK, MEDIA_LOCK = 7_201, 7_202
"""Numbers of PostgreSQL's advisory locks that the service takes."""

SQLITE_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",  # a job that was accepted survives a loss of power as well
    f"PRAGMA busy_timeout={BUSY_MS}",
    "PRAGMA secure_delete=ON",  # what is erased is overwritten
)


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

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._is_sqlite = engine.dialect.name == "sqlite"

    @classmethod
    def open(cls, url: str) -> Self:
        """Connect and bring the tables up to date.  Raises UserError `bad_database`."""
        try:
            database = cls(_engine(url))
            database.migrate()
        except (SQLAlchemyError, ArgumentError, ImportError, OSError) as error:
            # Neither the address, which may hold a password, nor what the driver says goes out.
            raise UserError(
                "bad_database",
                "The database cannot be used; check --database, that the server runs and that "
                f"the user may create tables ({type(error).__name__}).",
            ) from error
        return database

    def migrate(self) -> None:
        """Bring the tables up to date; several processes may do so at the same time."""
        if self._version() == newest_version():
            return  # Alembic would find the same, and takes long to import at every start
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        with self.writing() as connection:
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
        except DBAPIError:
            return None
        return found

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Yield a connection for reading one consistent state."""
        with self._engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self, progress: bool = False) -> Iterator[Connection]:
        """Yield a connection whose changes are kept together when the block ends well.

        SQLite lets one in at a time.  `progress`: what can be worked out again, so that a power cut
        may undo the last of it (the end of a process cannot); nobody waits for the disk then.
        """
        writer = self._engine.execution_options(writes=True, progress=progress)
        with writer.begin() as connection:
            yield connection

    def lock(self, connection: Connection, number: int) -> None:
        """Wait until no other transaction holds this lock; SQLite's writers never overlap."""
        if not self._is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": number})

    def is_ready(self) -> bool:
        """Return whether the database answers now."""
        try:
            with self.reading() as connection:
                connection.execute(text("SELECT 1"))
        except SQLAlchemyError:
            return False
        return True

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()


def newest_version() -> str:
    """Return the number of the last change of the tables that this program knows."""
    return max(path.name[1:5] for path in (MIGRATIONS / "versions").glob("v[0-9]*.py"))


def _make_private(path: Path) -> None:
    """Make the file, readable by its owner alone; SQLite gives what it writes beside it this mode.

    Raises OSError.
    """
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    for name in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
        with suppress(FileNotFoundError):
            if name.stat().st_uid == os.geteuid():
                name.chmod(0o600)


def _engine(url: str) -> Engine:
    if not url.startswith("sqlite:"):
        # libpq's own addresses name no driver.
        return create_engine(
            url.replace("postgresql://", "postgresql+psycopg://", 1), pool_pre_ping=True,
            pool_size=16, max_overflow=32, hide_parameters=True,
        )  # fmt: skip
    _make_private(Path(str(make_url(url).database)))
    engine = create_engine(
        url, pool_size=16, max_overflow=64, hide_parameters=True,
        connect_args={"check_same_thread": False},
    )  # fmt: skip

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # we begin transactions ourselves, see below
        for pragma in SQLITE_PRAGMAS:
            connection.execute(pragma)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A writer takes the lock at once: one that began by reading could not wait for it.
        options = connection.get_execution_options()
        writes = options.get("writes")
        if writes:
            level = "NORMAL" if options.get("progress") else "FULL"
            connection.exec_driver_sql(f"PRAGMA synchronous={level}")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine
