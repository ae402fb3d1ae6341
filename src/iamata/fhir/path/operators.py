"""What the operators do with their operands (FHIRPath N1, 6)."""

from collections.abc import Callable
from decimal import Decimal
from typing import Final, TypeAlias

from iamata.fhir.path import quantities, temporal
from iamata.fhir.path.comparing import (
    are_alike,
    are_equal,
    as_quantity,
    is_equal,
    is_number,
    order,
    weigh,
)
from iamata.fhir.path.decimals import LONG_MAX, compute, divide, to_decimal
from iamata.fhir.path.elements import Element, Item, Value, to_value
from iamata.fhir.path.evaluation import SMALL, Frame, Items, Run, Types
from iamata.fhir.path.functions.calls import check_length
from iamata.fhir.path.functions.collections import keep_distinct
from iamata.fhir.path.quantities import CALENDAR_OF_UCUM, Quantity
from iamata.fhir.path.refusals import Place
from iamata.fhir.path.singles import take_item, take_string, take_truth, take_value
from iamata.fhir.path.temporal import Date, DateTime, Time

Operate: TypeAlias = Callable[[Run, Run, Place], Run]
Arithmetic: TypeAlias = Callable[[Item, Item, Place], Value | None]

_INCOMPARABLE: Final = "values of these types cannot be compared"
_ALIKE_STEPS: Final = 32
_TIMES: Final = (Date, DateTime, Time)


def _equal(left: Run, right: Run, place: Place) -> Run:
    del place

    def run(frame: Frame) -> Items:
        one, other = left(frame), right(frame)
        if weight := weigh(one) if len(one) <= SMALL else len(one) + weigh(one):
            frame.environment.spend(weight)
        answer = are_equal(one, other)
        return [] if answer is None else [answer]

    return run


def _unequal(left: Run, right: Run, place: Place) -> Run:
    equal = _equal(left, right, place)
    return lambda frame: [not answer for answer in equal(frame)]


def _alike(left: Run, right: Run, place: Place) -> Run:
    del place

    def run(frame: Frame) -> Items:
        one, other = left(frame), right(frame)
        if len(one) > SMALL:
            frame.environment.spend(len(one) * len(other))
        # Whatever is compared is spelt anew for it, which costs far more than a look.
        if weight := weigh(one) * len(other) + weigh(other) * len(one):
            frame.environment.spend(weight * _ALIKE_STEPS)
        return [are_alike(one, other)]

    return run


def _unlike(left: Run, right: Run, place: Place) -> Run:
    alike = _alike(left, right, place)
    return lambda frame: [not answer for answer in alike(frame)]


def _order(accept: tuple[int, ...]) -> Operate:
    def operate(left: Run, right: Run, place: Place) -> Run:
        def run(frame: Frame) -> Items:
            one, other = take_value(left(frame), place), take_value(right(frame), place)
            if one is None or other is None or is_valueless(one) or is_valueless(other):
                return []
            try:
                answer = order(one, other)
            except TypeError:
                place.refuse(_INCOMPARABLE)
            return [] if answer is None else [answer in accept]

        return run

    return operate


def is_valueless(value: Item) -> bool:
    """Tell whether a primitive element has only extensions, or a quantity no number."""
    return type(value) is Element and value.type.convert is not None


def _and(left: Run, right: Run, place: Place) -> Run:
    def run(frame: Frame) -> Items:
        one = take_truth(left(frame), place)
        if one is False:
            return [False]
        other = take_truth(right(frame), place)
        return [False] if other is False else [] if one is None or other is None else [True]

    return run


def _or(left: Run, right: Run, place: Place) -> Run:
    def run(frame: Frame) -> Items:
        one = take_truth(left(frame), place)
        if one is True:
            return [True]
        other = take_truth(right(frame), place)
        return [True] if other is True else [] if one is None or other is None else [False]

    return run


def _xor(left: Run, right: Run, place: Place) -> Run:
    def run(frame: Frame) -> Items:
        one, other = take_truth(left(frame), place), take_truth(right(frame), place)
        return [] if one is None or other is None else [one is not other]

    return run


def _implies(left: Run, right: Run, place: Place) -> Run:
    def run(frame: Frame) -> Items:
        one = take_truth(left(frame), place)
        if one is False:
            return [True]
        other = take_truth(right(frame), place)
        return [True] if other is True else [] if one is None or other is None else [False]

    return run


def _union(left: Run, right: Run, place: Place) -> Run:
    del place
    return lambda frame: keep_distinct(left(frame) + right(frame), frame)


def _within(left: Run, right: Run, place: Place) -> Run:
    def run(frame: Frame) -> Items:
        item, many = take_item(left(frame), place), right(frame)
        if item is None:
            return []
        frame.environment.spend(len(many) * (1 + weigh([item])))
        value = to_value(item)
        return [any(is_equal(value, to_value(one)) is True for one in many)]

    return run


def _contains(left: Run, right: Run, place: Place) -> Run:
    return _within(right, left, place)


def _concatenate(left: Run, right: Run, place: Place) -> Run:
    def run(frame: Frame) -> Items:
        one, other = take_string(left(frame), place), take_string(right(frame), place)
        return [check_length((one or "") + (other or ""), frame)]

    return run


def _arithmetic(calculate: Arithmetic) -> Operate:
    def operate(left: Run, right: Run, place: Place) -> Run:
        def run(frame: Frame) -> Items:
            one, other = take_value(left(frame), place), take_value(right(frame), place)
            if one is None or other is None or is_valueless(one) or is_valueless(other):
                return []
            result = calculate(one, other, place)
            if type(result) is str:
                check_length(result, frame)
            return [] if result is None else [result]

        return run

    return operate


def _add(left: Item, right: Item, place: Place) -> Value | None:
    if type(left) is str and type(right) is str:
        return left + right
    return _sum(left, right, 1, place)


def _subtract(left: Item, right: Item, place: Place) -> Value | None:
    return _sum(left, right, -1, place)


def _sum(left: Item, right: Item, sign: int, place: Place) -> Value | None:
    if type(left) is int and type(right) is int:
        return fit(left + sign * right)
    if is_number(left) and is_number(right):
        one, other = to_decimal(left), to_decimal(right)
        return compute(lambda context: context.add(one, sign * other))
    if isinstance(left, _TIMES) and type(right) is Quantity:
        return _shift(left, right, sign, place)
    first, second = _take_quantities(left, right, place)
    return quantities.add(first, second, sign)


def _shift(moment: Date | DateTime | Time, amount: Quantity, sign: int, place: Place) -> Value | None:
    unit = amount.unit if amount.is_calendar else CALENDAR_OF_UCUM.get(amount.unit)
    if unit is None or (isinstance(moment, Time) and unit in {"year", "month"}):
        place.refuse("this unit cannot be added to a date or a time")
    return temporal.shift(moment, sign * amount.value, unit)


def _multiply(left: Item, right: Item, place: Place) -> Value | None:
    if type(left) is int and type(right) is int:
        return fit(left * right)
    if is_number(left) and is_number(right):
        one, other = to_decimal(left), to_decimal(right)
        return compute(lambda context: context.multiply(one, other))
    return quantities.multiply(*_take_quantities(left, right, place), 1)


def _divide(left: Item, right: Item, place: Place) -> Value | None:
    if is_number(left) and is_number(right):
        return divide(to_decimal(left), to_decimal(right))
    return quantities.multiply(*_take_quantities(left, right, place), -1)


def _divide_whole(left: Item, right: Item, place: Place) -> Value | None:
    one, other = _take_numbers(left, right, place)
    quotient = compute(lambda context: context.divide_int(one, other)) if other else None
    return None if quotient is None else fit(int(quotient))


def _modulo(left: Item, right: Item, place: Place) -> Value | None:
    one, other = _take_numbers(left, right, place)
    rest = compute(lambda context: context.remainder(one, other)) if other else None
    if rest is not None and type(left) is int and type(right) is int:
        return int(rest)
    return rest


def fit(value: int) -> int | None:
    """Return a whole number, or None for one that no machine of the field could hold."""
    return value if -LONG_MAX <= value <= LONG_MAX else None


def _take_numbers(left: Item, right: Item, place: Place) -> tuple[Decimal, Decimal]:
    if not is_number(left) or not is_number(right):
        place.refuse("numbers are expected")
    return to_decimal(left), to_decimal(right)


def _take_quantities(left: Item, right: Item, place: Place) -> tuple[Quantity, Quantity]:
    one, other = as_quantity(left), as_quantity(right)
    if one is None or other is None:
        place.refuse("values of these types cannot be joined by this operator")
    return one, other


def negate(operand: Run, place: Place) -> Run:
    """Make what `-` before an operand does."""

    def run(frame: Frame) -> Items:
        value = take_value(operand(frame), place)
        if value is None:
            return []
        if type(value) is Quantity:
            return [Quantity(-value.value, value.unit, value.is_calendar)]
        if type(value) is int or type(value) is Decimal:
            return [-value]
        return place.refuse("a number is expected")

    return run


def affirm(operand: Run, place: Place) -> Run:
    """Make what `+` before an operand does: nothing, to a number."""

    def run(frame: Frame) -> Items:
        items = operand(frame)
        value = take_value(items, place)
        if value is not None and as_quantity(value) is None:
            place.refuse("a number is expected")
        return [] if value is None else [to_value(value)]

    return run


_BOOLEAN: Final = ("System.Boolean",)

OPERATORS: Final[dict[str, tuple[Operate, Types]]] = {
    "=": (_equal, _BOOLEAN),
    "!=": (_unequal, _BOOLEAN),
    "~": (_alike, _BOOLEAN),
    "!~": (_unlike, _BOOLEAN),
    "<": (_order((-1,)), _BOOLEAN),
    "<=": (_order((-1, 0)), _BOOLEAN),
    ">": (_order((1,)), _BOOLEAN),
    ">=": (_order((1, 0)), _BOOLEAN),
    "and": (_and, _BOOLEAN),
    "or": (_or, _BOOLEAN),
    "xor": (_xor, _BOOLEAN),
    "implies": (_implies, _BOOLEAN),
    "in": (_within, _BOOLEAN),
    "contains": (_contains, _BOOLEAN),
    "|": (_union, None),
    "&": (_concatenate, ("System.String",)),
    "+": (_arithmetic(_add), None),
    "-": (_arithmetic(_subtract), None),
    "*": (_arithmetic(_multiply), None),
    "/": (_arithmetic(_divide), None),
    "div": (_arithmetic(_divide_whole), None),
    "mod": (_arithmetic(_modulo), None),
}
