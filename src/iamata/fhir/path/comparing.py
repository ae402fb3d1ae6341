"""Equality, equivalence and order (FHIRPath N1, 6.1 and 6.2). None means: not enough is known to say."""

import re
from collections.abc import Callable, Iterable, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from iamata.fhir.path import quantities, temporal
from iamata.fhir.path.decimals import count_places, quantize, to_decimal
from iamata.fhir.path.elements import Element, Item, to_value
from iamata.fhir.path.quantities import Quantity
from iamata.fhir.path.refusals import STEPS_MAX
from iamata.fhir.path.temporal import Date, DateTime, Time

_NUMBERS: Final = (int, Decimal)
_TIMES: Final = (Date, DateTime, Time)
_CHARS_A_STEP: Final = 256
_NODES_A_STEP: Final = 2
_GLANCE_MAX: Final = 64
_SPACE: Final = re.compile(r"\s+")


def is_number(value: object) -> bool:
    """Tell whether a value is an Integer or a Decimal."""
    return type(value) in _NUMBERS


def are_equal(left: Sequence[Item], right: Sequence[Item]) -> bool | None:
    """Compare two collections item by item, in order."""
    if not left or not right:
        return None
    if len(left) != len(right):
        return False
    is_certain = True
    for one, other in zip(left, right, strict=True):
        answer = is_equal(to_value(one), to_value(other))
        if answer is False:
            return False
        is_certain = is_certain and answer is not None
    return True if is_certain else None


def weigh(items: Iterable[Item]) -> int:
    """Tell how many steps it costs to compare items with others: trees and long texts node by node."""
    weight = 0
    for item in items:
        value = item.value if type(item) is Element else item
        if isinstance(value, str):
            weight += len(value) // _CHARS_A_STEP
        elif isinstance(value, dict | list):
            weight += _count_nodes(value) // _NODES_A_STEP
    return weight


def _count_nodes(node: object) -> int:
    """Count what is in JSON, as far as anybody can pay for it."""
    count, rest = 1, [node]
    while rest and count < STEPS_MAX * _NODES_A_STEP:
        one = rest.pop()
        if type(one) is dict:
            count += len(one)
            rest += one.values()
        elif type(one) is list:
            count += len(one)
            rest += one
    return count


def is_equal(left: Item, right: Item) -> bool | None:  # noqa: PLR0911  one for each kind of value
    """Compare two items."""
    kind, other = type(left), type(right)
    if kind is str or other is str or kind is bool or other is bool:
        return kind is other and left == right
    if kind in _NUMBERS and other in _NUMBERS:
        return left == right
    if isinstance(left, _TIMES) and isinstance(right, _TIMES):
        if not temporal.are_comparable(left, right):
            return False
        answer = temporal.compare(left, right)
        return None if answer is None else answer == 0
    if kind is Quantity or other is Quantity:
        one, two = as_quantity(left), as_quantity(right)
        if one is None or two is None:
            return False
        if _mixes_calendars(one, two):
            return None
        answer = quantities.compare(one, two)
        return answer == 0 if answer is not None else False
    if kind is Element and other is Element:
        return left.value == right.value and left.extra == right.extra  # type: ignore[union-attr]
    return False


def are_alike(left: Sequence[Item], right: Sequence[Item]) -> bool:
    """Compare two collections without regard to order, case, white space or precision beyond the lesser."""
    if len(left) != len(right):
        return False
    rest = [to_value(one) for one in right]
    for one in left:
        value = to_value(one)
        place = next((place for place, other in enumerate(rest) if is_alike(value, other)), None)
        if place is None:
            return False
        del rest[place]
    return True


def is_alike(left: Item, right: Item) -> bool:
    """Compare two items for equivalence."""
    kind, other = type(left), type(right)
    if kind is str and other is str:
        return normalize(left) == normalize(right)  # type: ignore[arg-type]
    if kind in _NUMBERS and other in _NUMBERS:
        one, two = to_decimal(left), to_decimal(right)
        places = min(count_places(one), count_places(two))
        return quantize(one, places, ROUND_HALF_UP) == quantize(two, places, ROUND_HALF_UP)
    if kind is Quantity or other is Quantity:
        first, second = as_quantity(left), as_quantity(right)
        return first is not None and second is not None and quantities.are_alike(first, second)
    if kind is Element and other is Element:
        return _loosen(left.value) == _loosen(right.value)  # type: ignore[union-attr]
    return is_equal(left, right) is True


def normalize(text: str) -> str:
    """Drop what equivalence of strings does not look at: case, and how wide a gap is."""
    return _SPACE.sub(" ", text).lower()


def _loosen(node: object) -> object:
    """Make a key of JSON to which ids of elements, order in lists, case and wide gaps are nothing."""
    if type(node) is dict:
        return tuple([(key, _loosen(one)) for key, one in sorted(node.items()) if key != "id"])
    if type(node) is list:
        return tuple(sorted([_loosen(one) for one in node], key=repr))
    return normalize(node) if type(node) is str else (type(node) is bool, node)


def order(left: Item, right: Item) -> int | None:
    """Put two values in order: -1, 0 or 1; raises TypeError where they are of different kinds."""
    kind, other = type(left), type(right)
    if (kind in _NUMBERS and other in _NUMBERS) or (kind is str and other is str):
        return (left > right) - (left < right)  # type: ignore[operator]
    if isinstance(left, _TIMES) and isinstance(right, _TIMES) and temporal.are_comparable(left, right):
        return temporal.compare(left, right)
    if kind is Quantity or other is Quantity:
        one, two = as_quantity(left), as_quantity(right)
        if one is not None and two is not None:
            return quantities.compare(one, two)
    raise TypeError


def as_quantity(value: Item) -> Quantity | None:
    """Take a number for a quantity without a unit."""
    if type(value) is Quantity:
        return value
    return Quantity(to_decimal(value)) if type(value) in _NUMBERS else None


class Seen:
    """Items that were seen, to find equal ones: a tree is compared only with those alike at a glance."""

    __slots__ = ("_spend", "_trees", "_values")

    def __init__(self, spend: Callable[[int], None], items: Iterable[Item] = ()) -> None:
        self._spend = spend
        self._values: dict[object, None] = {}
        self._trees: dict[object, list[Element]] = {}
        for item in items:
            self.add(item)

    def add(self, item: Item) -> bool:
        """Remember an item; tell whether nothing that equals it was seen before."""
        value = to_value(item)
        if type(value) is Element:
            alike = self._trees.setdefault(_glance(value.value), [])
            if alike:
                self._spend(len(alike) * (1 + weigh([value])))
                if any(is_equal(value, one) for one in alike):
                    return False
            alike.append(value)
            return True
        key = _make_key(value)
        if key in self._values:
            return False
        self._values[key] = None
        return True

    def has(self, item: Item) -> bool:
        """Tell whether something that equals an item was seen."""
        value = to_value(item)
        if type(value) is Element:
            alike = self._trees.get(_glance(value.value), [])
            if alike:
                self._spend(len(alike) * (1 + weigh([value])))
            return any(is_equal(value, one) for one in alike)
        return _make_key(value) in self._values


def _glance(node: object) -> object:
    """Pick from JSON what is quickly compared: equal trees have the same."""
    if type(node) is not dict:
        return None
    if len(node) > _GLANCE_MAX:
        return len(node)
    return tuple(sorted([one for one in node.values() if type(one) is str]))


def _make_key(value: Item) -> object:
    """Make a key that two values share just where they are equal."""
    kind = type(value)
    if kind is str:
        return value
    match value:
        case bool():
            return ("boolean", value)
        case int() | Decimal():
            return ("number", value)
        case Date() | DateTime() | Time():
            return temporal.make_key(value)
        case Quantity():
            measure = quantities.measure(value)
            return ("quantity", measure.value, measure.kind)
    return value


def _mixes_calendars(left: Quantity, right: Quantity) -> bool:
    """Tell whether a year or a month meets a UCUM unit of time: nobody knows which is longer."""
    long = ("year", "month")
    return (left.is_calendar and left.unit in long) != (right.is_calendar and right.unit in long) and (
        left.unit in {*long, "a", "mo", "wk", "d", "h", "min", "s", "ms"}
        and right.unit in {*long, "a", "mo", "wk", "d", "h", "min", "s", "ms"}
    )
