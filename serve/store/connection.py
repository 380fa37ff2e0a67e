"""How the store connects to SQLite or PostgreSQL, and how long it waits for either.

Does: set pools, timeouts, SQLite's modes and the permissions of its files.
Does not: hand out transactions (see database).
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.pool import NullPool

BUSY_MS = 5_000
"""Longest wait for a lock that another writer holds; then the database counts as away."""
STATEMENT_MS = 60_000
CONNECT_SECONDS = 5
PROBE_MS, PROBE_SECONDS = 500, 2

SQLITE_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",  # a job that was accepted survives a loss of power as well
    "PRAGMA secure_delete=ON",  # what is erased is overwritten
)


def connected(url: str, probe: bool = False) -> Engine:
    """Return SQLAlchemy's engine for a database; that of a `probe` has no pool and gives up soon.

    Raises SQLAlchemyError, ImportError, and OSError for a SQLite file that cannot be made.
    """
    if url.startswith("sqlite:"):
        return _sqlite(url, probe)
    # libpq's own addresses name no driver.
    address = make_url(url.replace("postgresql://", "postgresql+psycopg://", 1))
    patience = {
        "connect_timeout": PROBE_SECONDS if probe else CONNECT_SECONDS,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 30_000,
    }
    engine = create_engine(
        address,
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args={name: one for name, one in patience.items() if name not in address.query},
        **_pool(32, probe),
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        busy, statement = (PROBE_MS, PROBE_MS * 4) if probe else (BUSY_MS, STATEMENT_MS)
        connection.execute(f"SET lock_timeout = {busy}")
        connection.execute(f"SET statement_timeout = {statement}")
        connection.commit()

    return engine


def _pool(overflow: int, probe: bool) -> dict[str, Any]:
    if probe:
        return {"poolclass": NullPool}
    return {"pool_size": 16, "max_overflow": overflow, "pool_timeout": CONNECT_SECONDS}


def _sqlite(url: str, probe: bool) -> Engine:
    _make_private(Path(str(make_url(url).database)))
    engine = create_engine(
        url, hide_parameters=True, connect_args={"check_same_thread": False}, **_pool(64, probe)
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # we begin transactions ourselves, see below
        connection.execute(f"PRAGMA busy_timeout={PROBE_MS if probe else BUSY_MS}")
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


def _make_private(path: Path) -> None:
    """Make the file, readable by its owner alone; SQLite gives what it writes beside it this mode.

    Raises OSError.
    """
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    for name in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
        with suppress(FileNotFoundError):
            if name.stat().st_uid == os.geteuid():
                name.chmod(0o600)
