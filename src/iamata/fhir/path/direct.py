"""The short way for simple expressions: closures from plain JSON to plain JSON, without elements.

Half a microsecond a column is what a view over millions of records can pay. Only what the definitions leave
no doubt about goes this way: known names, `first()`, an index, `where` and `exists` over comparisons with
constants, `ofType` behind a choice, extensions by their address, keys of resources and references. JSON
that is not as the definitions say makes a closure raise one of `DOUBTS`; whoever calls it then asks the
general way, whose answer is the same wherever both have one.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, TypeAlias

from iamata.fhir.path.elements import Child, get_node_type
from iamata.fhir.path.functions.fhir import find_reference_key
from iamata.fhir.path.kinds import is_open
from iamata.fhir.path.members import find_known
from iamata.fhir.path.syntax import (
    Binary,
    Chain,
    Expression,
    Function,
    Index,
    Literal,
    Member,
    Special,
    Variable,
)

DOUBTS: Final = (AttributeError, TypeError, KeyError)
"""What a closure raises on JSON that is not as the definitions say."""

One: TypeAlias = Callable[[Any], Any]
"""Gives one value, or None for nothing."""
Many: TypeAlias = Callable[[Any], list[Any]]

_ID: Final = re.compile(r"[A-Za-z0-9.-]{1,64}")
_TEXTS: Final = (
    "string",
    "code",
    "id",
    "uri",
    "url",
    "canonical",
    "markdown",
    "oid",
    "uuid",
    "base64Binary",
)


class Direct(NamedTuple):
    """A closure over plain JSON, how many values it gives, and of which type."""

    run: One | Many
    is_many: bool
    type_name: str
    """A type of FHIR; `System.…` for what a function makes."""
    choice: Child | None = None
    """Where the path stands before an element that may have several types."""
    keys: tuple[str, ...] | None = None
    """The keys that the closure follows, where it does nothing else."""


def find_direct(node: Expression, type_name: str, constants: Mapping[str, object]) -> Direct | None:
    """Find the short way through an expression; None where there is none."""
    match node:
        case Literal(value=str() | bool() | int() as value):
            return Direct(lambda _: value, is_many=False, type_name=_SYSTEM_TYPES[type(value)])
        case Special(name="$this"):
            return Direct(_same, is_many=False, type_name=type_name)
        case Member() | Function():
            return _step(_start(type_name), node, constants)
        case Chain():
            return _follow(node, type_name, constants)
        case Binary():
            truth = find_truth(node, type_name, constants)
            return None if truth is None else Direct(truth, is_many=False, type_name="System.Boolean")
    return None


def find_truth(node: Expression, type_name: str, constants: Mapping[str, object]) -> One | None:
    """Find the short way through a condition: True, False, or None where nothing is known."""
    match node:
        case Binary(operator="and" | "or"):
            left, right = (find_truth(one, type_name, constants) for one in (node.left, node.right))
            if left is None or right is None:
                return None
            return _both(left, right) if node.operator == "and" else _either(left, right)
        case Binary(operator="=" | "!="):
            return _compare(node, type_name, constants)
    direct = find_direct(node, type_name, constants) if not isinstance(node, Binary) else None
    if direct is None or direct.is_many or direct.type_name not in {"boolean", "System.Boolean"}:
        return None
    return direct.run


def _follow(node: Chain, type_name: str, constants: Mapping[str, object]) -> Direct | None:
    steps: tuple[Member | Function | Index, ...] = node.steps
    found: Direct | None = _start(type_name)
    if isinstance(node.head, Member | Function):
        if not (isinstance(node.head, Member) and node.head.name == type_name):
            steps = (node.head, *steps)
    elif not (isinstance(node.head, Special) and node.head.name == "$this"):
        return None
    for step in steps:
        if found is None:
            return None
        found = _step(found, step, constants)
    return found if found is None or found.choice is None else None


def _start(type_name: str) -> Direct:
    return Direct(_same, is_many=False, type_name=type_name, keys=())


def _step(
    before: Direct, step: Member | Function | Index, constants: Mapping[str, object]
) -> Direct | None:
    if isinstance(step, Function):
        make = _FUNCTIONS.get(step.name)
        return None if make is None else make(before, step, constants)
    if before.choice is not None:
        return None
    if isinstance(step, Index):
        return _pick(before, _find_constant(step.position, constants))
    return _member(before, step.name)


def _member(before: Direct, name: str) -> Direct | None:
    if before.type_name.startswith("System."):
        return None
    child = find_known(name, (before.type_name,))
    if child is not None:
        key, beside, type_name = child.options[0]
        return _reach(before, key, type_name, is_list=child.is_list, beside=beside)
    kind = get_node_type(before.type_name)
    choice = None if kind.is_primitive or is_open(kind.name) else kind.find_child(name)
    return None if choice is None or not choice.is_choice else before._replace(choice=choice)


def _reach(before: Direct, key: str, type_name: str, *, is_list: bool, beside: str) -> Direct:
    """Go on to an element that stands under one key."""
    run = before.run
    companion = beside if get_node_type(type_name).is_primitive else ""
    if not before.is_many:
        if is_list:
            return Direct(_list_of_one(run, key, companion), is_many=True, type_name=type_name)
        keys = None if before.keys is None else (*before.keys, key)
        found = _get_behind(run, key) if keys is None else _get_all(keys)
        return Direct(found, is_many=False, type_name=type_name, keys=keys)
    if is_list:
        return Direct(_lists_of_many(run, key, companion), is_many=True, type_name=type_name)
    return Direct(_gets_of_many(run, key, companion), is_many=True, type_name=type_name)


def _same(node: Any) -> Any:  # noqa: ANN401  plain JSON
    return node


def _get_all(keys: tuple[str, ...]) -> One:
    """Follow keys, one behind the other."""
    match keys:
        case (only,):
            return lambda node: node.get(only)
        case (first, second):

            def get(node: Any) -> Any:  # noqa: ANN401
                owner = node.get(first)
                return None if owner is None else owner.get(second)

            return get
    return _get_behind(_get_all(keys[:-1]), keys[-1])


def _get_behind(run: One, key: str) -> One:
    def get(node: Any) -> Any:  # noqa: ANN401
        owner = run(node)
        return None if owner is None else owner.get(key)

    return get


def _list_of_one(run: One, key: str, beside: str) -> Many:
    def get(node: Any) -> list[Any]:  # noqa: ANN401
        owner = run(node)
        found = None if owner is None else owner.get(key)
        if found is None:
            if beside and owner is not None and beside in owner:
                raise TypeError
            return []
        if type(found) is not list or (beside and beside in owner):
            raise TypeError
        return found

    return get


def _lists_of_many(run: Many, key: str, beside: str) -> Many:
    def get(node: Any) -> list[Any]:  # noqa: ANN401
        found: list[Any] = []
        for owner in run(node):
            value = owner.get(key)
            if beside and beside in owner:
                raise TypeError
            if value is not None:
                if type(value) is not list:
                    raise TypeError
                found += value
        return found

    return get


def _gets_of_many(run: Many, key: str, beside: str) -> Many:
    def get(node: Any) -> list[Any]:  # noqa: ANN401
        found = []
        for owner in run(node):
            value = owner.get(key)
            if value is not None:
                if type(value) is list:
                    raise TypeError
                found.append(value)
            elif beside and beside in owner:
                raise TypeError
        return found

    return get


def _pick(before: Direct, place: object) -> Direct | None:
    """Take one of many by its place."""
    if type(place) is not int or place < 0:
        return None
    run = before.run
    if not before.is_many:
        return before if place == 0 else None

    def pick(node: Any) -> Any:  # noqa: ANN401
        found = run(node)
        return found[place] if len(found) > place else None

    return before._replace(keys=None, run=pick, is_many=False)


def _first(before: Direct, step: Function, constants: Mapping[str, object]) -> Direct | None:
    del constants
    return None if step.arguments or before.choice else _pick(before, 0)


def _of_type(before: Direct, step: Function, constants: Mapping[str, object]) -> Direct | None:
    del constants
    wanted = step.arguments[0] if len(step.arguments) == 1 else None
    if before.choice is None or not isinstance(wanted, Member):
        return None
    for key, beside, type_name in before.choice.options:
        if type_name == wanted.name:
            before = before._replace(choice=None)
            return _reach(before, key, type_name, is_list=False, beside=beside)
    return None


def _where(before: Direct, step: Function, constants: Mapping[str, object]) -> Direct | None:
    condition = _find_condition(before, step, constants)
    if condition is None:
        return None
    run = before.run
    if before.is_many:
        return before._replace(
            keys=None, run=lambda node: [one for one in run(node) if condition(one) is True]
        )

    def keep(node: Any) -> Any:  # noqa: ANN401
        found = run(node)
        return found if found is not None and condition(found) is True else None

    return before._replace(keys=None, run=keep)


def _exists(before: Direct, step: Function, constants: Mapping[str, object]) -> Direct | None:
    found: Direct | None = before
    if step.arguments:
        found = _where(before, step, constants)
    if found is None or found.choice is not None or get_node_type(found.type_name).is_primitive:
        return None  # a primitive may be there with nothing but extensions
    run = found.run
    if found.is_many:
        return Direct(
            lambda node: any(map(_is_object, run(node)[:1])), is_many=False, type_name="System.Boolean"
        )
    return Direct(lambda node: _is_object(run(node)), is_many=False, type_name="System.Boolean")


def _is_object(found: Any) -> bool:  # noqa: ANN401  plain JSON
    """Tell an object from nothing, where nothing else may be."""
    if found is not None and type(found) is not dict:
        raise TypeError
    return found is not None


def _empty(before: Direct, step: Function, constants: Mapping[str, object]) -> Direct | None:
    found = _exists(before, step, constants) if not step.arguments else None
    if found is None:
        return None
    run = found.run
    return found._replace(keys=None, run=lambda node: not run(node))


def _extension(before: Direct, step: Function, constants: Mapping[str, object]) -> Direct | None:
    url = _find_constant(step.arguments[0], constants) if len(step.arguments) == 1 else None
    found = _member(before, "extension") if before.choice is None else None
    if type(url) is not str or found is None:
        return None
    run = found.run
    return found._replace(keys=None, run=lambda node: [one for one in run(node) if one.get("url") == url])


def _resource_key(before: Direct, step: Function, constants: Mapping[str, object]) -> Direct | None:
    del constants
    if before.run is not _same or step.arguments or not get_node_type(before.type_name).is_resource:
        return None
    prefix = f"{before.type_name}/"

    def key(node: Any) -> Any:  # noqa: ANN401
        name = node.get("id")
        return None if name is None else prefix + name

    return Direct(key, is_many=False, type_name="System.String")


def _reference_key(before: Direct, step: Function, constants: Mapping[str, object]) -> Direct | None:
    del constants
    wanted = step.arguments[0] if step.arguments else None
    if before.type_name != "Reference" or before.is_many or before.choice is not None:
        return None
    if wanted is not None and not isinstance(wanted, Member):
        return None
    run: Any = before.run
    name = None if wanted is None else wanted.name
    prefix = f"{name}/"
    known = len(prefix)

    def key(node: Any) -> Any:  # noqa: ANN401
        reference = run(node)
        literal = None if reference is None else reference.get("reference")
        if literal is None:
            return None
        if literal.startswith(prefix) and _ID.fullmatch(literal, known):
            return literal
        return find_reference_key(literal, name)

    return Direct(key, is_many=False, type_name="System.String")


def _find_condition(before: Direct, step: Function, constants: Mapping[str, object]) -> One | None:
    if before.choice is not None or len(step.arguments) != 1 or before.type_name.startswith("System."):
        return None
    return find_truth(step.arguments[0], before.type_name, constants)


def _find_constant(node: Expression, constants: Mapping[str, object]) -> object:
    match node:
        case Literal(value=value):
            return value
        case Variable(name=name):
            return constants.get(name)
    return None


def _compare(node: Binary, type_name: str, constants: Mapping[str, object]) -> One | None:
    """Compare one text, truth or whole number with a constant."""
    left, constant = node.left, _find_constant(node.right, constants)
    direct = None if constant is None else find_direct(left, type_name, constants)
    if direct is None or direct.is_many or direct.choice is not None:
        return None
    kinds = _COMPARED.get(type(constant), ())
    if direct.type_name not in kinds:
        return None
    run, expected, wanted = direct.run, node.operator == "=", type(constant)
    if wanted is str and expected and direct.keys is not None and len(direct.keys) == 1:
        return _equals(direct.keys[0], constant)
    is_bare = _find_bare(direct)

    def compare(item: Any) -> bool | None:  # noqa: ANN401
        value = run(item)
        if value is None:
            if is_bare(item):
                raise TypeError
            return None
        if type(value) is not wanted:
            raise TypeError
        return (value == constant) is expected

    return compare


def _find_bare(direct: Direct) -> Callable[[Any], bool]:
    """Tell where a primitive may be there without a value: with nothing but an id and extensions."""
    if direct.type_name.startswith("System."):
        return lambda _: False
    if not direct.keys:
        return lambda _: True
    find_owner, beside = _get_all(direct.keys[:-1]) if direct.keys[:-1] else _same, "_" + direct.keys[-1]

    def is_bare(item: Any) -> bool:  # noqa: ANN401
        owner = find_owner(item)
        return owner is not None and beside in owner

    return is_bare


def _equals(key: str, constant: object) -> One:
    """Compare the text under one key with a constant text: what most conditions do."""
    beside = "_" + key

    def compare(item: Any) -> bool | None:  # noqa: ANN401
        value = item.get(key)
        if value == constant:
            return True
        if value is None and beside not in item:
            return None
        if type(value) is not str:
            raise TypeError
        return False

    return compare


def _both(left: One, right: One) -> One:
    def both(node: Any) -> bool | None:  # noqa: ANN401
        one = left(node)
        if one is False:
            return False
        other = right(node)
        return False if other is False else None if one is None or other is None else True

    return both


def _either(left: One, right: One) -> One:
    def either(node: Any) -> bool | None:  # noqa: ANN401
        one = left(node)
        if one is True:
            return True
        other = right(node)
        return True if other is True else None if one is None or other is None else False

    return either


_SYSTEM_TYPES: Final[dict[type, str]] = {
    str: "System.String",
    bool: "System.Boolean",
    int: "System.Integer",
}
_COMPARED: Final[dict[type, tuple[str, ...]]] = {
    str: (*_TEXTS, "System.String"),
    bool: ("boolean", "System.Boolean"),
    int: ("integer", "positiveInt", "unsignedInt"),
}
_Make: TypeAlias = Callable[[Direct, Function, Mapping[str, object]], Direct | None]
_FUNCTIONS: Final[dict[str, _Make]] = {
    "first": _first,
    "ofType": _of_type,
    "where": _where,
    "exists": _exists,
    "empty": _empty,
    "extension": _extension,
    "getResourceKey": _resource_key,
    "getReferenceKey": _reference_key,
}
