"""Conversions between FHIRPath's own types (FHIRPath N1, 5.5): empty where a value has no counterpart."""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Final, TypeAlias

from iamata.fhir.path import quantities
from iamata.fhir.path.decimals import INTEGER_MAX, spell, to_decimal
from iamata.fhir.path.elements import Element, Item, Value
from iamata.fhir.path.evaluation import Frame, Items
from iamata.fhir.path.functions.calls import BOOLEAN, Call, Function, always, on_items
from iamata.fhir.path.quantities import CALENDAR_UNITS, Quantity, parse_quantity
from iamata.fhir.path.singles import take_string, take_value
from iamata.fhir.path.temporal import Date, DateTime, Time, parse_datetime, parse_time

Convert: TypeAlias = Callable[[Item], Value | None]

_INTEGER: Final = re.compile(r"[+-]?\d{1,10}", re.ASCII)
_DECIMAL: Final = re.compile(r"[+-]?\d{1,64}(?:\.\d{1,64})?", re.ASCII)
_TRUE: Final = ("true", "t", "yes", "y", "1", "1.0")
_FALSE: Final = ("false", "f", "no", "n", "0", "0.0")
_DAY: Final = 3


def to_boolean(value: Item) -> bool | None:
    """Convert to a Boolean."""
    match value:
        case bool():
            return value
        case int() | Decimal():
            return value == 1 if value in {0, 1} else None
        case str():
            word = value.lower()
            return True if word in _TRUE else False if word in _FALSE else None
    return None


def to_integer(value: Item) -> int | None:
    """Convert to an Integer."""
    match value:
        case bool() | int():
            return int(value)
        case str() if _INTEGER.fullmatch(value):
            number = int(value)
            return number if -INTEGER_MAX - 1 <= number <= INTEGER_MAX else None
    return None


def convert_decimal(value: Item) -> Decimal | None:
    """Convert to a Decimal."""
    match value:
        case bool():
            return Decimal(int(value))
        case int() | Decimal():
            return to_decimal(value)
        case str() if _DECIMAL.fullmatch(value):
            return Decimal(value)
    return None


def to_string(value: Item) -> str | None:
    """Convert to a String."""
    match value:
        case bool():
            return "true" if value else "false"
        case Decimal():
            return spell(value)
        case Element():
            return None
    return str(value)


def to_date(value: Item) -> Date | None:
    """Convert to a Date; a moment loses its time."""
    match value:
        case Date():
            return value
        case DateTime():
            return Date(tuple(int(part) for part in value.parts[:_DAY]))
        case str():
            found = parse_datetime(value)
            return None if found is None else to_date(found)
    return None


def to_datetime(value: Item) -> DateTime | None:
    """Convert to a DateTime; a day stays as precise as it is."""
    match value:
        case Date():
            return DateTime(value.parts)
        case DateTime():
            return value
        case str():
            return parse_datetime(value)
    return None


def to_time(value: Item) -> Time | None:
    """Convert to a Time."""
    match value:
        case Time():
            return value
        case str():
            return parse_time(value)
    return None


def to_quantity(value: Item) -> Quantity | None:
    """Convert to a Quantity; what has no unit has the unit 1."""
    match value:
        case Quantity():
            return value
        case bool() | int() | Decimal():
            number = convert_decimal(value)
            return None if number is None else Quantity(number)
        case str():
            return parse_quantity(value)
    return None


def _convert(convert: Convert, types: tuple[str, ...]) -> Function:
    def run(items: Items, call: Call, frame: Frame) -> Items:
        del frame
        value = take_value(items, call.place)
        converted = None if value is None else convert(value)
        return [] if converted is None else [converted]

    return on_items(run, gives=always(types))


def _test(convert: Convert) -> Function:
    def run(items: Items, call: Call, frame: Frame) -> Items:
        del frame
        value = take_value(items, call.place)
        return [] if value is None else [convert(value) is not None]

    return on_items(run, gives=always(BOOLEAN))


def _convert_quantity(items: Items, call: Call, frame: Frame) -> Items:
    value = take_value(items, call.place)
    quantity = None if value is None else to_quantity(value)
    if quantity is None or not call.arguments:
        return [] if quantity is None else [quantity]
    unit = take_string(call.arguments[0](frame), call.place)
    if unit is None:
        return []
    wanted = Quantity(Decimal(0), CALENDAR_UNITS.get(unit, unit), is_calendar=unit in CALENDAR_UNITS)
    converted = quantities.add(wanted, quantity, 1)
    return [] if converted is None else [converted]


def _test_quantity(items: Items, call: Call, frame: Frame) -> Items:
    if not items:
        return []
    return [bool(_convert_quantity(items, call, frame))]


_TARGETS: Final[dict[str, Convert]] = {
    "Boolean": to_boolean,
    "Integer": to_integer,
    "Decimal": convert_decimal,
    "String": to_string,
    "Date": to_date,
    "DateTime": to_datetime,
    "Time": to_time,
}

CONVERSIONS: Final[dict[str, Function]] = {
    **{f"to{name}": _convert(convert, (f"System.{name}",)) for name, convert in _TARGETS.items()},
    **{f"convertsTo{name}": _test(convert) for name, convert in _TARGETS.items()},
    "toQuantity": on_items(_convert_quantity, gives=always(("System.Quantity",)), most=1),
    "convertsToQuantity": on_items(_test_quantity, gives=always(BOOLEAN), most=1),
}
