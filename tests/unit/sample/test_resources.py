"""Every resource says that it is synthetic, is well-formed R4, and refers to what is there."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from iamata.fhir.preparing import prepare_bundle
from iamata.intake.rules import load_rules
from iamata.sample.generating import Part, generate
from iamata.testing.known import EVERY_PATIENT

_TAG = {
    "system": "https://iamata.example/fhir/tags",
    "code": "synthetic",
    "display": "Synthetic data, not a real person",
}
_PATIENTS = 250


@cache
def _parts() -> tuple[Part, ...]:
    return tuple(generate(42, _PATIENTS))


@cache
def _bundles() -> tuple[Any, ...]:
    return tuple(json.loads(part.encode_bundle()) for part in _parts())


def _resources() -> Iterator[Any]:
    return (entry["resource"] for bundle in _bundles() for entry in bundle["entry"])


def _references(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(reference := node.get("reference"), str):
            yield reference
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            yield from _references(child)


def test_every_resource_and_bundle_says_that_it_is_synthetic() -> None:
    for bundle in _bundles():
        assert _TAG in bundle["meta"]["tag"]
    for resource in _resources():
        assert _TAG in resource["meta"]["tag"]


def test_all_the_types_of_a_record_occur() -> None:
    assert set(Counter(resource["resourceType"] for resource in _resources())) == {
        "AllergyIntolerance",
        "Condition",
        "Encounter",
        "FamilyMemberHistory",
        "MedicationRequest",
        "Observation",
        "Organization",
        "Patient",
        "Practitioner",
        "Procedure",
    }


def test_references_resolve_in_the_bundle_or_at_its_hospital() -> None:
    at_hospital: dict[int, set[str]] = {}
    for part, bundle in zip(_parts(), _bundles(), strict=True):
        names = {f"{each['resource']['resourceType']}/{each['resource']['id']}" for each in bundle["entry"]}
        house = at_hospital.setdefault(part.hospital.number, names if part.patient is None else set())
        assert set(_references(bundle)) <= names | house


def test_no_two_resources_have_the_same_id() -> None:
    names = [(resource["resourceType"], resource["id"]) for resource in _resources()]
    assert len(names) == len(set(names))
    assert all(
        re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}", i) for _, i in names
    )


def test_a_bundle_is_a_transaction_that_may_be_sent_twice() -> None:
    for part, bundle in zip(_parts(), _bundles(), strict=True):
        assert bundle["type"] == "transaction"
        for entry in bundle["entry"]:
            address = f"{entry['resource']['resourceType']}/{entry['resource']['id']}"
            assert entry["request"] == {"method": "PUT", "url": address}
            assert entry["fullUrl"] == f"{part.hospital.base}/{address}"


def test_decimals_are_spelled_with_the_places_of_their_measure() -> None:
    spelled = b"".join(part.encode_bundle() for part in _parts())
    hba1c = re.findall(rb'"value":([0-9.]+),"unit":"%"', spelled)
    kilograms = re.findall(rb'"value":([0-9.]+),"unit":"kg"', spelled)
    pulses = re.findall(rb'"value":([0-9.]+),"unit":"/min"', spelled)
    assert any(token.endswith(b".0") for token in hba1c)
    assert all(re.fullmatch(rb"[0-9]+\.[0-9]", token) for token in hba1c + kilograms)
    assert all(re.fullmatch(rb"[0-9]+", token) for token in pulses)


def test_nothing_happens_before_birth_or_out_of_order() -> None:
    for part, bundle in zip(_parts(), _bundles(), strict=True):
        if part.patient is None:
            continue
        resources = [entry["resource"] for entry in bundle["entry"]]
        assert resources[0]["resourceType"] == "Patient"
        birth = resources[0]["birthDate"]
        starts = [each["period"]["start"] for each in resources if each["resourceType"] == "Encounter"]
        assert starts == sorted(starts)
        assert birth < starts[0]
        for each in resources:
            assert each.get("onsetDateTime", "9999") > birth
            assert each.get("onsetDateTime", "0") <= each.get("recordedDate", "9999")


def test_a_medicine_that_is_renewed_is_active_once() -> None:
    for bundle in _bundles():
        active = Counter(
            entry["resource"]["medicationCodeableConcept"]["text"]
            for entry in bundle["entry"]
            if entry["resource"]["resourceType"] == "MedicationRequest"
            and entry["resource"]["status"] == "active"
        )
        assert set(active.values()) <= {1}


def test_the_importer_takes_every_bundle_whole() -> None:
    rules = load_rules()
    for part in _parts()[:80]:
        batch = prepare_bundle(part.encode_bundle(), known=EVERY_PATIENT, rules=rules)
        assert batch.faults == ()
        assert len(batch.prepared) == len(part.resources)
        owners = {record.patients for record in batch.prepared}
        assert owners == ({()} if part.patient is None else {(f"Patient/{part.resources[0]['id']}",)})


@pytest.mark.parametrize("label", ["PSY", "HIV", "ETHUD", "SEX", "GDIS", "SDV"])
def test_each_sensitive_category_occurs(label: str) -> None:
    assert label in _count_labels()


def test_most_records_are_not_sensitive() -> None:
    labels = _count_labels()
    assert 0.005 < labels["R"] / (labels["R"] + labels["N"]) < 0.10


@cache
def _count_labels() -> Counter[str]:
    rules = load_rules()
    return Counter(
        label
        for part in _parts()
        for record in prepare_bundle(part.encode_bundle(), known=EVERY_PATIENT, rules=rules).prepared
        for label in record.facts.labels
    )
