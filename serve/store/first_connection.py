"""Waiting for a PostgreSQL server that starts at the same time as the service, or restarts.

Does: tell a server that does not answer yet from one that refuses us, try again with growing pauses
for a bounded time.  Does not: connect (see database), or wait once the service runs.
"""

import re
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import DBAPIError

from mllm_affect.errors import UserError

T = TypeVar("T")

PAUSE_S = (0.5, 5.0)
"""First and longest pause between two tries; each is twice the one before."""

REFUSED = re.compile(
    r"connection is bad|FATAL:(?!.*(starting up|shutting down|recovery|not yet accepting|too many"
    r"|connection slots))"
)
"""What the driver says of addresses that it cannot read and of servers that refuse us: before a
connection stands, it gives no SQLSTATE."""


class DatabaseNotThereError(UserError):
    """No database server answers at the address, or it is not ready for connections."""


def is_not_there(error: BaseException) -> bool:
    """Return whether a failed connection may succeed later, as nobody has refused it."""
    cause = error.__cause__
    if not isinstance(cause, DBAPIError):
        return False
    connection = getattr(cause.orig, "pgconn", None)
    if connection is None and not str(cause.orig).startswith("failed to resolve host"):
        return type(cause.orig).__name__ == "ConnectionTimeout"
    if connection is not None and (connection.used_password or connection.needs_password):
        return False
    return REFUSED.search(str(cause.orig)) is None


def when_there(connect: Callable[[], T], within_s: float, say: Callable[[str], None]) -> T:
    """Return what `connect` returns once the database is there; `say` is told that it waits.

    Raises UserError `bad_database` when it is not there after so many seconds, or refuses us.
    """
    deadline, pause_s, told = time.monotonic() + within_s, PAUSE_S[0], False
    while True:
        try:
            return connect()
        except DatabaseNotThereError as error:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise UserError(
                    "bad_database",
                    f"The database did not answer within {within_s:.0f} s; check --database and "
                    "that the server runs.",
                ) from error
            if not told:
                say(f"The database does not answer yet; waiting for it, {within_s:.0f} s at most.")
                told = True
            time.sleep(min(pause_s, left_s))
            pause_s = min(2 * pause_s, PAUSE_S[1])
