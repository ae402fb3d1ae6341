"""Views: what is wrong with one is said with its place, limits hold, and both ways through a path agree."""

from decimal import Decimal
from typing import Any, Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from iamata.fhir.path.elements import Element
from iamata.fhir.path.expressions import compile_expression
from iamata.fhir.views.columns import ColumnType, Kind
from iamata.fhir.views.compiling import CompiledView
from iamata.fhir.views.definition import DEPTH_MAX, parse_view, read_view
from iamata.model.reasons import Reason, Refused

ID: Final = {"name": "id", "path": "id"}
OBSERVATION: Final[dict[str, Any]] = {
    "resourceType": "Observation",
    "id": "o",
    "status": "final",
    "code": {"coding": [{"system": "http://loinc.org", "code": "1", "display": "D"}, {"code": "2"}]},
    "subject": {"reference": "Patient/p"},
    "effectiveDateTime": "2024-02-29",
    "valueQuantity": {"value": Decimal("1.50"), "unit": "mg"},
    "extension": [{"url": "urn:a", "valueString": "x"}, {"url": "urn:b", "valueString": "y"}],
    "component": [{"code": {"text": "a"}, "valueInteger": 1}, {"code": {"text": "b"}}],
}


def make_view(*columns: dict[str, Any], **more: Any) -> CompiledView:
    selects = [{"column": list(columns)}] if columns else []
    selects += more.pop("select", [])
    return CompiledView(parse_view({"resource": "Observation", "select": selects, **more}))


def refuse(document: dict[str, Any], resource: dict[str, Any] | None = None) -> str:
    with pytest.raises(Refused) as caught:
        CompiledView(parse_view(document)).make_rows(resource or OBSERVATION)
    return caught.value.detail


@pytest.mark.parametrize(
    ("document", "detail"),
    [
        ({}, "resource: this is missing"),
        ({"resource": "Patient"}, "select: at least one"),
        ({"resource": "Patients", "select": []}, "resource: no type"),
        ({"resource": "Observation", "select": [{}]}, "select[0]: column, select or unionAll"),
        ({"resource": "Observation", "select": [{"column": [{"name": "a"}]}]}, "select[0].column[0].path"),
        (
            {"resource": "Observation", "select": [{"column": [{"name": "1", "path": "id"}]}]},
            "column[0].name",
        ),
        (
            {"resource": "Observation", "select": [{"column": [ID, ID]}]},
            "column[1]: select[0].column[0] has",
        ),
        (
            {"resource": "Observation", "select": [{"column": [ID]}, {"select": [{"column": [ID]}]}]},
            "already",
        ),
        ({"resource": "Observation", "select": [{"columns": [ID]}]}, "no element columns"),
        ({"resource": "Observation", "select": [{"column": [ID | {"type": "Patient"}]}]}, "primitive type"),
        (
            {"resource": "Observation", "select": [{"column": [{"name": "a", "path": "idd"}]}]},
            "line 1, column 1",
        ),
        (
            {"resource": "Observation", "select": [{"column": [{"name": "a", "path": "id."}]}]},
            "column[0].path",
        ),
        (
            {"resource": "Observation", "select": [{"column": [{"name": "a", "path": "id.foo()"}]}]},
            "function foo",
        ),
        ({"resource": "Observation", "select": [{"column": [{"name": "a", "path": "%b"}]}]}, "nobody gave"),
        (
            {"resource": "Observation", "select": [{"column": [{"name": "a", "path": "code"}]}]},
            "only values",
        ),
        (
            {
                "resource": "Observation",
                "select": [{"column": [{"name": "a", "path": "code.coding.code"}]}],
            },
            "a has several values",
        ),
        (
            {"resource": "Observation", "select": [{"column": [ID]}], "where": [{"path": "status"}]},
            "where[0].path",
        ),
        ({"resource": "Observation", "select": [{"forEach": "a b", "column": [ID]}]}, "select[0].forEach"),
        ({"resource": "Observation", "select": [{"repeat": "item", "column": [ID]}]}, "list of paths"),
        (
            {
                "resource": "Observation",
                "select": [{"forEach": "component", "repeat": ["a"], "column": [ID]}],
            },
            "only one of",
        ),
        (
            {"resource": "Observation", "select": [{"column": [ID]}], "constant": [{"name": "a"}]},
            "one value",
        ),
        (
            {
                "resource": "Observation",
                "select": [{"column": [ID | {"tag": [{"name": "ansi/type", "value": "X"}]}]}],
            },
            "no type of SQL",
        ),
    ],
)
def test_what_is_wrong_with_a_view_is_said_with_its_place(document: dict[str, Any], detail: str) -> None:
    assert detail in refuse(document)


def test_a_file_that_is_no_view_is_refused() -> None:
    for raw in (b"", b"[]", b"{", b"\xff", b'{"a":' * 10_000, b"null"):
        with pytest.raises(Refused):
            read_view(raw)


def test_selects_within_each_other_have_a_limit() -> None:
    select: dict[str, Any] = {"column": [ID]}
    for _ in range(DEPTH_MAX):
        select = {"select": [select]}

    with pytest.raises(Refused) as caught:
        parse_view({"resource": "Observation", "select": [select]})
    assert caught.value.reason is Reason.INPUT_TOO_DEEP


def test_rows_that_multiply_have_a_limit() -> None:
    many = OBSERVATION | {"component": OBSERVATION["component"] * 30}
    selects = [
        {"forEach": "component", "column": [{"name": f"c{place}", "path": "code.text"}]}
        for place in range(4)
    ]

    with pytest.raises(Refused) as caught:
        make_view(select=selects).make_rows(many)
    assert caught.value.reason is Reason.INPUT_TOO_LARGE


def test_rows_that_are_put_below_each_other_have_the_same_limit() -> None:
    many = OBSERVATION | {"component": OBSERVATION["component"] * 100}
    cross = [
        {"forEach": "component", "column": [{"name": f"c{place}", "path": "code.text"}]}
        for place in range(2)
    ]

    with pytest.raises(Refused) as caught:
        make_view(select=[{"unionAll": [{"select": cross}] * 3}]).make_rows(many)
    assert caught.value.reason is Reason.INPUT_TOO_LARGE


def test_resources_of_many_rows_are_not_all_held_together() -> None:
    many = OBSERVATION | {"component": OBSERVATION["component"] * 20_000}
    view = make_view(select=[{"forEach": "component", "column": [{"name": "a", "path": "code.text"}]}])

    batches = [len(columns[0]) for columns in view.make_batches([many] * 4)]

    assert batches == [80_000, 80_000]


def test_a_resource_that_is_refused_is_named_unless_its_id_may_be_anything() -> None:
    view = make_view({"name": "a", "path": "code.coding.code"})
    good = OBSERVATION | {"code": {"text": "t"}}

    for name, spelled in (("odd", "Observation/odd"), ("Anna Vogel", "a resource of type Observation")):
        with pytest.raises(Refused) as caught:
            list(view.make_batches([good, OBSERVATION | {"id": name}]))
        assert caught.value.detail.endswith(f", in {spelled}")


def test_a_repeat_in_a_circle_has_a_limit() -> None:
    view = make_view(select=[{"repeat": ["$this"], "column": [{"name": "a", "path": "id"}]}])

    with pytest.raises(Refused) as caught:
        view.make_rows(OBSERVATION)
    assert caught.value.reason is Reason.INPUT_TOO_DEEP


def test_columns_have_the_type_that_the_definition_says_or_the_path_gives() -> None:
    view = make_view(
        {"name": "a", "path": "id"},
        {"name": "b", "path": "value.ofType(Quantity).value"},
        {"name": "c", "path": "component.count()"},
        {"name": "d", "path": "status.exists()"},
        {"name": "e", "path": "effective.ofType(dateTime)", "type": "dateTime"},
        {"name": "f", "path": "code.coding.code", "collection": True},
        {
            "name": "g",
            "path": "value.ofType(Quantity).value",
            "tag": [{"name": "ansi/type", "value": "decimal(9,2)"}],
        },
    )

    assert [kind for _, kind in view.columns] == [
        ColumnType(Kind.TEXT),
        ColumnType(Kind.DECIMAL),
        ColumnType(Kind.INTEGER),
        ColumnType(Kind.BOOLEAN),
        ColumnType(Kind.TEXT),
        ColumnType(Kind.TEXT, is_collection=True),
        ColumnType(Kind.DECIMAL, digits=9, places=2),
    ]


PATHS: Final = (
    "id",
    "status",
    "code.coding.first().code",
    "code.coding[1].code",
    "code.coding.where(system = 'http://loinc.org').code.first()",
    "code.coding.where(system = 'http://loinc.org' and code = '1').display.first()",
    "code.coding.where(system = 'x' or code = '2').code.first()",
    "code.coding.exists(code = '2')",
    "code.coding.empty()",
    "code.exists()",
    "subject.getReferenceKey()",
    "subject.getReferenceKey(Patient)",
    "subject.getReferenceKey(Group)",
    "getResourceKey()",
    "effective.ofType(dateTime)",
    "value.ofType(Quantity).value",
    "value.ofType(string)",
    "extension('urn:b').value.ofType(string).first()",
    "component.code.text.first()",
    "component.where(code.text = 'b').value.ofType(integer).first()",
    "component.first().value.ofType(integer)",
    "Observation.status",
    "$this.status",
    "status = 'final'",
    "status != 'final'",
    "subject.where(reference = 'Patient/p').reference",
)

LEAVES: Final[st.SearchStrategy[Any]] = st.sampled_from(
    [None, True, 1, Decimal("1.50"), "final", "1", [], {}, [None], ["x"], [{}], "Patient/p"]
)
KEYS: Final = sorted({"_status", "_id", *OBSERVATION} - {"resourceType"})
NODES: Final = st.dictionaries(st.sampled_from(KEYS), LEAVES, max_size=4).map(
    lambda bent: OBSERVATION | bent
)


@pytest.mark.parametrize("path", PATHS)
def test_the_short_way_is_taken(path: str) -> None:
    view = make_view({"name": "a", "path": path})

    assert view.has_short_ways


@example(path="getResourceKey()", node=OBSERVATION | {"id": None})
@example(path="status = 'final'", node=OBSERVATION | {"status": None, "_status": {}})
@example(path="status != 'final'", node=OBSERVATION | {"status": None, "_status": {}})
@example(path="code.exists()", node=OBSERVATION | {"code": []})
@example(path="code.coding.empty()", node=OBSERVATION | {"code": {"coding": [None]}})
@given(path=st.sampled_from(PATHS), node=NODES)
def test_the_short_way_and_the_general_one_agree(path: str, node: dict[str, Any]) -> None:
    view = make_view({"name": "a", "path": path})
    general = compile_expression(path, type_name="Observation")

    try:
        ((rows,),) = view.make_batches([node])
    except Refused:
        return
    found = [item.value if isinstance(item, Element) else item for item in general.evaluate(node)]
    values = [value for value in found if value is not None]
    assert list(rows) == (values or [None])


@given(NODES, st.sampled_from(PATHS))
def test_rows_and_columns_agree(node: dict[str, Any], path: str) -> None:
    view = make_view(
        {"name": "a", "path": path},
        ID,
        where=[{"path": "status = 'final' or code.coding.exists(code = '1')"}],
    )

    try:
        (columns,) = view.make_batches([OBSERVATION, node])
    except Refused:
        return
    rows = view.make_rows(OBSERVATION) + view.make_rows(node)
    assert [list(column) for column in columns] == [[row[place] for row in rows] for place in range(2)]
