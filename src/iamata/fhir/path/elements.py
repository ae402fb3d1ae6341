"""Elements of a resource as an expression sees them: JSON, with the type that R4 gives it.

What stands in a collection is an `Element`, or a plain value of FHIRPath's own types (`System.*`): a
bool, int, Decimal, str, date, time or quantity. An element becomes such a value when an operator asks
for one.
"""

import functools
from collections.abc import Callable
from decimal import Decimal
from types import NoneType
from typing import Any, Final, TypeAlias

import msgspec

from iamata.fhir.definitions import Element as Definition
from iamata.fhir.definitions import Kind, find_type, is_kind_of
from iamata.fhir.path.decimals import LONG_MAX, is_sane, to_decimal
from iamata.fhir.path.quantities import Quantity
from iamata.fhir.path.temporal import Date, DateTime, Time, parse_date, parse_datetime, parse_time

Json: TypeAlias = dict[str, Any]
Value: TypeAlias = bool | int | Decimal | str | Date | DateTime | Time | Quantity

SYSTEM_TYPES: Final[dict[type, str]] = {
    bool: "Boolean",
    int: "Integer",
    Decimal: "Decimal",
    str: "String",
    Date: "Date",
    DateTime: "DateTime",
    Time: "Time",
    Quantity: "Quantity",
}
_QUANTITIES: Final = ("Quantity", "Age", "Count", "Distance", "Duration", "Money", "MoneyQuantity")
_UCUM: Final = "http://unitsofmeasure.org"


class NodeType:
    """A type of R4, with the names under which JSON spells each element."""

    __slots__ = ("_found", "_keys", "convert", "is_primitive", "is_resource", "name")

    def __init__(self, name: str) -> None:
        definition = find_type(name)
        kind = definition.kind if definition is not None else Kind.COMPLEX
        self.name = name
        self.is_primitive = kind is Kind.PRIMITIVE
        self.is_resource = kind is Kind.RESOURCE
        self.convert = _find_converter(name) if self.is_primitive or name in _QUANTITIES else None
        self._found: dict[str, Child | None] = {}
        self._keys: dict[str, tuple[NodeType, str]] | None = None

    def __repr__(self) -> str:
        return self.name

    def find_child(self, name: str) -> "Child | None":
        """Find an element of this type by its name in expressions; None where it has none."""
        try:
            return self._found[name]
        except KeyError:
            definition = find_type(self.name)
            element = definition.find_element(name) if definition else None
            child = self._found[name] = Child(element) if element else None
            return child

    def define(self, name: str, child: "Child") -> None:
        """Give a type that R4 does not define an element."""
        self._found[name] = child

    def list_keys(self) -> dict[str, tuple["NodeType", str]]:
        """Map the names under which JSON has elements of this type to their types and companions."""
        if self._keys is None:
            definition = find_type(self.name)
            self._keys = {
                key: (get_node_type(name), f"_{key}")
                for element in (definition.elements if definition else ())
                for key, name in element.spell_names().items()
            }
        return self._keys

    def is_kind_of(self, name: str) -> bool:
        """Tell whether this type is another one, or specialises it."""
        return is_kind_of(self.name, name)


class Child:
    """An element of a type: the keys under which it may stand, and what it is then."""

    __slots__ = ("is_choice", "is_list", "name", "options", "types")

    def __init__(self, element: Definition) -> None:
        self.name = element.name
        self.is_list = element.is_list
        self.is_choice = element.is_choice
        self.types = element.types
        self.options = tuple((key, f"_{key}", name) for key, name in element.spell_names().items())


class Element(msgspec.Struct, gc=False, eq=False):
    """A piece of JSON and its type; `extra` is what stands beside a primitive, under `_name`."""

    value: Any
    type: NodeType
    extra: Any = None


Item: TypeAlias = Element | Value


@functools.cache
def get_node_type(name: str) -> NodeType:
    """Return a type by its name."""
    return NodeType(name)


def make_element(value: object, type_name: str | None = None) -> Element:
    """Make the element at which an expression starts: a resource, or a value of a type."""
    if type(value) is dict and type(actual := value.get("resourceType")) is str:
        return Element(value, _get_resource_type(actual))
    return Element(value, get_node_type(type_name or "Element"))


@functools.lru_cache(maxsize=1_024)
def _get_resource_type(name: str) -> NodeType:
    return get_node_type(name if find_type(name) else "Resource")


def find_children(element: Element, name: str) -> list[Item]:
    """List what an element has under a name."""
    found: list[Item] = []
    value = element.value
    child = element.type.find_child(name)
    if child is not None:
        if type(value) is dict:
            add_children(value, child, found)
        elif type(element.extra) is dict:
            add_children(element.extra, child, found)
    return found


def add_children(owner: Json, child: Child, found: list[Item]) -> None:
    """Add what stands in JSON under one of an element's names."""
    for key, beside, type_name in child.options:
        if key in owner:
            add_values(owner[key], owner.get(beside), get_node_type(type_name), found)
            return
    for _, beside, type_name in child.options:
        if beside in owner:
            add_values(None, owner[beside], get_node_type(type_name), found)
            return


def add_values(value: object, extra: object, kind: NodeType, found: list[Item]) -> None:
    """Add the elements that a value of JSON is, and what stands beside it."""
    if extra is not None:
        if type(value) is list or (value is None and type(extra) is list):
            _add_list(value, extra, kind, found)
        else:
            found.append(Element(value, kind, extra))
    elif type(value) is list:
        if kind.is_resource:
            found += [make_element(one, kind.name) for one in value]
        else:
            found += [Element(one, kind) for one in value if one is not None]
    elif value is not None:
        found.append(make_element(value, kind.name) if kind.is_resource else Element(value, kind))


def _add_list(value: object, extra: object, kind: NodeType, found: list[Item]) -> None:
    values = value if type(value) is list else []
    extras = extra if type(extra) is list else []
    for place in range(max(len(values), len(extras))):
        one = values[place] if place < len(values) else None
        beside = extras[place] if place < len(extras) else None
        if one is not None or beside is not None:
            found.append(Element(one, kind, beside))


def list_children(item: Item) -> list[Item]:
    """List everything below an element, in the order in which it is written."""
    found: list[Item] = []
    if type(item) is Element:
        owner = item.value if type(item.value) is dict else item.extra
        if type(owner) is dict:
            names = item.type.list_keys()
            for key, value in owner.items():
                if (known := names.get(key)) is not None:
                    kind, beside = known
                    add_values(value, owner.get(beside), kind, found)
                elif key[:1] == "_" and key[1:] not in owner and (known := names.get(key[1:])) is not None:
                    add_values(None, value, known[0], found)
    return found


def to_value(item: Item) -> Item:
    """Turn an element into a value of FHIRPath's own types; what has none stays an element."""
    if type(item) is Element and item.type.convert is not None and item.value is not None:
        value = item.type.convert(item.value)
        return item if value is None else value
    return item


def get_type_name(item: Item) -> tuple[str, str]:
    """Name an item's type: its namespace and its name."""
    if type(item) is Element:
        return "FHIR", item.type.name
    return "System", SYSTEM_TYPES[type(item)]


def _find_converter(name: str) -> Callable[[object], Value | None]:
    return _CONVERTERS.get(name, _to_quantity if name in _QUANTITIES else _to_string)


def _to_boolean(value: object) -> Value | None:
    return value if type(value) is bool else None


def _to_integer(value: object) -> Value | None:
    return value if type(value) is int and abs(value) <= LONG_MAX else None


def _to_decimal(value: object) -> Decimal | None:
    if type(value) in {bool, str, dict, list, NoneType}:
        return None
    number = to_decimal(value)
    return number if is_sane(number) else None


def _to_string(value: object) -> Value | None:
    return value if type(value) is str else None


def _to_date(value: object) -> Value | None:
    return parse_date(value) if type(value) is str else None


def _to_datetime(value: object) -> Value | None:
    return parse_datetime(value) if type(value) is str else None


def _to_time(value: object) -> Value | None:
    return parse_time(value) if type(value) is str else None


def _to_quantity(value: object) -> Value | None:
    """Read a FHIR quantity; with a comparator it is a range, and no value (R4, 2.24.0.8)."""
    if type(value) is not dict or "comparator" in value:
        return None
    number = _to_decimal(value.get("value"))
    if number is None:
        return None
    unit = value.get("code") if value.get("system") == _UCUM else None
    spelled = unit or value.get("unit") or value.get("currency") or "1"
    return Quantity(number, spelled) if type(spelled) is str else None


_CONVERTERS: Final[dict[str, Callable[[object], Value | None]]] = {
    "boolean": _to_boolean,
    "integer": _to_integer,
    "positiveInt": _to_integer,
    "unsignedInt": _to_integer,
    "decimal": _to_decimal,
    "date": _to_date,
    "dateTime": _to_datetime,
    "instant": _to_datetime,
    "time": _to_time,
}
