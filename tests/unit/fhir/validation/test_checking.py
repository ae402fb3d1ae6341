"""Validation says what is wrong, where, and never what stood there."""

import base64
import time
from decimal import Decimal
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iamata.fhir.definitions import Kind, get_type, list_codes, list_resource_types
from iamata.fhir.validation.checking import validate
from iamata.fhir.validation.issues import ISSUES_MAX, IssueType, Severity, write_outcome

CODE: Final = {"coding": [{"system": "http://loinc.org", "code": "4548-4"}]}


def observe(**elements: Any) -> dict[str, Any]:
    """Return a valid Observation with these elements added."""
    return {"resourceType": "Observation", "status": "final", "code": CODE} | elements


def find(**elements: Any) -> list[tuple[str, IssueType]]:
    """List what is wrong with an Observation, by path and type."""
    return [(one.path.removeprefix("Observation."), one.type) for one in validate(observe(**elements))]


def test_what_is_right_has_no_issues() -> None:
    assert validate(observe(valueQuantity={"value": Decimal("6.50"), "unit": "%"})) == ()


@pytest.mark.parametrize("value", [17, "Patient", None, [], {}, {"resourceType": "Martian"}])
def test_what_is_no_resource_is_refused(value: Any) -> None:
    entry = {"resource": value}

    issues = validate({"resourceType": "Bundle", "type": "batch", "entry": [entry]})

    assert [one.path.removesuffix(".resourceType") for one in issues] == ["Bundle.entry[0].resource"]


def test_a_type_that_fhir_does_not_know_is_refused() -> None:
    assert [one.path for one in validate({"resourceType": ["x"]})] == ["Resource.resourceType"]
    assert [one.path for one in validate({})] == ["Resource.resourceType"]


@pytest.mark.parametrize(
    ("elements", "path", "kind"),
    [
        ({"stauts": "final"}, "stauts", IssueType.STRUCTURE),
        ({"status": "finished"}, "status", IssueType.CODE),
        ({"status": None}, "status", IssueType.STRUCTURE),
        ({"code": None}, "code", IssueType.STRUCTURE),
        ({"category": CODE}, "category", IssueType.STRUCTURE),
        ({"category": []}, "category", IssueType.STRUCTURE),
        ({"category": [{}]}, "category[0]", IssueType.INVARIANT),
        ({"category": [{"id": "x"}]}, "category[0]", IssueType.INVARIANT),
        ({"subject": {"reference": "Medication/1"}}, "subject.reference", IssueType.VALUE),
        (
            {"subject": {"reference": "https://a.example/r4/Medication/1"}},
            "subject.reference",
            IssueType.VALUE,
        ),
        ({"subject": {"reference": "Medication?identifier=x"}}, "subject.reference", IssueType.VALUE),
        ({"subject": {"reference": "#p"}}, "subject.reference", IssueType.NOT_FOUND),
        ({"subject": {"reference": "somebody"}}, "subject.reference", IssueType.VALUE),
        ({"subject": {"type": "Medication"}}, "subject.type", IssueType.VALUE),
        ({"subject": {"reference": "Patient/1", "type": "Group"}}, "subject.type", IssueType.INVARIANT),
        ({"issued": "2024-05-06"}, "issued", IssueType.VALUE),
        ({"effectiveDateTime": "2024-02-30"}, "effective.ofType(dateTime)", IssueType.VALUE),
        ({"effectiveDateTime": "2024-05-06T07:08Z"}, "effective.ofType(dateTime)", IssueType.VALUE),
        ({"valueInteger": Decimal("1.0")}, "value.ofType(integer)", IssueType.VALUE),
        ({"valueInteger": 2**31}, "value.ofType(integer)", IssueType.VALUE),
        ({"valueBoolean": "true"}, "value.ofType(boolean)", IssueType.VALUE),
        ({"valueQuantity": {"value": "6.5"}}, "value.ofType(Quantity).value", IssueType.VALUE),
        ({"valueString": "a", "valueInteger": 1}, "value", IssueType.INVARIANT),
        ({"_valueInteger": {"id": "x"}}, "value.ofType(integer)", IssueType.INVARIANT),
        ({"valueReference": {"reference": "Patient/1"}}, "valueReference", IssueType.STRUCTURE),
        ({"component": [{"valueString": "a"}]}, "component[0].code", IssueType.REQUIRED),
        ({"extension": [{"valueString": "a"}]}, "extension[0].url", IssueType.REQUIRED),
        ({"extension": [{"url": "urn:x"}]}, "extension[0].value", IssueType.REQUIRED),
        ({"contained": [{"resourceType": "Patient"}]}, "contained[0].id", IssueType.REQUIRED),
        (
            {
                "contained": [
                    {"resourceType": "Patient", "id": "a"},
                    {"resourceType": "Basic", "id": "a", "code": CODE},
                ]
            },
            "contained",
            IssueType.INVARIANT,
        ),
        ({"text": {"status": "generated", "div": "no div"}}, "text.div", IssueType.VALUE),
    ],
)
def test_what_is_wrong_is_named(elements: dict[str, Any], path: str, kind: IssueType) -> None:
    assert find(**elements) == [(path, kind)]


@pytest.mark.parametrize(
    "elements",
    [
        {"_status": {"extension": [{"url": "urn:x", "valueCode": "masked"}]}},
        {"subject": {"reference": "urn:uuid:0d0f7e5a-0000-4000-8000-000000000000"}},
        {"subject": {"reference": "https://a.example/r4/Patient/1/_history/2"}},
        {"subject": {"reference": "Patient?identifier=urn:mrn|17"}},
        {"subject": {"identifier": {"value": "17"}}},
        {"subject": {"reference": "#p"}, "contained": [{"resourceType": "Patient", "id": "p"}]},
        {"focus": [{"reference": "Medication/1"}]},
        {"effectiveDateTime": "2024"},
        {"effectiveDateTime": "2024-02-29"},
        {"effectiveDateTime": "2016-12-31T23:59:60Z"},
        {"valueTime": "07:08:09.5"},
        {"valueQuantity": {"value": 7}},
        {"_valueString": {"extension": [{"url": "urn:x", "valueBoolean": True}]}},
    ],
)
def test_what_fhir_allows_is_accepted(elements: dict[str, Any]) -> None:
    wanted = observe(**elements)
    if "_status" in wanted:
        del wanted["status"]

    assert validate(wanted) == ()


def test_null_may_stand_only_for_a_value_that_has_extensions() -> None:
    extended = {"extension": [{"url": "urn:x", "valueBoolean": True}]}

    patient = {"resourceType": "Patient", "name": [{"given": ["Anna", None], "_given": [None, extended]}]}
    assert validate(patient) == ()
    for names, beside in [([None, "Anna"], [extended]), (["Anna"], [None, extended]), (["Anna"], [None])]:
        patient["name"] = [{"given": names, "_given": beside}]
        assert validate(patient) == ()
    for names, beside, path in [
        (["Anna", None], [extended, None], "given[1]"),
        (["Anna", None], [extended], "given[1]"),
        (["Anna"], [None, None], "given[1]"),
        (["Anna", 5], [extended, None], "given[1]"),
        (["Anna"], extended, "given"),
        (None, [extended], "given"),
    ]:
        patient["name"] = [{"given": names, "_given": beside}]
        assert f"Patient.name[0].{path}" in [one.path for one in validate(patient)]
    patient["name"] = [{"given": ["Anna", None]}]
    assert [one.path for one in validate(patient)] == ["Patient.name[0].given[1]"]


def test_a_contained_resource_may_refer_to_its_neighbour_and_to_its_container() -> None:
    contained = [
        {"resourceType": "Group", "id": "g", "type": "person", "actual": True},
        {**observe(subject={"reference": "#g"}, focus=[{"reference": "#"}]), "id": "o"},
    ]

    assert validate(observe(contained=contained)) == ()


def test_contained_resources_that_refer_in_a_circle_are_each_looked_at_once() -> None:
    contained = [
        {**observe(hasMember=[{"reference": f"#{(number + 1) % 50}"}]), "id": str(number)}
        for number in range(50)
    ]
    begun_s = time.process_time()

    assert validate(observe(contained=contained, hasMember=[{"reference": "#0"}])) == ()
    assert find(contained=[*contained, {"resourceType": "Basic", "id": "51"}]) == [
        ("contained[50].code", IssueType.REQUIRED)
    ]
    assert time.process_time() - begun_s < 1


def test_no_value_and_no_foreign_name_is_repeated() -> None:
    known = "Anna Vogel, born 1980-02-29"
    patient = {
        "resourceType": "Patient",
        known: 1,
        "id": known,
        "gender": known,
        "birthDate": known,
        "name": known,
        "managingOrganization": {"reference": known},
        "contained": [{"resourceType": known}],
    }

    issues = validate(patient)

    assert len(issues) == 7
    assert "Vogel" not in repr(issues)


def test_issues_are_limited_and_the_limit_is_told() -> None:
    issues = validate(observe(category=[17] * 10_000))

    assert len(issues) == ISSUES_MAX + 1
    assert issues[-1].type is IssueType.INCOMPLETE
    assert issues[-1].severity is Severity.INFORMATION


def test_what_is_wrong_deep_down_takes_no_longer_than_what_is_right() -> None:
    extension: dict[str, object] = {"url": "urn:x", "valueBoolean": "no truth"}
    for _ in range(30):
        extension = {"url": "urn:x", "extension": [extension]}
    begun_s = time.process_time()

    assert [path for path, _ in find(extension=[extension])] == [
        ".".join(["extension[0]"] * 31) + ".value.ofType(boolean)"
    ]
    assert time.process_time() - begun_s < 1


@pytest.mark.parametrize(
    "reference",
    ["https://a/b" + "/a/b#" * 20_000 + " ", "Patient?" + "#" * 100_000 + " ", "a/" * 80_000 + " "],
)
def test_a_hostile_reference_takes_no_longer_than_it_is_long(reference: str) -> None:
    begun_s = time.process_time()
    assert find(subject={"reference": reference}) == [("subject.reference", IssueType.VALUE)]
    assert time.process_time() - begun_s < 1


@pytest.mark.parametrize("text", ["a" * 100_000 + "  b", ("a b" * 40_000) + " ", "\t" * 100_000])
def test_a_hostile_code_takes_no_longer_than_it_is_long(text: str) -> None:
    begun_s = time.process_time()
    assert find(code={"coding": [{"code": text}]}) == [("code.coding[0].code", IssueType.VALUE)]
    assert time.process_time() - begun_s < 1


def test_an_outcome_is_itself_valid() -> None:
    wrong = write_outcome(validate(observe(status="x", category=[{}])))
    fine = write_outcome(())

    assert validate(wrong) == ()
    assert validate(fine) == ()
    assert wrong["issue"] == [
        {
            "severity": "error",
            "code": "code-invalid",
            "diagnostics": "a code of the value set observation-status is expected",
            "expression": ["Observation.status"],
        },
        {
            "severity": "error",
            "code": "invariant",
            "diagnostics": "an element must have a value or elements, besides its id",
            "expression": ["Observation.category[0]"],
        },
    ]


def test_every_type_of_issue_is_one_of_fhirs() -> None:
    known = list_codes("issue-type")["http://hl7.org/fhir/issue-type"]

    assert {one.value for one in IssueType} - {*known} == set()
    assert {one.value for one in Severity} - {"fatal", "error", "warning", "information"} == set()


# ------------------------------------------------------------------------- what the definitions allow

_PRIMITIVES: Final[dict[str, st.SearchStrategy[object]]] = {
    "base64Binary": st.binary(min_size=1, max_size=9).map(lambda raw: base64.b64encode(raw).decode()),
    "boolean": st.booleans(),
    "canonical": st.just("http://a.example/x|1"),
    "code": st.sampled_from(["a", "a b"]),
    "date": st.dates().map(lambda day: day.isoformat()) | st.sampled_from(["1980", "1980-02"]),
    "dateTime": st.sampled_from(["1980", "1980-02", "1980-02-29", "1980-02-29T01:02:03.5+02:00"]),
    "decimal": st.decimals(allow_nan=False, allow_infinity=False, places=3) | st.integers(),
    "id": st.from_regex(r"[A-Za-z0-9\-.]{1,64}", fullmatch=True),
    "instant": st.just("1980-02-29T01:02:03Z"),
    "integer": st.integers(-(2**31), 2**31 - 1),
    "markdown": st.text(min_size=1, max_size=9),
    "oid": st.just("urn:oid:1.2.3"),
    "positiveInt": st.integers(1, 2**31 - 1),
    "string": st.text(min_size=1, max_size=9),
    "time": st.times().map(lambda time: time.isoformat("seconds")),
    "unsignedInt": st.integers(0, 2**31 - 1),
    "uri": st.just("urn:x"),
    "url": st.just("http://a.example"),
    "uuid": st.uuids().map(lambda uuid: uuid.urn),
    "xhtml": st.just('<div xmlns="http://www.w3.org/1999/xhtml">x</div>'),
}
DEPTH: Final = 3


@st.composite
def draw_object(draw: st.DrawFn, type_name: str, depth: int = 0) -> dict[str, object]:
    """Draw a value of a type by its definition: what must be there, and a little of what may be."""
    made: dict[str, object] = {}
    elements = [one for one in get_type(type_name).elements if one.name not in {"contained", "extension"}]
    wanted = draw(
        st.sets(st.sampled_from([one.name for one in elements]), max_size=2 if depth < DEPTH else 0)
    )
    for element in elements:
        if element.min or element.name in wanted:
            key, kind = draw(st.sampled_from(sorted(element.spell_names().items())))
            value = _draw_value(element.codes, element.targets, kind, depth)
            made[key] = draw(st.lists(value, min_size=1, max_size=2) if element.is_list else value)
    if depth and made.keys() <= {"id"}:  # a resource may be empty
        made["extension"] = [{"url": "urn:x", "valueBoolean": True}]
    return made


def _draw_value(codes: str, targets: tuple[str, ...], kind: str, depth: int) -> st.SearchStrategy[Any]:
    if kind == "Resource":
        return st.just({"resourceType": "Basic", "code": CODE})
    if kind == "Reference":
        return st.sampled_from(targets or list_resource_types()).map(
            lambda name: {"reference": f"{name}/1"}
        )
    if kind == "Extension":
        return st.just({"url": "urn:x", "valueString": "x"})
    if codes:
        known = [
            {"system": system, "code": code} for system, all_ in list_codes(codes).items() for code in all_
        ]
        return st.sampled_from(known).map(lambda one: one["code"] if kind == "code" else {"coding": [one]})
    if get_type(kind).kind is Kind.PRIMITIVE:
        return _PRIMITIVES[kind]
    return draw_object(kind, depth + 1)


@given(
    st.sampled_from(list_resource_types()).flatmap(lambda name: st.tuples(st.just(name), draw_object(name)))
)
def test_what_is_made_by_its_definition_is_accepted(drawn: tuple[str, dict[str, object]]) -> None:
    name, elements = drawn

    assert validate({"resourceType": name} | elements) == ()


@given(
    st.sampled_from(list_resource_types()),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=4),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["id", "code", "status", "extension", "url", "contained", "_id"]), inner
            )
        ),
        max_leaves=20,
    ),
)
def test_any_json_is_judged(name: str, value: object) -> None:
    issues = validate({"resourceType": name, "contained": value, "extension": value, "text": value})

    assert all(one.path.startswith(name) for one in issues)
