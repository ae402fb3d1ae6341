"""Quantities: a number and a unit of UCUM or of the calendar (FHIRPath N1, 4.1.8).

A year or a month of the calendar is no fixed number of seconds, so neither equals UCUM's `a` or `mo`;
weeks and less are the same in both.
"""

import re
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Final

import msgspec

from iamata.fhir.path.decimals import compute, count_places, quantize, spell
from iamata.fhir.path.units import Unit, find_unit

CALENDAR_UNITS: Final = {
    name + plural: name
    for name in ("year", "month", "week", "day", "hour", "minute", "second", "millisecond")
    for plural in ("", "s")
}
_UCUM_OF_CALENDAR: Final = {
    "week": "wk", "day": "d", "hour": "h", "minute": "min", "second": "s", "millisecond": "ms",
}  # fmt: skip
"""Calendar units that are the same length in UCUM."""
CALENDAR_OF_UCUM: Final = {ucum: calendar for calendar, ucum in _UCUM_OF_CALENDAR.items()}
_ALIKE: Final = {"year": "a", "month": "mo"}
_MONTHS: Final = {"year": 12, "month": 1}
_TEXT: Final = re.compile(r"([+-]?\d{1,64}(?:\.\d{1,64})?)\s*(?:'([^']+)'|([a-z]+))?", re.ASCII)


class Quantity(msgspec.Struct, frozen=True, gc=False):
    """A number and its unit."""

    value: Decimal
    unit: str = "1"
    is_calendar: bool = False

    def __str__(self) -> str:
        unit = self.unit if self.is_calendar else f"'{self.unit}'"
        return f"{spell(self.value)} {unit}"


class Measure(msgspec.Struct, frozen=True, gc=False):
    """A quantity in base units: what two quantities are compared by."""

    value: Fraction
    kind: object


def parse_quantity(text: str) -> Quantity | None:
    """Read `4.5 'mg'`, `1 day` or a bare number; None for anything else."""
    match = _TEXT.fullmatch(text)
    if match is None:
        return None
    number, unit, word = match.groups()
    if word is None:
        return Quantity(Decimal(number), unit or "1")
    if word not in CALENDAR_UNITS:
        return None
    return Quantity(Decimal(number), CALENDAR_UNITS[word], is_calendar=True)


def measure(quantity: Quantity) -> Measure:
    """Bring a quantity to base units; a unit that nobody knows is a kind of its own."""
    value = Fraction(quantity.value)
    if quantity.is_calendar and quantity.unit in _MONTHS:
        return Measure(value * _MONTHS[quantity.unit], "calendar")
    unit = find_unit(_spell_ucum(quantity))
    if unit is None:
        return Measure(value, quantity.unit)
    return Measure(value * unit.factor, unit.dimensions)


def compare(left: Quantity, right: Quantity) -> int | None:
    """Compare: -1, 0 or 1, or None where the units measure different things."""
    one, other = measure(left), measure(right)
    if one.kind != other.kind:
        return None
    return (one.value > other.value) - (one.value < other.value)


def are_alike(left: Quantity, right: Quantity) -> bool:
    """Tell whether two quantities are equivalent: equal as far as the less precise one says."""
    left, right = _loosen(left, right), _loosen(right, left)
    return _fits(left, right) or _fits(right, left)


def are_comparable(left: Quantity, right: Quantity) -> bool:
    """Tell whether the units measure the same thing."""
    return measure(left).kind == measure(right).kind


def add(left: Quantity, right: Quantity, sign: int) -> Quantity | None:
    """Add or subtract, in the unit of the left one; None where the units do not fit."""
    one, other = find_unit(_spell_ucum(left)), find_unit(_spell_ucum(right))
    if left.unit == right.unit and left.is_calendar == right.is_calendar:
        value = compute(lambda context: context.add(left.value, sign * right.value))
    elif one is not None and other is not None and one.dimensions == other.dimensions:
        converted = _to_decimal(Fraction(right.value) * other.factor * _invert(one.factor))
        value = compute(lambda context: context.add(left.value, sign * converted))
    else:
        return None
    return None if value is None else msgspec.structs.replace(left, value=value)


def multiply(left: Quantity, right: Quantity, sign: int) -> Quantity | None:
    """Multiply, or divide by a `sign` of -1; the result is in base units where the units differ from 1."""
    if sign < 0 and not right.value:
        return None
    if right.unit == "1":
        value = _join_values(left.value, right.value, sign)
        return None if value is None else msgspec.structs.replace(left, value=value)
    if left.unit == "1" and sign > 0:
        return multiply(right, left, sign)
    one, other = find_unit(_spell_ucum(left)), find_unit(_spell_ucum(right))
    if one is None or other is None:
        return None
    factor = one.factor * (other.factor if sign > 0 else _invert(other.factor))
    value = _join_values(left.value, right.value, sign)
    if value is None:
        return None
    return Quantity(_to_decimal(Fraction(value) * factor), _spell_dimensions(one, other, sign))


def _fits(rough: Quantity, exact: Quantity) -> bool:
    """Tell whether one quantity is what another one rounds to."""
    one, other = find_unit(_spell_ucum(rough)), find_unit(_spell_ucum(exact))
    value = exact.value
    if one is None or other is None or one.dimensions != other.dimensions:
        if rough.unit != exact.unit:
            return False
    else:
        value = _to_decimal(Fraction(exact.value) * other.factor * _invert(one.factor))
    return quantize(value, count_places(rough.value), ROUND_HALF_UP) == rough.value


def _join_values(left: Decimal, right: Decimal, sign: int) -> Decimal | None:
    if sign > 0:
        return compute(lambda context: context.multiply(left, right))
    return compute(lambda context: context.divide(left, right))


def _spell_dimensions(one: Unit, other: Unit, sign: int) -> str:
    powers = dict(one.dimensions)
    for base, power in other.dimensions:
        powers[base] = powers.get(base, 0) + sign * power
    spelled = [f"{base}{'' if power == 1 else power}" for base, power in sorted(powers.items()) if power]
    return ".".join(spelled) or "1"


def _spell_ucum(quantity: Quantity) -> str:
    if not quantity.is_calendar:
        return quantity.unit
    return _UCUM_OF_CALENDAR.get(quantity.unit) or _ALIKE[quantity.unit]


def _loosen(quantity: Quantity, other: Quantity) -> Quantity:
    """Let a calendar year be like a UCUM year, which only equivalence does."""
    if quantity.is_calendar and not other.is_calendar:
        return Quantity(quantity.value, _spell_ucum(quantity))
    return quantity


def _invert(value: Fraction) -> Fraction:
    return Fraction(value.denominator, value.numerator)


def _to_decimal(value: Fraction) -> Decimal:
    numerator, denominator = Decimal(value.numerator), Decimal(value.denominator)
    return compute(lambda context: context.divide(numerator, denominator)) or Decimal(0)
