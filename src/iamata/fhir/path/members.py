"""Steps from an element to its elements: `name.given`.

Where the definitions say what stands under a name, a whole path is one step over plain JSON, and only what
is at its end becomes elements.
"""

from collections.abc import Sequence

from iamata.fhir.path.elements import (
    Child,
    Element,
    Item,
    Json,
    NodeType,
    add_children,
    add_values,
    find_children,
    get_node_type,
)
from iamata.fhir.path.evaluation import SMALL, Frame, Items, Step, Types, take_one_by_one
from iamata.fhir.path.kinds import is_open


def find_known(name: str, types: Types) -> Child | None:
    """Find an element of which it is known beforehand under which one key it stands."""
    if types is None or len(types) != 1 or types[0].startswith("System.") or is_open(types[0]):
        return None
    kind = get_node_type(types[0])
    child = None if kind.is_primitive else kind.find_child(name)
    if child is None or len(child.options) != 1 or get_node_type(child.types[0]).is_resource:
        return None
    return child


def list_types(name: str, types: Types) -> Types:
    """List the types that an element can have; () where nothing of the given types has it."""
    if types is None or any(is_open(one) for one in types if not one.startswith("System.")):
        return None
    found: dict[str, None] = {}
    for one in types:
        child = None if one.startswith("System.") else get_node_type(one).find_child(name)
        if child is not None:
            found.update(dict.fromkeys(child.types))
    return tuple(found)


def make_member(name: str) -> Step:
    """Make the step to an element of whatever comes."""

    def step(items: Items, frame: Frame) -> Items:
        if len(items) > SMALL:
            return take_one_by_one(step, items, frame)
        found: Items = []
        for item in items:
            if type(item) is Element:
                value = item.value if type(item.value) is dict else item.extra
                if type(value) is dict and (child := item.type.find_child(name)) is not None:
                    add_children(value, child, found)
        if len(found) > SMALL:
            frame.environment.spend(len(found))
        return found

    return step


def make_path(owner: str, children: Sequence[Child]) -> Step:
    """Make one step of a path whose every name is known."""
    kind, below = get_node_type(owner), get_node_type(children[-1].types[0])
    middle = tuple(child.options[0][0] for child in children[:-1])
    last, beside, _ = children[-1].options[0]

    def step(items: Items, frame: Frame) -> Items:
        if len(items) > SMALL:
            return take_one_by_one(step, items, frame)
        found: Items = []
        for item in items:
            if type(item) is not Element or item.type is not kind or type(item.value) is not dict:
                found += _walk(item, children)
                continue
            nodes = [item.value]
            for key in middle:
                nodes = _descend(nodes, key)
            for node in nodes:
                if beside in node:
                    add_values(node.get(last), node[beside], below, found)
                elif (value := node.get(last)) is not None:
                    _add_plain(value, below, found)
        if len(found) > SMALL:
            frame.environment.spend(len(found))
        return found

    return step


def _add_plain(value: object, kind: NodeType, found: Items) -> None:
    if type(value) is list:
        found += [Element(one, kind) for one in value if one is not None]
    else:
        found.append(Element(value, kind))


def _descend(nodes: list[Json], key: str) -> list[Json]:
    below: list[Json] = []
    for node in nodes:
        value = node.get(key)
        if type(value) is dict:
            below.append(value)
        elif type(value) is list:
            below += [one for one in value if type(one) is dict]
    return below


def _walk(item: Item, children: Sequence[Child]) -> Items:
    """Go the same way from an item that is not what was expected, such as one of a derived type."""
    items: Items = [item]
    for child in children:
        items = [one for each in items if type(each) is Element for one in find_children(each, child.name)]
    return items
