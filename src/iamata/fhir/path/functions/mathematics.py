"""Functions of numbers (FHIRPath N1, 5.7). What has no result, or none that fits, is empty."""

from collections.abc import Callable
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from typing import Final

from iamata.fhir.path.decimals import DIGITS_MAX, INTEGER_MAX, compute, divide, quantize, to_decimal
from iamata.fhir.path.elements import Item
from iamata.fhir.path.evaluation import Frame, Items
from iamata.fhir.path.functions.calls import (
    DECIMAL,
    INTEGER,
    Call,
    Function,
    keep_types,
    on_items,
    on_value,
)
from iamata.fhir.path.quantities import Quantity
from iamata.fhir.path.singles import take_value

_PLACES_MAX: Final = DIGITS_MAX
_LOG_DIGITS: Final = 20
"""A logarithm keeps so many digits: two roundings stand behind it."""


def fit_integer(value: Decimal | int) -> int | None:
    """Return an Integer, or None for one that does not fit."""
    return int(value) if -INTEGER_MAX - 1 <= value <= INTEGER_MAX else None


def _abs(items: Items, call: Call, frame: Frame) -> Items:
    del frame
    value = take_value(items, call.place)
    if value is None:
        return []
    if type(value) is Quantity:
        return [Quantity(abs(value.value), value.unit, value.is_calendar)]
    if type(value) is int:
        return [abs(value)]
    if type(value) is Decimal:
        return [abs(value)]
    return call.place.refuse("a number is expected")


def _to_integral(rounding: str) -> Callable[[Decimal], int | None]:
    return lambda value: fit_integer(value.to_integral_value(rounding))


def _round(value: Decimal, places: int = 0) -> Decimal | None:
    return quantize(value, places, ROUND_HALF_UP) if 0 <= places <= _PLACES_MAX else None


def _log(value: Decimal, base: Decimal) -> Decimal | None:
    upper, lower = compute(lambda context: context.ln(value)), compute(lambda context: context.ln(base))
    if upper is None or not lower:
        return None
    quotient = divide(upper, lower)
    return None if quotient is None else +quantize(quotient, _LOG_DIGITS, ROUND_HALF_UP).normalize()


def _power(items: Items, call: Call, frame: Frame) -> Items:
    base, exponent = take_value(items, call.place), take_value(call.arguments[0](frame), call.place)
    if base is None or exponent is None:
        return []
    left, right = _take_number(base, call), _take_number(exponent, call)
    result = compute(lambda context: context.power(left, right))
    if result is None:
        return []
    if type(base) is int and type(exponent) is int and exponent >= 0:
        fitting = fit_integer(result)
        return [] if fitting is None else [fitting]
    return [result]


def _take_number(value: Item, call: Call) -> Decimal:
    if type(value) not in {int, Decimal}:
        call.place.refuse("a number is expected")
    return to_decimal(value)


MATHEMATICS: Final[dict[str, Function]] = {
    "abs": on_items(_abs, gives=keep_types),
    "ceiling": on_value(_to_integral(ROUND_CEILING), "number", gives=INTEGER),
    "floor": on_value(_to_integral(ROUND_FLOOR), "number", gives=INTEGER),
    "truncate": on_value(_to_integral(ROUND_DOWN), "number", gives=INTEGER),
    "exp": on_value(lambda value: compute(lambda context: context.exp(value)), "number", gives=DECIMAL),
    "ln": on_value(lambda value: compute(lambda context: context.ln(value)), "number", gives=DECIMAL),
    "sqrt": on_value(lambda value: compute(lambda context: context.sqrt(value)), "number", gives=DECIMAL),
    "log": on_value(_log, "number", "number", gives=DECIMAL),
    "power": on_items(_power, least=1),
    "round": on_value(_round, "number", "integer", gives=DECIMAL, optional=1),
}
