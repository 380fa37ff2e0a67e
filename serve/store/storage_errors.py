"""What goes wrong below the store without anybody's fault: the database is away, the disk is full.

Does: tell these two from faults of ours, and log each outage once when it begins and ends.
Does not: retry, or answer requests (see problems).
"""

import errno
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import (
    DBAPIError,
    InterfaceError,
    InternalError,
    OperationalError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

log = logging.getLogger("mllm_affect.store")

FULL_ERRNOS = (errno.ENOSPC, errno.EDQUOT)
SQLITE_FULL = 13
SQLITE_AWAY = (5, 6, 7, 8, 10, 14, 15)
"""SQLite's busy, locked, no memory, read-only, input or output error, cannot open, protocol."""
POSTGRESQL_FULL = "53100"
POSTGRESQL_LOCKED, SQLITE_BUSY = "55P03", 5
POSTGRESQL_AWAY = ("08", "25006", "40", "53", "55P03", "57")
"""Beginnings of PostgreSQL's states: connection, read-only, rolled back, resources, lock not to be
had, operator intervention."""


class DatabaseAwayError(Exception):
    """The database does not answer, or not in time; the same again may succeed later."""


class StorageFullError(Exception):
    """No room is left on the disk of the data folder or of the database."""


class StorageAwayError(Exception):
    """The data folder is not there, as network storage that is not mounted."""


FAULTS = (DatabaseAwayError, StorageFullError, StorageAwayError)
"""What passes by itself or is mended from outside; nothing that was accepted may fail for it."""


@contextmanager
def database_faults() -> Iterator[None]:
    """Turn errors that are nobody's fault into DatabaseAwayError or StorageFullError.

    Faults of ours, as a constraint that is not met, are raised as they are.
    """
    try:
        yield
    except SQLAlchemyError as error:
        if _is_full(error):
            raise StorageFullError from error
        if _is_away(error):
            raise DatabaseAwayError from error
        raise


@contextmanager
def disk_faults() -> Iterator[None]:
    """Turn a disk that is full into StorageFullError."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL_ERRNOS:
            raise StorageFullError from error
        raise


def _is_full(error: SQLAlchemyError) -> bool:
    if not isinstance(error, DBAPIError):
        return False
    return _sqlite_code(error) == SQLITE_FULL or _state(error) == POSTGRESQL_FULL


def _is_away(error: SQLAlchemyError) -> bool:
    if isinstance(error, (PoolTimeoutError, InterfaceError)):
        return True
    if not isinstance(error, DBAPIError):
        return False
    code, state = _sqlite_code(error), _state(error)
    if code is not None:
        return code in SQLITE_AWAY
    if state is not None and isinstance(error, (OperationalError, InternalError)):
        return state.startswith(POSTGRESQL_AWAY)
    # A connection that broke, or none could be made, has no state.
    return error.connection_invalidated or isinstance(error, OperationalError)


def _sqlite_code(error: DBAPIError) -> int | None:
    code = getattr(error.orig, "sqlite_errorcode", None)
    return None if code is None else int(code) & 0xFF


def _state(error: DBAPIError) -> str | None:
    state = getattr(error.orig, "sqlstate", None)
    return None if state is None else str(state)


def is_busy(error: BaseException) -> bool:
    """Return whether a DatabaseAwayError says that others hold a lock, so that waiting helps."""
    cause = error.__cause__
    if not isinstance(cause, DBAPIError):
        return False
    return _sqlite_code(cause) == SQLITE_BUSY or _state(cause) == POSTGRESQL_LOCKED


class Outage:
    """One thing that can fail for a while; logs a line when that begins and one when it ends."""

    def __init__(self, fails: str, works: str) -> None:
        self._fails, self._works = fails, works
        self._lock, self._lasts = threading.Lock(), False

    def began(self, error: BaseException) -> None:
        """Note a failure."""
        with self._lock:
            first, self._lasts = not self._lasts, True
        if first:
            cause = error.__cause__ or error
            log.warning("%s: %s, %s", self._fails, type(error).__name__, type(cause).__name__)

    def ended(self) -> None:
        """Note a success."""
        if not self._lasts:
            return
        with self._lock:
            last, self._lasts = self._lasts, False
        if last:
            log.warning("%s", self._works)
