"""Read a ViewDefinition into frozen types, or say what is wrong with it and where.

SQL-on-FHIR 2, "View Definition". Elements that say who wrote a view, and for which versions, are let be.
"""

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Final, NoReturn, TypeAlias

import msgspec

from iamata.fhir.definitions import Kind, find_type, is_resource_type
from iamata.model.reasons import Reason, Refused, require

VIEW_BYTES_MAX: Final = 2**20
COLUMNS_MAX: Final = 500
CONSTANTS_MAX: Final = 200
SELECTS_MAX: Final = 500
DEPTH_MAX: Final = 16
"""Selects within selects."""
PATHS_MAX: Final = 32
"""Paths of one `repeat`, and conditions of one `where`."""

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,254}", re.ASCII)
_VALUE: Final = "value"
_SELECT: Final = (
    *("column", "select", "forEach", "forEachOrNull", "repeat", "unionAll"),
    *("id", "extension", "modifierExtension"),
)
_COLUMN: Final = (
    *("name", "path", "type", "collection", "description", "tag"),
    *("id", "extension", "modifierExtension"),
)

Json: TypeAlias = dict[str, object]

_DOCUMENTS: Final = msgspec.json.Decoder(dict[str, object], float_hook=Decimal)


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """One column: its name, where its values come from, and of which type they are."""

    place: str
    name: str
    path: str
    type: str | None
    is_collection: bool
    sql_type: str | None
    """What a tag `ansi/type` asks for."""


class Select(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a view: columns for each element that it goes through."""

    place: str
    columns: tuple[Column, ...] = ()
    selects: tuple["Select", ...] = ()
    union: tuple["Select", ...] = ()
    for_each: str | None = None
    is_or_null: bool = False
    """Whether nothing to go through still gives a row."""
    repeat: tuple[str, ...] = ()


class Condition(msgspec.Struct, frozen=True):
    """What a resource must fulfil."""

    place: str
    path: str


class Constant(msgspec.Struct, frozen=True):
    """A named value, and its type in FHIR."""

    name: str
    value: object
    type_name: str


class View(msgspec.Struct, frozen=True, kw_only=True):
    """A ViewDefinition."""

    name: str
    resource: str
    constants: tuple[Constant, ...]
    where: tuple[Condition, ...]
    selects: tuple[Select, ...]


def read_view(raw: bytes) -> View:
    """Read a definition from its file, or refuse it."""
    require(len(raw) <= VIEW_BYTES_MAX, Reason.INPUT_TOO_LARGE, "a view definition")
    try:
        document = _DOCUMENTS.decode(raw)
    except RecursionError as error:
        raise Refused(Reason.INPUT_TOO_DEEP, "a view definition") from error
    except ValueError as error:
        raise Refused(Reason.INPUT_INVALID, "a view definition is a JSON object") from error
    return parse_view(document)


def parse_view(document: Json) -> View:
    """Read a definition from its JSON, or refuse it."""
    resource = _take_text(document, "resource", "")
    if not is_resource_type(resource):
        _refuse("resource", "no type of resource of FHIR R4")
    kind = document.get("resourceType", "ViewDefinition")
    if not isinstance(kind, str) or kind.rpartition("/")[2] != "ViewDefinition":
        _refuse("resourceType", "ViewDefinition is expected")
    selects = _read_selects(document, "select", "", 1)
    if not selects:
        _refuse("select", "at least one is expected")
    view = View(
        name=str(document.get("name", ""))[:255],
        resource=resource,
        constants=tuple(_read_constants(document)),
        where=tuple(_read_conditions(document)),
        selects=selects,
    )
    _check_columns(view)
    return view


def list_columns(selects: tuple[Select, ...]) -> Iterator[Column]:
    """Go through the columns in the order in which rows have them; a union has those of its first part."""
    for select in selects:
        yield from select.columns
        yield from list_columns(select.selects)
        yield from list_columns(select.union[:1])


def _check_columns(view: View) -> None:
    seen: dict[str, str] = {}
    count = 0
    for column in list_columns(view.selects):
        count += 1
        if count > COLUMNS_MAX:
            _refuse(column.place, f"more than {COLUMNS_MAX} columns")
        if column.name in seen:
            _refuse(column.place, f"{seen[column.name]} has the name {column.name} already")
        seen[column.name] = column.place
    if not count:
        _refuse("select", "a view without columns")
    for select in _walk(view.selects):
        _check_union(select)


def _walk(selects: tuple[Select, ...]) -> Iterator[Select]:
    for select in selects:
        yield select
        yield from _walk(select.selects)
        yield from _walk(select.union)


def _check_union(select: Select) -> None:
    """Refuse parts of a union that do not give the same columns in the same order."""
    wanted = [column.name for column in list_columns(select.union[:1])]
    types = [column.type for column in list_columns(select.union[:1])]
    for part in select.union[1:]:
        found = list(list_columns((part,)))
        if [column.name for column in found] != wanted:
            _refuse(part.place, f"the columns {', '.join(wanted)[:256]} are expected, in this order")
        for column, kind in zip(found, types, strict=True):
            if column.type != kind:
                _refuse(column.place, f"{column.name} has another type in another part of the union")


def _read_selects(owner: Json, name: str, place: str, depth: int) -> tuple[Select, ...]:
    if depth > DEPTH_MAX:
        raise Refused(Reason.INPUT_TOO_DEEP, f"{place}: more than {DEPTH_MAX} selects within each other")
    return tuple(_read_select(one, at, depth) for one, at in _take_objects(owner, name, place, SELECTS_MAX))


def _read_select(node: Json, place: str, depth: int) -> Select:
    _check_names(node, _SELECT, place)
    for_each = _find_text(node, "forEach", place)
    or_null = _find_text(node, "forEachOrNull", place)
    repeat = _take_texts(node, "repeat", place)
    if sum([for_each is not None, or_null is not None, bool(repeat)]) > 1:
        _refuse(place, "only one of forEach, forEachOrNull and repeat may stand here")
    select = Select(
        place=place,
        columns=tuple(
            _read_column(one, at) for one, at in _take_objects(node, "column", place, COLUMNS_MAX)
        ),
        selects=_read_selects(node, "select", place, depth + 1),
        union=_read_selects(node, "unionAll", place, depth + 1),
        for_each=for_each if or_null is None else or_null,
        is_or_null=or_null is not None,
        repeat=repeat,
    )
    if not (select.columns or select.selects or select.union):
        _refuse(place, "column, select or unionAll is expected")
    return select


def _read_column(node: Json, place: str) -> Column:
    _check_names(node, _COLUMN, place)
    kind = _find_text(node, "type", place)
    name = _take_text(node, "name", place)
    if _NAME.fullmatch(name) is None:
        _refuse(f"{place}.name", "letters, digits and `_` are expected, a letter first")
    is_collection = node.get("collection", False)
    if not isinstance(is_collection, bool):
        _refuse(f"{place}.collection", "true or false is expected")
    return Column(
        place=place,
        name=name,
        path=_take_text(node, "path", place),
        type=None if kind is None else _read_type(kind, f"{place}.type"),
        is_collection=is_collection,
        sql_type=_find_sql_type(node, place),
    )


def _read_type(kind: str, place: str) -> str:
    """Read the type of a column: a primitive of FHIR, by its name or its address."""
    name = kind.rpartition("/")[2].removeprefix("FHIR.")
    found = find_type(name)
    if name != "integer64" and (found is None or found.kind is not Kind.PRIMITIVE):
        _refuse(place, "a primitive type of FHIR is expected")
    return name


def _find_sql_type(node: Json, place: str) -> str | None:
    for tag, at in _take_objects(node, "tag", place, PATHS_MAX):
        if tag.get("name") == "ansi/type":
            return _take_text(tag, "value", at)
    return None


def _read_conditions(document: Json) -> Iterator[Condition]:
    for node, place in _take_objects(document, "where", "", PATHS_MAX):
        yield Condition(place=f"{place}.path", path=_take_text(node, "path", place))


def _read_constants(document: Json) -> Iterator[Constant]:
    seen: dict[str, None] = {}
    for node, place in _take_objects(document, "constant", "", CONSTANTS_MAX):
        name = _take_text(node, "name", place)
        if _NAME.fullmatch(name) is None or name in seen:
            _refuse(f"{place}.name", "a name of its own is expected, of letters, digits and `_`")
        seen[name] = None
        values = [(key, value) for key, value in node.items() if key.startswith(_VALUE)]
        if len(values) != 1:
            _refuse(place, "one value is expected")
        key, value = values[0]
        spelled = key.removeprefix(_VALUE)
        kind = spelled[:1].lower() + spelled[1:]
        found = find_type(kind)
        if found is None or found.kind is not Kind.PRIMITIVE or isinstance(value, dict | list | None):
            _refuse(f"{place}.{key[:64]}", "the value of a primitive type is expected")
        yield Constant(name=name, value=value, type_name=kind)


def _take_objects(owner: Json, name: str, place: str, most: int) -> Iterator[tuple[Json, str]]:
    at = f"{place}.{name}" if place else name
    nodes = owner.get(name, [])
    if not isinstance(nodes, list):
        _refuse(at, "a list is expected")
    if len(nodes) > most:
        _refuse(at, f"more than {most}")
    for index, node in enumerate(nodes):
        if not isinstance(node, dict):
            _refuse(f"{at}[{index}]", "an object is expected")
        yield node, f"{at}[{index}]"


def _take_texts(owner: Json, name: str, place: str) -> tuple[str, ...]:
    texts = owner.get(name, [])
    if not isinstance(texts, list) or not all(isinstance(one, str) for one in texts):
        _refuse(f"{place}.{name}", "a list of paths is expected")
    if len(texts) > PATHS_MAX:
        _refuse(f"{place}.{name}", f"more than {PATHS_MAX}")
    return tuple(texts)


def _take_text(owner: Json, name: str, place: str) -> str:
    text = _find_text(owner, name, place)
    if text is None:
        _refuse(f"{place}.{name}" if place else name, "this is missing")
    return text


def _find_text(owner: Json, name: str, place: str) -> str | None:
    text = owner.get(name)
    if text is not None and not isinstance(text, str):
        _refuse(f"{place}.{name}" if place else name, "a string is expected")
    return text


def _check_names(node: Json, known: tuple[str, ...], place: str) -> None:
    for name in node:
        if name not in known and not name.startswith("_"):
            _refuse(place, f"there is no element {name[:64]} here")


def _refuse(place: str, what: str) -> NoReturn:
    raise Refused(Reason.INPUT_INVALID, f"{place}: {what}")
