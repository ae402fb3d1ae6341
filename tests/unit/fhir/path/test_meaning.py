"""Expressions mean what FHIRPath and FHIR say: elements, types, references, dates, quantities, text."""

from decimal import Decimal
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iamata.fhir.path.elements import Element, make_element, to_value
from iamata.fhir.path.expressions import compile_expression
from iamata.fhir.path.functions.conversions import to_string
from iamata.fhir.path.temporal import Date, compare, parse_date, parse_datetime, shift
from iamata.fhir.path.units import find_unit
from iamata.model.reasons import Refused

PATIENT: Final[dict[str, Any]] = {
    "resourceType": "Patient",
    "id": "p1",
    "active": True,
    "name": [
        {"family": "Vogel", "given": ["Anna", None, "Maria"], "_given": [None, {"id": "g"}, None]},
        {"use": "usual", "given": ["Anni"]},
    ],
    "gender": "female",
    "birthDate": "1980-02-29",
    "_birthDate": {"extension": [{"url": "urn:time", "valueDateTime": "1980-02-29T04:05:00+01:00"}]},
    "deceasedBoolean": False,
    "_multipleBirthBoolean": {"extension": [{"url": "urn:absent", "valueCode": "unknown"}]},
    "contained": [{"resourceType": "Organization", "id": "o", "name": "Spital"}],
    "managingOrganization": {"reference": "#o"},
    "generalPractitioner": [{"reference": "Practitioner/17"}, {"reference": "Practitioner/18"}],
}
PRACTITIONER: Final = {"resourceType": "Practitioner", "id": "17", "gender": "male"}


def evaluate(text: str, resource: object = PATIENT, **given: Any) -> list[object]:
    found = compile_expression(text, type_name="Patient").evaluate(resource, **given)
    return [value.value if isinstance(value := to_value(item), Element) else value for item in found]


def spell(text: str) -> list[str | None]:
    return [to_string(item) for item in compile_expression(text).evaluate(PATIENT)]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("name.given", ["Anna", None, "Maria", "Anni"]),
        ("name.given.where(hasValue())", ["Anna", "Maria", "Anni"]),
        ("name.given.id", ["g"]),
        ("birthDate.extension('urn:time').value is dateTime", [True]),
        ("birthDate.extension('urn:time').value < @1980-02-29T04:06:00+01:00", [True]),
        ("deceased", [False]),
        ("deceased.ofType(boolean)", [False]),
        ("deceased.ofType(dateTime)", []),
        ("multipleBirth.exists()", [True]),
        ("multipleBirth.hasValue()", [False]),
        ("multipleBirth.extension.value", ["unknown"]),
        ("managingOrganization.resolve().name", ["Spital"]),
        ("managingOrganization.resolve() is Organization", [True]),
        ("contained.ofType(Organization).name", ["Spital"]),
        ("gender.memberOf('http://hl7.org/fhir/ValueSet/administrative-gender')", [True]),
        ("name.family.memberOf('http://hl7.org/fhir/ValueSet/administrative-gender')", [False]),
        ("conformsTo('http://hl7.org/fhir/StructureDefinition/DomainResource')", [True]),
        ("getResourceKey()", ["Patient/p1"]),
        ("generalPractitioner.getReferenceKey()", ["Practitioner/17", "Practitioner/18"]),
        ("generalPractitioner.getReferenceKey(Organization)", []),
        ("managingOrganization.getReferenceKey()", []),
        ("%resource.id | %rootResource.id | %context.id", ["p1"]),
        ("name.select($index)", [0, 1]),
        ("name.where($index = 1).given", ["Anni"]),
        ("name.given.aggregate($total + $this.length(), 0)", []),
        ("name.family.aggregate(iif($total.empty(), $this, $total & $this))", ["Vogel"]),
        ("defineVariable('n', name.first()).name.where(family = %n.family).given.first()", ["Anna"]),
        ("name.first().defineVariable('f', family).given.first() & ' ' & name.family", ["Anna Vogel"]),
        ("type().name", ["Patient"]),
        ("active and deceased.not()", [True]),
        ("active xor {}", []),
        ("name.sort(use, -given.first()).given.first()", ["Anna"]),
        ("'a,b'.split(',').join('-')", ["a-b"]),
        ("'Grun'.replaceMatches('u', 'ü\\\\n')", ["Grü\\nn"]),
        ("'ab'.replaceMatches('(?P<one>a)(x)?', '${one}$1[$2]$')", ["aa[]$b"]),
        ("'2026-11-26'.replaceMatches('(\\\\d+)-(\\\\d+)-(\\\\d+)', '$3.$2.$1')", ["26.11.2026"]),
        ("'Anna' ~ 'ANNA'", [True]),
        ("('b' | 'a' | 'b').count()", [2]),
        ("name ~ name", [True]),
        ("'\\\\u0041\\\\n\"'.unescape('json')", ['A\n"']),
        ("defineVariable('v', 1).select(%v + 1)", [2]),
        ("name = name.tail()", [False]),
    ],
)
def test_an_expression_means(text: str, values: list[object]) -> None:
    assert evaluate(text) == values


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("1.10 + 2", "3.10"),
        ("0.1 + 0.2", "0.3"),
        ("7 / 2", "3.5"),
        ("7 div 2", "3"),
        ("2.power(10)", "1024"),
        ("1 'kg' = 1000 'g'", "true"),
        ("37 'Cel' = 37 'Cel'", "true"),
        ("5.5 'mmol/L' > 5 'mmol/L'", "true"),
        ("1 'g/L' = 100 'mg/dL'", "true"),
        ("1 'mm[Hg]' < 1 'kPa'", "true"),
        ("6 'ft' = 1 'm'", "false"),
        ("10 'm' / 2 's' = 5 'm/s'", "true"),
        ("1 year = 12 months", "true"),
        ("1 'cm' + 1 'm'", "101 'cm'"),
        ("@2024-02-29 + 1 year", "2025-02-28"),
        ("@2024-01-31 + 1 month", "2024-02-29"),
        ("@2024-01-31 - 1 day", "2024-01-30"),
        ("@2024 + 18 months", "2025"),
        ("@2024-01-01T00:30:00Z - 1 hour", "2023-12-31T23:30:00Z"),
        ("@T23:00 + 2 hours", "01:00"),
        ("@2024-03-10T12:00:00+02:00 = @2024-03-10T10:00:00Z", "true"),
        ("@2014.highBoundary()", "2014-12-31"),
        ("@2024-02.highBoundary(8)", "2024-02-29"),
        ("@T10:30.lowBoundary()", "10:30:00.000"),
        ("1.5 'mg'.highBoundary(2)", "1.55 'mg'"),
        ("'4.5 \\'mg\\''.toQuantity()", "4.5 'mg'"),
        ("'abc'.toQuantity().empty()", "true"),
        ("100 'mg'.toQuantity('g')", "0.1 'g'"),
    ],
)
def test_values_are_exact(text: str, spelled: str) -> None:
    assert spell(text) == [spelled]


def test_a_comparison_of_what_is_known_to_different_precision_is_empty() -> None:
    assert spell("@2024-01 < @2024-01-15") == []
    assert spell("@2024-01 < @2024-02-15") == ["true"]


def test_the_time_is_what_the_caller_says() -> None:
    now = parse_datetime("2026-11-26T08:30:00.000+01:00")

    assert evaluate("today()", now=now) == [Date((2026, 11, 26))]
    assert evaluate("birthDate < now()", now=now) == [True]
    with pytest.raises(Refused):
        evaluate("now()")


def test_variables_are_those_of_the_caller() -> None:
    path = compile_expression("name.where(use = %use).given", type_name="Patient", variables={"use": None})

    assert [to_value(one) for one in path.evaluate(PATIENT, variables={"use": ["usual"]})] == ["Anni"]


def test_references_outside_are_followed_where_the_caller_looks() -> None:
    asked: list[str] = []

    def resolve(literal: str) -> Element | None:
        asked.append(literal)
        return make_element(PRACTITIONER) if literal == "Practitioner/17" else None

    assert evaluate("generalPractitioner.resolve().gender", resolve=resolve) == ["male"]
    assert asked == ["Practitioner/17", "Practitioner/18"]


def test_references_within_a_bundle_are_followed() -> None:
    bundle = {
        "resourceType": "Bundle",
        "entry": [
            {"fullUrl": "urn:uuid:1", "resource": {"resourceType": "Patient", "id": "x", "gender": "male"}},
            {"resource": {"resourceType": "Observation", "subject": {"reference": "urn:uuid:1"}}},
            {"resource": {"resourceType": "Observation", "subject": {"reference": "Patient/x"}}},
        ],
    }
    path = compile_expression("entry.resource.ofType(Observation).subject.resolve().gender")

    assert [to_value(one) for one in path.evaluate(bundle)] == ["male", "male"]


def test_an_expression_without_a_type_asks_the_resource() -> None:
    path = compile_expression("gender | name.family | Observation.status")

    assert [to_value(one) for one in path.evaluate(PATIENT)] == ["female", "Vogel"]
    assert [to_value(one) for one in path.evaluate({"resourceType": "Observation", "status": "final"})] == [
        "final"
    ]


def test_a_constant_is_worked_out_once_and_cannot_be_spoilt() -> None:
    path = compile_expression("(1 | 2).select($this + 1)")
    path.evaluate(PATIENT).clear()

    assert path.evaluate(PATIENT) == [2, 3]


@given(st.dates(), st.integers(-1_000, 1_000), st.sampled_from(["day", "week", "hour", "second"]))
def test_adding_and_subtracting_leads_back(day: Any, amount: int, unit: str) -> None:
    moment = parse_datetime(f"{day.isoformat()}T12:00:00.000Z")
    assert moment is not None
    there = shift(moment, Decimal(amount), unit)
    if there is not None:
        assert shift(there, Decimal(-amount), unit) == moment


@given(st.dates(), st.dates())
def test_days_are_ordered_as_the_calendar_orders_them(one: Any, other: Any) -> None:
    left, right = parse_date(one.isoformat()), parse_date(other.isoformat())
    assert left is not None
    assert right is not None

    assert compare(left, right) == (one > other) - (one < other)
    assert str(left) == one.isoformat()


@pytest.mark.parametrize(
    "code", ["mg/dL", "10*3/uL", "mmol/L", "{score}", "/min", "mL/min/{1.73_m2}", "kg/m2", "U/L"]
)
def test_units_of_the_laboratory_are_known(code: str) -> None:
    assert find_unit(code) is not None


@pytest.mark.parametrize("code", ["", "foo", "mg//dL", "m^2", "(m", "m)", "dam ", "m" * 65])
def test_what_is_no_unit_is_none(code: str) -> None:
    assert find_unit(code) is None
