"""What is wrong with an expression is said with its place, and no expression costs more than is allowed."""

import contextlib
import time
import tracemalloc
from decimal import Decimal
from typing import Any, Final

import pytest

from iamata.fhir.path.expressions import compile_expression
from iamata.fhir.path.refusals import (
    CHAIN_MAX,
    EXPRESSION_CHARS_MAX,
    HEIGHT_MAX,
    NESTING_MAX,
    ExpressionRefused,
    Stage,
)
from iamata.model.reasons import Reason, Refused

PATIENT: Final[dict[str, Any]] = {
    "resourceType": "Patient",
    "name": [{"use": "official", "given": ["Anna", "Maria"]}, {"use": "usual", "given": ["Anni"]}],
    "birthDate": "1980-02-29",
}
SLOW_S: Final = 5.0
MEMORY_BYTES: Final = 100 * 2**20


def refuse(text: str, resource: object = PATIENT) -> ExpressionRefused:
    with pytest.raises(ExpressionRefused) as caught:
        compile_expression(text, type_name="Patient").evaluate(resource)
    return caught.value


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("name.", 1, 6),
        ("name given", 1, 6),
        ("(1 + 2", 1, 7),
        ("name.where(use = 'official'", 1, 28),
        ("1 +\n  * 2", 2, 3),
        ("'abc", 1, 1),
        ("'a\\qb'", 1, 3),
        ("/* abc", 1, 1),
        ("@2015-02-30", 1, 1),
        ("name[0", 1, 7),
        ("#", 1, 1),
        ("", 1, 1),
        ("1 is", 1, 5),
        ("%", 1, 2),
        ("9" * 65, 1, 1),
    ],
)
def test_what_does_not_parse_says_where(text: str, line: int, column: int) -> None:
    refused = refuse(text)

    assert (refused.stage, refused.line, refused.column) == (Stage.SYNTAX, line, column)
    assert f"line {line}, column {column}" in refused.detail


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("name.give", 6),
        ("Observation.value", 1),
        ("name.given.foo()", 12),
        ("name.first(1)", 6),
        ("name.where()", 6),
        ("name.startsWith('A')", 6),
        ("birthDate is Dated", 11),
        ("name.ofType(1)", 6),
        ("%nobody", 1),
        ("defineVariable('a', 1) | %a", 26),
    ],
)
def test_what_cannot_mean_anything_is_found_with_its_place(text: str, column: int) -> None:
    refused = refuse(text)

    assert (refused.stage, refused.column) == (Stage.SEMANTIC, column)


@pytest.mark.parametrize(
    "text",
    [
        "name.single()",
        "name.given.upper()",
        "name.given + 'x'",
        "'a' < 1",
        "-'a'",
        "name.first().given.first() * 2",
        "iif('a', 1, 2)",
        "birthDate + 1 'cm'",
        "today()",
        "name.given.first().matches('(')",
        "name.given.first().matches('(?=a)')",
        "name.given.first().replaceMatches('a', '$7')",
        "defineVariable('a').defineVariable('a')",
    ],
)
def test_what_fails_on_a_resource_names_no_value(text: str) -> None:
    refused = refuse(text)

    assert refused.stage is Stage.EXECUTION
    assert "Ann" not in str(refused)
    assert "1980" not in str(refused)


@pytest.mark.parametrize(
    "text",
    [
        "(" * (NESTING_MAX + 1) + "1" + ")" * (NESTING_MAX + 1),
        "-" * (NESTING_MAX + 1) + "1",
        "name" + ".first()" * (CHAIN_MAX + 1),
        "1" + " + 1" * (HEIGHT_MAX + 1),
        "1" * (EXPRESSION_CHARS_MAX + 1),
    ],
)
def test_what_is_too_deep_or_too_long_is_refused(text: str) -> None:
    assert refuse(text).stage is Stage.SYNTAX


@pytest.mark.parametrize(
    "text",
    [
        "(" * NESTING_MAX + "birthDate" + ")" * NESTING_MAX,
        "name" + ".first()" * CHAIN_MAX,
        "birthDate.exists()" + " or birthDate.exists()" * (HEIGHT_MAX - 10),
    ],
)
def test_what_is_just_not_too_deep_is_evaluated(text: str) -> None:
    assert compile_expression(text, type_name="Patient").evaluate(PATIENT) != []


@pytest.mark.parametrize(
    "text",
    [
        "%resource.repeatAll($this)",
        "(1|2|3|4|5|6|7|8|9).select(" * 12 + "1" + ")" * 12,
        "%resource.repeat(name | $this).select(" + "%resource.descendants().select(" * 9 + "1" + ")" * 10,
        "name.aggregate($total & $total & 'abc', 'a')" + ".select($this & $this)" * 40,
        "'a'" + ".replace('a', 'aaaaaaaaaaaaaaaa')" * 40,
        "'a'" + ".replaceMatches('a', 'aaaaaaaaaaaaaaaa')" * 40,
    ],
)
def test_what_grows_without_end_is_stopped_in_time(text: str) -> None:
    begun_s = time.perf_counter()
    with pytest.raises(Refused) as caught:
        compile_expression(text).evaluate(PATIENT)

    assert caught.value.reason in {Reason.INPUT_TOO_LARGE, Reason.INPUT_INVALID}
    assert time.perf_counter() - begun_s < SLOW_S


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+$", "^(([a-z])+.)+[A-Z]([a-z])+$", "(.*a){20}"])
def test_a_regular_expression_never_explodes(pattern: str) -> None:
    text = "a" * 5_000 + "!"
    begun_s = time.perf_counter()
    compile_expression(f"'{text}'.matches('{pattern}')").evaluate(PATIENT)

    assert time.perf_counter() - begun_s < SLOW_S


MANY: Final[dict[str, Any]] = {
    "resourceType": "Patient",
    "extension": [{"url": "u", "valueString": "x"}] * 5_000,
    "name": [{"text": "a" * 1_000_000, "given": [f"a{number}" for number in range(20_000)]}],
    "contact": [{"name": {"given": [f"a{number}" for number in range(5_000)]}} for _ in range(2)],
}


@pytest.mark.parametrize(
    "asked",
    [
        "%a",
        "%a.tail()",
        "%a.skip(1)",
        "%a.sort()",
        "%a.join(',')",
        "%a.type()",
        "%a.ofType(string)",
        "%a.getReferenceKey()",
        "%a.getResourceKey()",
        "%a.given",
        "(%a is string)",
        "%a.select($this)",
        "%b.allTrue()",
        "%b.anyFalse()",
        "%resource.name.given",
        "%resource.extension",
        "(%resource.contact[0] = %resource.contact[1])",
        "(%resource.contact[0] ~ %resource.contact[1])",
        "%resource.contact.distinct()",
        "(%resource.name.text ~ 'b')",
        "%resource.name.text.matches('a{900}' & $this)",
    ],
)
def test_what_is_asked_of_each_item_about_all_is_stopped_in_time(asked: str) -> None:
    begun_s = time.perf_counter()
    path = (
        f"defineVariable('a', name.given).defineVariable('b', %a.select(true)).name.given.select({asked})"
    )
    with pytest.raises(Refused):
        compile_expression(path).evaluate(MANY)

    assert time.perf_counter() - begun_s < SLOW_S


@pytest.mark.parametrize(
    "path",
    [
        "name.given.select(%resource).name.given",
        "name.given.select(%resource).children()",
        "name.given.select(%resource.name.text).join('')",
    ],
)
def test_what_would_fill_the_memory_is_stopped_before_it_is_made(path: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(Refused):
            compile_expression(path).evaluate(MANY)
        assert tracemalloc.get_traced_memory()[1] < MEMORY_BYTES
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("pattern", ["(a?){1000}b", "a.*b|a", "(a|b)*a(a|b){20}c|a", "(a{1000}){15}"])
@pytest.mark.parametrize(
    "ask", ["matches('{}')", "matchesFull('{}')", "replaceMatches('{}', 'x').length()"]
)
def test_a_regular_expression_costs_what_it_may_take(ask: str, pattern: str) -> None:
    begun_s = time.perf_counter()
    with contextlib.suppress(Refused):
        compile_expression(f"name.text.{ask.format(pattern)}").evaluate(MANY)

    assert time.perf_counter() - begun_s < SLOW_S


def test_a_tree_that_contains_itself_is_refused() -> None:
    circle: dict[str, Any] = {"resourceType": "Questionnaire", "item": []}
    circle["item"].append({"linkId": "1", "item": circle["item"]})

    with pytest.raises(Refused):
        compile_expression("descendants().linkId").evaluate(circle)


def test_references_in_a_circle_end() -> None:
    listed = [
        {"resourceType": "Organization", "id": "a", "partOf": {"reference": "#b"}},
        {"resourceType": "Organization", "id": "b", "partOf": {"reference": "#a"}},
    ]
    patient = {
        "resourceType": "Patient",
        "contained": listed,
        "managingOrganization": {"reference": "#a"},
    }
    path = compile_expression("managingOrganization.resolve().repeat(partOf.resolve()).id.count()")

    assert path.evaluate(patient) == [2]


def test_numbers_that_would_fill_the_memory_are_no_values() -> None:
    observation = {
        "resourceType": "Observation",
        "valueQuantity": {"value": Decimal("1E+999999"), "unit": "mg"},
    }
    path = compile_expression("value.value.toString() | (value > 5 'mg')", type_name="Observation")

    assert path.evaluate(observation) == []
