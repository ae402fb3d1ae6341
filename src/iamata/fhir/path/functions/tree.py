"""Functions of the tree, of types and of the evaluation itself (FHIRPath N1, 5.8, 5.9 and 6.3)."""

from typing import Final

from iamata.fhir.definitions import Element as Definition
from iamata.fhir.path.elements import Child, Element, NodeType, get_type_name, list_children
from iamata.fhir.path.evaluation import SMALL, Frame, Items, Step, Types
from iamata.fhir.path.functions.calls import BOOLEAN, Call, Function, always, keep_types, on_items
from iamata.fhir.path.kinds import read_kind_argument
from iamata.fhir.path.singles import take_boolean, take_item, take_string
from iamata.fhir.path.temporal import Date, DateTime, Time

_DAY: Final = 3


def _make_type_info() -> NodeType:
    node = NodeType("TypeInfo")
    for name in ("namespace", "name"):
        node.define(name, Child(Definition(name=name, types=("string",))))
    return node


_TYPE_INFO: Final = _make_type_info()


def _children(items: Items, call: Call, frame: Frame) -> Items:
    del call
    found: Items = []
    for item in items:
        below = list_children(item)
        frame.environment.spend(1 + len(below))
        found += below
    return found


def _descendants(items: Items, call: Call, frame: Frame) -> Items:
    found: Items = []
    level = items
    while level:
        level = _children(level, call, frame)
        found += level
    return found


def _type(items: Items, call: Call, frame: Frame) -> Items:
    del call, frame
    named = [get_type_name(item) for item in items]
    return [Element({"namespace": namespace, "name": name}, _TYPE_INFO) for namespace, name in named]


def _is(call: Call) -> Step:
    kind, place = read_kind_argument(call.written[0], call.place), call.place

    def step(items: Items, frame: Frame) -> Items:
        del frame
        item = take_item(items, place)
        return [] if item is None else [kind.matches(item)]

    return step


def _as(call: Call) -> Step:
    kind, place = read_kind_argument(call.written[0], call.place), call.place

    def step(items: Items, frame: Frame) -> Items:
        del frame
        item = take_item(items, place)
        return [item] if item is not None and kind.picks(item) else []

    return step


def _of_type(call: Call) -> Step:
    kind = read_kind_argument(call.written[0], call.place)

    def step(items: Items, frame: Frame) -> Items:
        if len(items) > SMALL:
            frame.environment.spend(len(items))
        return [item for item in items if kind.picks(item)]

    return step


def _give_kind(call: Call) -> Types:
    return read_kind_argument(call.written[0], call.place).list_types()


def _not(items: Items, call: Call, frame: Frame) -> Items:
    """Turn a truth round; a number that is there is true."""
    del frame
    if not items:
        return []
    item = take_item(items, call.place)
    answer = take_boolean(items, call.place) if get_type_name(item)[1].lower() == "boolean" else True  # type: ignore[arg-type]
    return [] if answer is None else [not answer]


def _trace(items: Items, call: Call, frame: Frame) -> Items:
    """Evaluate what would be written to a log, and write nothing: it would be health data."""
    take_string(call.arguments[0](frame), call.place)
    return items


def _now(items: Items, call: Call, frame: Frame) -> Items:
    del items
    return [_get_now(call, frame)]


def _today(items: Items, call: Call, frame: Frame) -> Items:
    del items
    return [Date(tuple(int(part) for part in _get_now(call, frame).parts[:_DAY]))]


def _time_of_day(items: Items, call: Call, frame: Frame) -> Items:
    del items
    return [Time(_get_now(call, frame).parts[_DAY:])]


def _get_now(call: Call, frame: Frame) -> DateTime:
    moment = frame.environment.moment
    if moment is None:
        call.place.refuse("nobody said what time it is")
    return moment


def _define(items: Items, call: Call, frame: Frame) -> Items:
    """Define a variable for the steps that follow."""
    name = take_string(call.arguments[0](frame), call.place)
    known = frame.defined or {}
    if name is None or name in known or name in frame.environment.variables:
        call.place.refuse("a variable needs a name of its own")
    value = items
    if len(call.arguments) > 1:
        inner = frame.open()
        inner.this = items
        value = call.arguments[1](inner)
    frame.defined = {**known, name: value}
    return items


TREE: Final[dict[str, Function]] = {
    "children": on_items(_children),
    "descendants": on_items(_descendants),
    "type": on_items(_type),
    "is": Function(make=_is, least=1, most=1, gives=always(BOOLEAN), focus="type"),
    "as": Function(make=_as, least=1, most=1, gives=_give_kind, focus="type"),
    "ofType": Function(make=_of_type, least=1, most=1, gives=_give_kind, focus="type"),
    "not": on_items(_not, gives=always(BOOLEAN)),
    "trace": on_items(_trace, gives=keep_types, least=1, most=2),
    "now": on_items(_now, gives=always(("System.DateTime",))),
    "today": on_items(_today, gives=always(("System.Date",))),
    "timeOfDay": on_items(_time_of_day, gives=always(("System.Time",))),
    "defineVariable": on_items(_define, gives=keep_types, least=1, most=2, focus="whole"),
}
