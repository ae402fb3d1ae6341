"""How far a value of partial precision may reach (FHIRPath 2.0: lowBoundary, highBoundary, precision).

Digits count behind the point of a decimal; of days and moments, those of YYYYMMDDhhmmssfff.
"""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Final

from iamata.fhir.path import quantities
from iamata.fhir.path.decimals import count_places, quantize, to_decimal
from iamata.fhir.path.elements import Item, Value
from iamata.fhir.path.evaluation import Frame, Items
from iamata.fhir.path.functions.calls import (
    BOOLEAN,
    INTEGER,
    Call,
    Function,
    keep_types,
    on_items,
    on_value,
)
from iamata.fhir.path.quantities import Quantity
from iamata.fhir.path.singles import take_integer, take_value
from iamata.fhir.path.temporal import (
    OFFSET_MINUTES_MAX,
    OFFSET_MINUTES_MIN,
    Date,
    DateTime,
    Temporal,
    Time,
    count_days,
)

_DECIMAL_DIGITS: Final = 8
_DECIMAL_DIGITS_MAX: Final = 31
_DATE_DIGITS: Final = (4, 6, 8)
_DATETIME_DIGITS: Final = (4, 6, 8, 10, 12, 14, 17)
_TIME_DIGITS: Final = (2, 4, 6, 9)
_LAST_SECOND: Final = Decimal("59.999")
_FIRST_SECOND: Final = Decimal("0.000")
_DATE_PARTS: Final = 3


def _bound(items: Items, call: Call, frame: Frame, *, is_high: bool) -> Items:
    value = take_value(items, call.place)
    digits = take_integer(call.arguments[0](frame), call.place) if call.arguments else None
    if value is None:
        return []
    found = find_boundary(value, digits, is_high=is_high)
    return [] if found is None else [found]


def find_boundary(  # noqa: PLR0911  one for each type
    value: Item, digits: int | None, *, is_high: bool
) -> Value | None:
    """Find the least or the greatest value that something of this precision may mean."""
    match value:
        case bool():
            return None
        case int() | Decimal():
            return _bound_decimal(to_decimal(value), digits, is_high=is_high)
        case Quantity():
            bound = _bound_decimal(value.value, digits, is_high=is_high)
            return None if bound is None else Quantity(bound, value.unit, value.is_calendar)
        case Date():
            parts = _fill(value.parts, digits or _DATE_DIGITS[-1], _DATE_DIGITS, is_high=is_high)
            return None if parts is None else Date(tuple(int(part) for part in parts))
        case DateTime():
            return _bound_datetime(value, digits, is_high=is_high)
        case Time():
            # A time of day is filled as the time of some day.
            head = (1, 1, 1)
            shift = _DATE_DIGITS[-1]
            wanted = (_TIME_DIGITS[-1] if digits is None else digits) + shift
            parts = _fill((*head, *value.parts), wanted, _DATETIME_DIGITS, is_high=is_high)
            return None if parts is None or len(parts) <= len(head) else Time(parts[len(head) :])
    return None


def _bound_decimal(value: Decimal, digits: int | None, *, is_high: bool) -> Decimal | None:
    places = _DECIMAL_DIGITS if digits is None else digits
    if not 0 <= places <= _DECIMAL_DIGITS_MAX:
        return None
    half = Decimal(5).scaleb(-count_places(value) - 1)
    if is_high:
        return quantize(value + half, places, ROUND_CEILING)
    return quantize(value - half, places, ROUND_FLOOR)


def _bound_datetime(value: DateTime, digits: int | None, *, is_high: bool) -> Value | None:
    parts = _fill(value.parts, digits or _DATETIME_DIGITS[-1], _DATETIME_DIGITS, is_high=is_high)
    if parts is None:
        return None
    offset = value.offset
    if len(parts) > _DATE_PARTS and offset is None:
        offset = OFFSET_MINUTES_MIN if is_high else OFFSET_MINUTES_MAX
    return DateTime(parts, offset if len(parts) > _DATE_PARTS else None)


def _fill(
    parts: tuple[int | Decimal, ...], digits: int, allowed: tuple[int, ...], *, is_high: bool
) -> tuple[int | Decimal, ...] | None:
    """Give a moment the precision that is asked for: its least or greatest parts, or fewer of its own."""
    if digits not in allowed:
        return None
    count = min(allowed.index(digits) + 1, 6)  # second and millisecond are one part
    filled = list(parts)
    while len(filled) < count:
        filled.append(_choose_part(filled, is_high=is_high))
    if digits == _DATETIME_DIGITS[-1]:
        second = Decimal(filled[-1])
        filler = _LAST_SECOND if is_high and not count_places(second) else _FIRST_SECOND
        filled[-1] = second if count_places(second) else second + filler % 1
    return tuple(filled[:count])


def _choose_part(filled: list[int | Decimal], *, is_high: bool) -> int | Decimal:
    place = len(filled)
    if not is_high:
        return (1, 1, 1, 0, 0, Decimal(0))[place]
    if place == _DATE_PARTS - 1:
        return count_days(int(filled[0]), int(filled[1]))
    return (9999, 12, 31, 23, 59, Decimal(59))[place]


def _count_precision(value: Item) -> int | None:
    match value:
        case bool():
            return None
        case int() | Decimal():
            return count_places(to_decimal(value))
        case Date():
            return _DATE_DIGITS[len(value.parts) - 1]
        case DateTime():
            return _count_digits(value, _DATETIME_DIGITS)
        case Time():
            return _count_digits(value, _TIME_DIGITS)
    return None


def _count_digits(value: Temporal, allowed: tuple[int, ...]) -> int:
    is_split = len(value.parts) == len(allowed) - 1 and count_places(Decimal(value.parts[-1])) > 0
    return allowed[len(value.parts) - 1 + is_split]


def _low(items: Items, call: Call, frame: Frame) -> Items:
    return _bound(items, call, frame, is_high=False)


def _high(items: Items, call: Call, frame: Frame) -> Items:
    return _bound(items, call, frame, is_high=True)


BOUNDARIES: Final[dict[str, Function]] = {
    "lowBoundary": on_items(_low, gives=keep_types, most=1),
    "highBoundary": on_items(_high, gives=keep_types, most=1),
    "precision": on_value(_count_precision, "value", gives=INTEGER),
    "comparable": on_value(quantities.are_comparable, "quantity", "quantity", gives=BOOLEAN),
}
