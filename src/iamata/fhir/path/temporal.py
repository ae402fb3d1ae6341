"""Dates, times and moments of partial precision (FHIRPath N1, 4.1.5 to 4.1.7).

`parts` hold what is known, from the year or the hour on; a second is a decimal, because seconds and
milliseconds are one precision. Two values compare only as far as both are known: beyond that the answer
is None, which an expression sees as an empty collection.
"""

import re
from collections.abc import Callable
from datetime import date, timedelta
from decimal import ROUND_DOWN, Decimal
from typing import Final, TypeAlias

import msgspec

from iamata.fhir.path.decimals import count_places

HOURS_DAY: Final = 24
MINUTES_HOUR: Final = 60
MONTHS_YEAR: Final = 12
YEAR_MAX: Final = 9_999
OFFSET_MINUTES_MAX: Final = 14 * MINUTES_HOUR
OFFSET_MINUTES_MIN: Final = -12 * MINUTES_HOUR

_DATE: Final = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d))?)?", re.ASCII)
_TIME: Final = re.compile(r"(\d\d)(?::(\d\d)(?::(\d\d(?:\.\d+)?))?)?", re.ASCII)
_ZONE: Final = re.compile(r"(Z)|([+-])(\d\d):(\d\d)", re.ASCII)
_TIME_CHARS_MAX: Final = 32
_MONTH, _DAY = 2, 3
"""How many parts are known of a month and of a day."""
_DAYS: Final = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_DAY_SECONDS: Final = 86_400
_MONTH_DAYS: Final = 30
_YEAR_DAYS: Final = 365
_CLOCK: Final = (Decimal(3600), Decimal(60), Decimal(1))
FEBRUARY: Final = 2


class Date(msgspec.Struct, frozen=True, gc=False):
    """A day, a month or a year."""

    parts: tuple[int, ...]

    def __str__(self) -> str:
        return _spell_date(self.parts)


class DateTime(msgspec.Struct, frozen=True, gc=False):
    """A moment, from a bare year to a fraction of a second, with or without a zone."""

    parts: tuple[int | Decimal, ...]
    offset: int | None = None
    """Minutes east of UTC."""

    def __str__(self) -> str:
        if len(self.parts) <= _DAY:
            return _spell_date(self.parts)
        zone = "" if self.offset is None else _spell_zone(self.offset)
        return f"{_spell_date(self.parts[:_DAY])}T{_spell_time(self.parts[_DAY:])}{zone}"


class Time(msgspec.Struct, frozen=True, gc=False):
    """A time of day."""

    parts: tuple[int | Decimal, ...]

    def __str__(self) -> str:
        return _spell_time(self.parts)


Temporal: TypeAlias = Date | DateTime | Time
Shift: TypeAlias = Callable[[Temporal, Decimal], Temporal]


def parse_date(text: str) -> Date | None:
    """Read a date; None where it is none of the calendar."""
    match = _DATE.fullmatch(text)
    if match is None:
        return None
    parts = tuple(int(part) for part in match.groups() if part is not None)
    return Date(parts) if _is_date(parts) else None


def parse_time(text: str) -> Time | None:
    """Read a time of day; None where it is none."""
    parts = _parse_time_parts(text.removeprefix("T"))
    return None if parts is None else Time(parts)


def parse_datetime(text: str) -> DateTime | None:
    """Read a moment; None where it is none of the calendar."""
    day, mark, rest = text.partition("T")
    head = parse_date(day)
    if head is None or not mark or not rest:
        return None if head is None else DateTime(head.parts)
    if len(head.parts) != _DAY:  # a time belongs to a whole day
        return None
    zone = _ZONE.search(rest)
    parts = _parse_time_parts(rest[: zone.start()] if zone else rest)
    if parts is None or (zone and zone.end() != len(rest)):
        return None
    offset = _read_offset(zone) if zone else None
    return DateTime(head.parts + parts, offset)


def compare(left: Temporal, right: Temporal) -> int | None:
    """Compare two values of one kind: -1, 0 or 1, or None where too little is known."""
    if isinstance(left, Time) or isinstance(right, Time):
        return _compare_parts(left.parts, right.parts)
    offset, other = _get_offset(left), _get_offset(right)
    if offset is not None and other is not None and offset != other:
        return _compare_parts(_shift(left, -offset), _shift(right, -other))
    answer = _compare_parts(left.parts, right.parts)
    if _has_time(left) and _has_time(right) and (offset is None) != (other is None):
        return None  # the zone that is missing may be any
    return answer


def are_comparable(left: Temporal, right: Temporal) -> bool:
    """Tell whether two values are of one kind: days and moments are, times of day only among themselves."""
    return isinstance(left, Time) == isinstance(right, Time)


def make_key(value: Temporal) -> tuple[object, ...]:
    """Make a key that two values share just where they are equal for certain."""
    if isinstance(value, Time):
        return ("time", *value.parts)
    offset = _get_offset(value)
    if offset is None:
        return ("date", None, *value.parts)
    return ("date", 0, *_shift(value, -offset))


def shift(value: Temporal, amount: Decimal, unit: str) -> Temporal | None:
    """Add an amount of a calendar unit; None where that leaves the calendar."""
    try:
        return _SHIFTS[unit](value, amount)
    except (OverflowError, ValueError):
        return None


def _shift_months(value: Temporal, amount: Decimal, months: int) -> Temporal:
    if isinstance(value, Time):
        raise OverflowError  # a time of day has no months
    count = int(amount) * months
    parts = value.parts
    if len(parts) == 1:
        years = abs(count) // MONTHS_YEAR
        return _replace(value, (_check_year(int(parts[0]) + (years if count > 0 else -years)),))
    index = int(parts[0]) * MONTHS_YEAR + int(parts[1]) - 1 + count
    year, month = _check_year(index // MONTHS_YEAR), index % MONTHS_YEAR + 1
    if len(parts) == _MONTH:
        return _replace(value, (year, month))
    day = min(int(parts[2]), count_days(year, month))
    return _replace(value, (year, month, day, *parts[_DAY:]))


def _shift_seconds(value: Temporal, amount: Decimal, seconds: Decimal) -> Temporal:
    whole = amount if seconds <= 1 else amount.to_integral_value(ROUND_DOWN)
    if isinstance(value, Time):
        return Time(_shift_clock(value.parts, whole * seconds)[1])
    return _shift_day(value, whole * seconds)


def _shift_day(value: Date | DateTime, seconds: Decimal) -> Temporal:
    known = len(value.parts)
    days = int(seconds // _DAY_SECONDS)
    if known < _DAY:  # as many whole months or years as the days fill
        months = days // _MONTH_DAYS if known == _MONTH else days // _YEAR_DAYS * MONTHS_YEAR
        return _shift_months(value, Decimal(months), 1)
    clock: tuple[int | Decimal, ...] = ()
    if known > _DAY:
        days, clock = _shift_clock(value.parts[_DAY:], seconds)
    year, month, day = (int(part) for part in value.parts[:_DAY])
    moved = date(year, month, day) + timedelta(days=days)
    return _replace(value, (moved.year, moved.month, moved.day, *clock))


def _shift_clock(
    parts: tuple[int | Decimal, ...], seconds: Decimal
) -> tuple[int, tuple[int | Decimal, ...]]:
    """Turn the hands: how many midnights were passed, and where the hands stand."""
    total = sum((part * unit for part, unit in zip(parts, _CLOCK, strict=False)), Decimal(0)) + seconds
    days = int(total // _DAY_SECONDS)
    days -= total < days * _DAY_SECONDS
    rest = total - days * _DAY_SECONDS
    hands = (int(rest // _CLOCK[0]), int(rest % _CLOCK[0] // _CLOCK[1]), rest % _CLOCK[1])
    return days, hands[: len(parts)]


def _shift(value: Date | DateTime, minutes: int) -> tuple[int | Decimal, ...]:
    """Move a moment by minutes, and tell its parts; an hour without minutes stays an hour."""
    try:
        return _shift_day(value, Decimal(minutes * MINUTES_HOUR)).parts
    except (OverflowError, ValueError):
        return value.parts  # at the ends of the calendar a zone changes nothing that matters


def _compare_parts(left: tuple[int | Decimal, ...], right: tuple[int | Decimal, ...]) -> int | None:
    for one, other in zip(left, right, strict=False):
        if one != other:
            return -1 if one < other else 1
    return 0 if len(left) == len(right) else None


def _get_offset(value: Date | DateTime) -> int | None:
    return value.offset if isinstance(value, DateTime) else None


def _has_time(value: Date | DateTime) -> bool:
    return len(value.parts) > _DAY


def _replace(value: Date | DateTime, parts: tuple[int | Decimal, ...]) -> Date | DateTime:
    if isinstance(value, DateTime):
        return DateTime(parts, value.offset)
    return Date(tuple(int(part) for part in parts))


def _check_year(year: int) -> int:
    if not 1 <= year <= YEAR_MAX:
        raise OverflowError
    return year


def count_days(year: int, month: int) -> int:
    """Count the days of a month."""
    return _DAYS[month - 1] + (month == FEBRUARY and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0))


def _is_date(parts: tuple[int, ...]) -> bool:
    year, month, day = (*parts, 1, 1)[:_DAY]
    return year >= 1 and 1 <= month <= MONTHS_YEAR and 1 <= day <= count_days(year, month)


def _parse_time_parts(text: str) -> tuple[int | Decimal, ...] | None:
    match = _TIME.fullmatch(text) if len(text) <= _TIME_CHARS_MAX else None
    if match is None:
        return None
    hour, minute, second = match.groups()
    parts = (int(hour), int(minute or 0), Decimal(second or 0))
    if parts[0] >= HOURS_DAY or parts[1] >= MINUTES_HOUR or parts[2] >= MINUTES_HOUR:
        return None
    return parts[: 1 + (minute is not None) + (second is not None)]


def _read_offset(zone: re.Match[str]) -> int:
    if zone[1]:
        return 0
    minutes = int(zone[3]) * MINUTES_HOUR + int(zone[4])
    return -minutes if zone[2] == "-" else minutes


def _spell_date(parts: tuple[int | Decimal, ...]) -> str:
    return "-".join(f"{int(part):0{4 if place == 0 else 2}d}" for place, part in enumerate(parts))


def _spell_time(parts: tuple[int | Decimal, ...]) -> str:
    spelled = [f"{int(part):02d}" for part in parts]
    if len(parts) == 3 and (places := count_places(Decimal(parts[2]))):  # noqa: PLR2004  to the second
        spelled[2] = f"{parts[2]:0{places + 3}f}"
    return ":".join(spelled)


def _spell_zone(offset: int) -> str:
    if offset == 0:
        return "Z"
    hours, minutes = divmod(abs(offset), MINUTES_HOUR)
    return f"{'-' if offset < 0 else '+'}{hours:02d}:{minutes:02d}"


def _by_months(months: int) -> Shift:
    return lambda value, amount: _shift_months(value, amount, months)


def _by_seconds(seconds: str) -> Shift:
    factor = Decimal(seconds)
    return lambda value, amount: _shift_seconds(value, amount, factor)


_SHIFTS: Final[dict[str, Shift]] = {
    "year": _by_months(MONTHS_YEAR),
    "month": _by_months(1),
    "week": _by_seconds("604800"),
    "day": _by_seconds("86400"),
    "hour": _by_seconds("3600"),
    "minute": _by_seconds("60"),
    "second": _by_seconds("1"),
    "millisecond": _by_seconds("0.001"),
}
