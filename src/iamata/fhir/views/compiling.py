"""Compile a view to closures over resources: rows, or whole columns where every resource gives one row."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import compress
from typing import Any, Final, TypeAlias

from iamata.fhir.exact import Read, make_reader, read_exact
from iamata.fhir.path.direct import DOUBTS
from iamata.fhir.path.elements import Element, Json, get_node_type
from iamata.fhir.path.evaluation import Types
from iamata.fhir.views.columns import ColumnType, find_column_type
from iamata.fhir.views.definition import Column, Select, View
from iamata.fhir.views.naming import name_resource
from iamata.fhir.views.paths import (
    Cell,
    Focus,
    Getter,
    Scope,
    Value,
    ViewPath,
    fall_back,
    find_getter,
    make_cell,
    make_condition,
    start,
)
from iamata.fhir.views.trimming import find_keys
from iamata.model.reasons import Reason, Refused, require

ROWS_MAX: Final = 100_000
"""Rows of one resource: two lists beside each other multiply."""
ROWS_TOGETHER: Final = 65_536
"""Rows that are turned into columns at once, so that not all rows of many resources are held together."""
REPEAT_DEPTH_MAX: Final = 64
TOGETHER: Final = 64
"""Resources whose columns are made one after the other: so many stay in the processor's cache."""

_VALUE: Final = get_node_type("Element")
"""What a value of FHIRPath's own types counts as when a select goes through it."""

Row: TypeAlias = tuple[Value, ...]
Columns: TypeAlias = Sequence[Sequence[Value]]
Rows: TypeAlias = Callable[[Focus], list[Row]]
Foci: TypeAlias = Callable[[Focus], list[Focus]]


class CompiledColumn:
    """A column, compiled."""

    __slots__ = ("cell", "column", "getter", "type")

    def __init__(self, scope: Scope, column: Column, types: Types) -> None:
        path = ViewPath(scope, column.path, f"{column.place}.path", types)
        self.column = column
        self.type: ColumnType = find_column_type(column, path.types)
        general = make_cell(path, column)
        self.getter: Getter | None = find_getter(path, column)
        self.cell: Cell = general if self.getter is None else fall_back(self.getter, general, column)


class CompiledView:
    """A view, ready for any number of resources."""

    def __init__(self, view: View) -> None:
        scope = Scope(view)
        self.view = view
        self._columns: list[CompiledColumn] = []
        self._conditions = [_Condition(scope, view, place) for place in range(len(view.where))]
        self._rows = _Builder(scope, self._columns).build(view.selects, (view.resource,))
        self._is_flat = all(_is_flat(select) for select in view.selects)
        keys = find_keys(scope.trees, view.resource)
        self.read: Read = read_exact if keys is None else make_reader(keys)
        """Reads a compact resource as far as this view looks at it."""

    @property
    def names(self) -> list[str]:
        """Name the columns."""
        return [one.column.name for one in self._columns]

    @property
    def columns(self) -> list[tuple[Column, ColumnType]]:
        """List the columns with their types."""
        return [(one.column, one.type) for one in self._columns]

    @property
    def has_short_ways(self) -> bool:
        """Tell whether every column is found without elements being made: what a large view needs."""
        return all(one.getter is not None for one in self._columns)

    def make_rows(self, node: Json) -> list[Row]:
        """Make the rows of one resource, given as JSON; one of another type has none."""
        if node.get("resourceType") != self.view.resource:
            return []
        focus = start(node, self.view.resource)
        if not all(condition.holds(focus) for condition in self._conditions):
            return []
        return self._rows(focus)

    def make_batches(self, nodes: Sequence[Any]) -> Iterator[Columns]:
        """Make the columns of many resources, some rows at a time; a refusal names the resource."""
        resource = self.view.resource
        nodes = [node for node in nodes if node.get("resourceType") == resource]
        try:
            yield from [self._make_flat_columns(nodes)] if self._is_flat else self._gather_columns(nodes)
        except Refused as refused:
            raise name_resource(refused, nodes, self.make_rows) from refused

    def _make_flat_columns(self, nodes: Sequence[Any]) -> Columns:
        columns: list[list[Value]] = [[] for _ in self._columns]
        for place in range(0, len(nodes), TOGETHER):
            self._fill_columns(columns, nodes[place : place + TOGETHER])
        return columns

    def _gather_columns(self, nodes: Sequence[Any]) -> Iterator[Columns]:
        rows: list[Row] = []
        for node in nodes:
            rows += self.make_rows(node)
            if len(rows) >= ROWS_TOGETHER:
                yield list(zip(*rows, strict=True))
                rows = []
        if rows:
            yield list(zip(*rows, strict=True))

    def _fill_columns(self, columns: list[list[Value]], nodes: Sequence[Any]) -> None:
        for condition in self._conditions:
            nodes = condition.keep(nodes, self.view.resource)
        for values, one in zip(columns, self._columns, strict=True):
            values.extend(_make_column(one, nodes, self.view.resource))


def _make_column(one: CompiledColumn, nodes: Sequence[Any], resource: str) -> Sequence[Value]:
    if one.getter is not None:
        with suppress(*DOUBTS):  # then one resource is not as it should be, and each is asked with care
            values = list(map(one.getter, nodes))
            kinds = dict.fromkeys(map(type, values))
            if one.column.is_collection or (list not in kinds and dict not in kinds):
                return values
    return [one.cell(start(node, resource)) for node in nodes]


class _Condition:
    """What a resource must fulfil."""

    def __init__(self, scope: Scope, view: View, place: int) -> None:
        condition = view.where[place]
        path = ViewPath(scope, condition.path, condition.place, (view.resource,))
        self.holds = make_condition(path)
        self._short = path.find_truth()

    def keep(self, nodes: Sequence[Any], resource: str) -> list[Any]:
        """Keep the resources that fulfil it."""
        if self._short is not None:
            with suppress(*DOUBTS):
                return list(compress(nodes, map(self._short, nodes)))
        return [node for node in nodes if self.holds(start(node, resource))]


class _Builder:
    """Compiles selects; the columns are gathered in the order in which rows have them."""

    def __init__(self, scope: Scope, columns: list[CompiledColumn]) -> None:
        self._scope = scope
        self._columns = columns

    def build(self, selects: tuple[Select, ...], types: Types) -> Rows:
        """Compile selects that stand beside each other."""
        return _cross([self._build_select(select, types) for select in selects])

    def _build_select(self, select: Select, types: Types) -> Rows:
        foci, below = self._build_foci(select, types)
        first = len(self._columns)
        parts: list[Rows] = []
        if select.columns:
            columns = [CompiledColumn(self._scope, column, below) for column in select.columns]
            self._columns += columns
            parts.append(_fill([column.cell for column in columns]))
        parts += [self._build_select(one, below) for one in select.selects]
        if select.union:
            parts.append(self._build_union(select.union, below))
        rows = _cross(parts)
        if foci is None:
            return rows
        nothing = [(None,) * (len(self._columns) - first)] if select.is_or_null else []
        return _go_through(foci, rows, nothing)

    def _build_union(self, union: tuple[Select, ...], types: Types) -> Rows:
        first = self._build_select(union[0], types)
        others = [_Builder(self._scope, []) for _ in union[1:]]
        rest = [
            builder._build_select(part, types)  # noqa: SLF001  our own kind
            for builder, part in zip(others, union[1:], strict=True)
        ]

        def rows(focus: Focus) -> list[Row]:
            found: list[Row] = []
            for part in (first, *rest):
                found += part(focus)
                require(len(found) <= ROWS_MAX, Reason.INPUT_TOO_LARGE, "the rows of one resource")
            return found

        return rows

    def _build_foci(self, select: Select, types: Types) -> tuple[Foci | None, Types]:
        """Compile what a select goes through, and tell of which types that is."""
        if select.repeat:
            paths = [
                ViewPath(self._scope, text, f"{select.place}.repeat[{place}]", None)
                for place, text in enumerate(select.repeat)
            ]
            return _repeat(paths, select.place), None
        if select.for_each is None:
            return None, types
        name = "forEachOrNull" if select.is_or_null else "forEach"
        path = ViewPath(self._scope, select.for_each, f"{select.place}.{name}", types)

        def foci(focus: Focus) -> list[Focus]:
            items = path.evaluate(focus)
            return [
                Focus(item if type(item) is Element else Element(item, _VALUE), focus.resource, index)
                for index, item in enumerate(items)
            ]

        return foci, path.types


def _is_flat(select: Select) -> bool:
    """Tell whether a select gives just one row for each resource."""
    return (
        select.for_each is None
        and not select.repeat
        and not select.union
        and all(_is_flat(one) for one in select.selects)
    )


def _fill(cells: list[Cell]) -> Rows:
    """Make the one row of some columns."""
    if len(cells) == 1:
        (only,) = cells
        return lambda focus: [(only(focus),)]
    return lambda focus: [tuple([cell(focus) for cell in cells])]


def _cross(parts: list[Rows]) -> Rows:
    """Join each row of a part with each of the next."""
    if len(parts) == 1:
        return parts[0]

    def rows(focus: Focus) -> list[Row]:
        found: list[Row] = [()]
        for part in parts:
            more = part(focus)
            require(len(found) * len(more) <= ROWS_MAX, Reason.INPUT_TOO_LARGE, "the rows of one resource")
            found = [left + right for left in found for right in more]
        return found

    return rows


def _go_through(foci: Foci, rows: Rows, nothing: list[Row]) -> Rows:
    def each(focus: Focus) -> list[Row]:
        found: list[Row] = []
        inner = foci(focus)
        for one in inner:
            found += rows(one)
            require(len(found) <= ROWS_MAX, Reason.INPUT_TOO_LARGE, "the rows of one resource")
        return found if inner else nothing

    return each


def _repeat(paths: list[ViewPath], place: str) -> Foci:
    """Go down some paths again and again, each element before those below it."""

    def foci(focus: Focus) -> list[Focus]:
        found: list[Element] = []

        def descend(one: Focus, depth: int) -> None:
            if depth > REPEAT_DEPTH_MAX:
                raise Refused(Reason.INPUT_TOO_DEEP, f"{place}.repeat")
            for path in paths:
                for item in path.evaluate(one):
                    require(len(found) < ROWS_MAX, Reason.INPUT_TOO_LARGE, f"{place}.repeat")
                    if type(item) is Element:
                        found.append(item)
                        descend(Focus(item, one.resource, 0), depth + 1)

        descend(focus, 1)
        return [Focus(element, focus.resource, index) for index, element in enumerate(found)]

    return foci
