"""Times of day as they are sent."""

from datetime import UTC, datetime
from typing import overload


@overload
def time_of(seconds: float) -> datetime: ...
@overload
def time_of(seconds: None) -> None: ...
def time_of(seconds: float | None) -> datetime | None:
    """Return seconds since 1970 as a time in UTC."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
