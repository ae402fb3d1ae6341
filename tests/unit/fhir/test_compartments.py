"""A resource belongs to the patients of its compartments, and to nobody else."""

from typing import Any

import pytest

from iamata.fhir.compartments import find_patients
from iamata.model.reasons import Reason, Refused


def _find(resource_type: str, **elements: Any) -> tuple[str, ...]:
    return find_patients(elements, resource_type, "r1")


def test_a_patient_belongs_to_itself_first() -> None:
    assert _find("Patient") == ("Patient/r1",)
    assert _find("Patient", link=[{"other": {"reference": "Patient/p2"}}]) == ("Patient/r1", "Patient/p2")


def test_subject_confers_membership_and_focus_does_not() -> None:
    subject, focus = {"reference": "Patient/p1"}, [{"reference": "Patient/p2"}]
    assert _find("Observation", subject=subject, focus=focus) == ("Patient/p1",)
    assert _find("Observation", subject={"reference": "Device/d1"}, focus=focus) == ()


def test_a_version_of_a_patient_is_the_patient() -> None:
    assert _find("Condition", subject={"reference": "Patient/p1/_history/2"}) == ("Patient/p1",)


def test_several_patients_are_listed_once_each() -> None:
    actors = [
        {"actor": {"reference": name}} for name in ("Patient/a", "Location/l", "Patient/b", "Patient/a")
    ]
    assert _find("Appointment", participant=actors) == ("Patient/a", "Patient/b")


def test_what_has_no_compartment_belongs_to_the_member() -> None:
    assert _find("Organization", partOf={"reference": "Patient/p1"}) == ()
    assert _find("Medication") == ()


@pytest.mark.parametrize(
    "subject",
    [
        {"reference": "https://elsewhere.example/fhir/Patient/p1"},
        {"reference": "urn:x:Patient/p1"},
        {"reference": "Patient/a b"},
        {"reference": "Patient?name=x"},
        {"reference": "#p"},
        {"identifier": {"system": "s", "value": "1"}},
        {"type": "Patient", "display": "somebody"},
    ],
)
def test_a_patient_that_cannot_be_followed_is_unclear(subject: dict[str, Any]) -> None:
    with pytest.raises(Refused) as caught:
        _find("Observation", subject=subject, contained=[{"resourceType": "Patient", "id": "p"}])
    assert caught.value.reason is Reason.PATIENT_UNCLEAR


@pytest.mark.parametrize(
    "performer",
    [
        {"reference": "#o"},
        {"type": "Organization", "identifier": {"value": "1"}},
        {"display": "x"},
        "text",
        7,
        None,
    ],
)
def test_others_may_be_vague(performer: Any) -> None:
    contained = [{"resourceType": "Organization", "id": "o"}]
    assert _find("Observation", performer=[performer], contained=contained) == ()
