"""The paths of a view, compiled: the short way where there is one, and the general one behind it."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, NoReturn, TypeAlias

import msgspec

from iamata.fhir.path.compiling import Compiler
from iamata.fhir.path.direct import DOUBTS, Direct, find_direct, find_truth
from iamata.fhir.path.elements import Element, Item, get_node_type, make_element, to_value
from iamata.fhir.path.evaluation import Environment, Frame, Items, Types
from iamata.fhir.path.parser import parse
from iamata.fhir.path.refusals import ExpressionRefused
from iamata.fhir.path.syntax import Expression
from iamata.fhir.views.definition import Column, View
from iamata.model.reasons import Reason, Refused

ROW_INDEX: Final = "rowIndex"

Value: TypeAlias = Any
"""What a cell holds: plain JSON, None for nothing, a list in a column of collections."""
Getter: TypeAlias = Callable[[Any], Value]
"""Gets a cell's value from the JSON of a resource."""

_PLAIN: Final = (str, bool, int)
_TRUTHS: Final = ("boolean", "System.Boolean")


class Focus(msgspec.Struct, frozen=True, gc=False):
    """What a row is about: an element of a resource, and which one of its kind."""

    element: Element
    resource: Element
    index: int


Cell: TypeAlias = Callable[[Focus], Value]


class Scope:
    """The variables of a view."""

    def __init__(self, view: View) -> None:
        self.trees: list[Expression] = []
        """Every path of the view."""
        values = {one.name: Element(one.value, get_node_type(one.type_name)) for one in view.constants}
        self.variables: Mapping[str, Sequence[Item]] = {name: [value] for name, value in values.items()}
        self.plain: Mapping[str, object] = {
            name: value.value for name, value in values.items() if type(to_value(value)) in _PLAIN
        }
        """Constants that stand in JSON as they are."""
        self.types: Mapping[str, Types] = {
            **{one.name: (one.type_name,) for one in view.constants},
            ROW_INDEX: ("System.Integer",),
        }


class ViewPath:
    """One path of a view, seen from elements of known types."""

    def __init__(self, scope: Scope, text: str, place: str, types: Types) -> None:
        self.place = place
        self._scope = scope
        self._has_index = ROW_INDEX in text
        try:
            source, self.tree = parse(text)
            compiled = Compiler(source, scope.types).compile(self.tree, types)
        except ExpressionRefused as refused:
            self.refuse(refused.detail)
        scope.trees.append(self.tree)
        self._run = compiled.run
        self.types = compiled.types
        self.owner = _find_owner(types)

    def find_direct(self) -> Direct | None:
        """Find the short way, from plain JSON to plain JSON."""
        found = None if self.owner is None else find_direct(self.tree, self.owner, self._scope.plain)
        return None if found is None or found.choice is not None else found

    def find_truth(self) -> Getter | None:
        """Find the short way of a condition."""
        return None if self.owner is None else find_truth(self.tree, self.owner, self._scope.plain)

    def evaluate(self, focus: Focus) -> Items:
        """Evaluate in the general way."""
        variables = self._scope.variables
        if self._has_index:
            variables = {**variables, ROW_INDEX: [focus.index]}
        environment = Environment(focus.resource, focus.resource, variables, None, None)
        try:
            return self._run(Frame(environment, [focus.element]))
        except RecursionError as error:
            raise Refused(Reason.INPUT_TOO_DEEP, self.place) from error
        except Refused as refused:
            raise Refused(refused.reason, f"{self.place}: {refused.detail}") from refused

    def refuse(self, what: str) -> NoReturn:
        """Refuse the view, or a resource, for this path."""
        raise Refused(Reason.INPUT_INVALID, f"{self.place}: {what}")


def is_value(type_name: str) -> bool:
    """Tell whether something of a type fits in a cell."""
    return type_name.startswith("System.") or get_node_type(type_name).is_primitive


def _find_owner(types: Types) -> str | None:
    """Find the type of what a path starts from, where that is a single one with elements."""
    if types is None or len(types) != 1 or types[0].startswith("System."):
        return None
    return None if get_node_type(types[0]).is_primitive else types[0]


def start(node: object, type_name: str) -> Focus:
    """Look at a whole resource."""
    resource = make_element(node, type_name)
    return Focus(resource, resource, 0)


def make_cell(path: ViewPath, column: Column) -> Cell:
    """Make what fills a column's cells, in the general way."""

    def collect(focus: Focus) -> Value:
        values = [_spell(item) for item in path.evaluate(focus)]
        values = [value for value in values if value is not None]
        if any(type(value) is dict for value in values):
            path.refuse(f"{column.name} can hold no elements, only values")
        return values

    def pick(focus: Focus) -> Value:
        values = collect(focus)
        if len(values) > 1:
            path.refuse(f"{column.name} has several values; say which, or set collection")
        return values[0] if values else None

    return collect if column.is_collection else pick


def find_getter(path: ViewPath, column: Column) -> Getter | None:
    """Find the short way to a column's value."""
    direct = path.find_direct()
    if direct is None or not is_value(direct.type_name):
        return None
    run = direct.run
    if column.is_collection:
        if direct.is_many:
            return lambda node: [one for one in run(node) if one is not None]
        return lambda node: [] if (one := run(node)) is None else [one]
    if not direct.is_many:
        return run

    def pick(node: Any) -> Value:  # noqa: ANN401
        values = run(node)
        if len(values) > 1:
            raise TypeError  # the general way says it with its place
        return values[0] if values else None

    return pick


def make_condition(path: ViewPath) -> Callable[[Focus], bool]:
    """Make a condition, in the general way; what is neither true nor false is refused."""
    if path.types is not None and not any(one in _TRUTHS for one in path.types):
        path.refuse("a condition must be true or false")

    def holds(focus: Focus) -> bool:
        items = path.evaluate(focus)
        value = to_value(items[0]) if len(items) == 1 else None
        if items and type(value) is not bool:
            path.refuse("a condition must be true or false")
        return value is True

    return holds


def _spell(item: Item) -> Value:
    """Turn an item into what a cell holds; a primitive as its JSON spells it."""
    if type(item) is Element:
        return item.value
    return item if type(item) in {*_PLAIN, Decimal} else str(item)


def fall_back(short: Getter, general: Cell, column: Column) -> Cell:
    """Make a cell that goes the short way, and the general one from JSON that is not as it should be."""

    def cell(focus: Focus) -> Value:
        try:
            value = short(focus.element.value)
        except DOUBTS:
            return general(focus)
        is_odd = type(value) is dict or (type(value) is list and not column.is_collection)
        return general(focus) if is_odd else value

    return cell
