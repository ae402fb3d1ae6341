"""Take the one value that is asked for (FHIRPath N1, 4.5): none is None, and two are refused."""

from decimal import Decimal
from typing import TypeVar

from iamata.fhir.path.comparing import as_quantity, is_number
from iamata.fhir.path.decimals import to_decimal
from iamata.fhir.path.elements import Element, Item, to_value
from iamata.fhir.path.evaluation import Items
from iamata.fhir.path.quantities import Quantity
from iamata.fhir.path.refusals import Place
from iamata.fhir.path.temporal import Date, DateTime, Time

TemporalT = TypeVar("TemporalT", Date, DateTime, Time)


def take_item(items: Items, place: Place) -> Item | None:
    """Take the one item."""
    if len(items) > 1:
        place.refuse("several items stand where one is expected")
    return items[0] if items else None


def take_value(items: Items, place: Place) -> Item | None:
    """Take the one item as a value of FHIRPath's own types, where it has one."""
    if len(items) == 1:
        return to_value(items[0])
    return take_item(items, place)


def take_truth(items: Items, place: Place) -> bool | None:
    """Take the one Boolean; any other single value counts as true, because it is there."""
    if not items:
        return None
    value: Item | None = items[0]
    if len(items) > 1 or type(value) is not bool:
        value = take_value(items, place)
    return value if type(value) is bool else not (type(value) is Element and value.type.name == "boolean")


def take_boolean(items: Items, place: Place) -> bool | None:
    """Take the one Boolean, and nothing that merely is there."""
    value = take_value(items, place)
    if value is not None and type(value) is not bool:
        place.refuse("a Boolean is expected")
    return value


def take_string(items: Items, place: Place) -> str | None:
    """Take the one String."""
    value = take_value(items, place)
    if value is None or type(value) is str:
        return value
    if type(value) is Element and value.type.is_primitive and value.value is None:
        return None
    return place.refuse("a String is expected")


def take_integer(items: Items, place: Place) -> int | None:
    """Take the one Integer."""
    value = take_value(items, place)
    if value is None or type(value) is int:
        return value
    return place.refuse("an Integer is expected")


def take_decimal(items: Items, place: Place) -> Decimal | None:
    """Take the one number."""
    value = take_value(items, place)
    if value is None:
        return None
    if not is_number(value):
        place.refuse("a number is expected")
    return to_decimal(value)


def take_quantity(items: Items, place: Place) -> Quantity | None:
    """Take the one quantity; a number is one without a unit."""
    value = take_value(items, place)
    if value is None:
        return None
    quantity = as_quantity(value)
    if quantity is None:
        place.refuse("a Quantity is expected")
    return quantity
