"""Time as the ledger knows it: milliseconds since 1970 in UTC, and whole UTC days."""

from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Final, NewType

import msgspec

from iamata.model.canonical import INTEGER_MAX

MS_PER_SECOND: Final = 1_000
MS_PER_MINUTE: Final = 60 * MS_PER_SECOND
MS_PER_HOUR: Final = 60 * MS_PER_MINUTE
MS_PER_DAY: Final = 24 * MS_PER_HOUR
DAY_MAX: Final = 100_000
"""A day in the year 2243: a limit on what a period can name."""

Instant = NewType("Instant", Annotated[int, msgspec.Meta(ge=0, le=INTEGER_MAX)])
"""Milliseconds since 1970-01-01T00:00:00Z."""
Day = NewType("Day", Annotated[int, msgspec.Meta(ge=0, le=DAY_MAX)])
"""Whole UTC days since 1970-01-01."""

_EPOCH: Final = date(1970, 1, 1)
_EPOCH_INSTANT: Final = datetime(1970, 1, 1, tzinfo=UTC)


def compute_day(instant_ms: int) -> Day:
    """Tell the UTC day in which an instant lies."""
    return Day(instant_ms // MS_PER_DAY)


def parse_day(text: str) -> Day:
    """Read YYYY-MM-DD; raise ValueError for anything else."""
    return Day((date.fromisoformat(text) - _EPOCH).days)


def format_day(day: int) -> str:
    """Write a day as YYYY-MM-DD."""
    return (_EPOCH + timedelta(days=day)).isoformat()


def format_instant(instant_ms: int) -> str:
    """Write an instant in RFC 3339 with milliseconds, in UTC."""
    moment = _EPOCH_INSTANT + timedelta(milliseconds=instant_ms)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
