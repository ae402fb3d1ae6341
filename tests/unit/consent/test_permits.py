"""A permit is made by a decision, or not at all."""

import copy
import dataclasses
import pickle
import re
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

import iamata
from iamata.consent.decide import decide
from iamata.consent.permits import Permit
from iamata.consent.policy import ConsentOnFile, Policy
from iamata.consent.profiles import STRICT, ImplicitPolicy
from iamata.consent.requests import RecordFacts, Request
from iamata.consent.terms import Ruling, Terms
from iamata.model.ids import ConsentId, PatientId
from iamata.model.instants import Instant
from iamata.model.reasons import Reason, Refused

PATIENT = PatientId("paaaaaaaaaaaaaaaaaaaaaaaaa")
REQUEST = Request(recipients=("member:hospital-b",), purpose="TREAT")


def make_permit() -> Permit:
    terms = Terms(decision=Ruling.PERMIT, purposes=("TREAT",), recorded_ms=Instant(0), policy="urn:policy")
    policy = Policy(
        patient=PATIENT,
        profile=STRICT,
        implicit=ImplicitPolicy.DENY,
        consents=(ConsentOnFile(consent=ConsentId("caaaaaaaaaaaaaaaaaaaaaaaaa"), terms=terms),),
    )
    facts = RecordFacts(record="Observation/pulse", resource_type="Observation", labels=("N",))
    (permit,) = decide(policy, REQUEST, [facts], at_ms=Instant(7)).permits
    return permit


def test_a_permit_says_whose_records_who_why_and_when() -> None:
    permit = make_permit()

    assert permit.patient == PATIENT
    assert permit.consent == "caaaaaaaaaaaaaaaaaaaaaaaaa"
    assert permit.policy is None
    assert permit.request == REQUEST
    assert permit.records == ("Observation/pulse",)
    assert permit.at_ms == 7


def test_a_permit_covers_its_own_records_of_its_own_patient() -> None:
    permit = make_permit()

    permit.require_covers("Observation/pulse", patient=PATIENT)
    for record, patient in (
        ("Observation/weight", PATIENT),
        ("Observation/pulse", PatientId("qaaaaaaaaaaaaaaaaaaaaaaaaa")),
    ):
        with pytest.raises(Refused) as refusal:
            permit.require_covers(record, patient=patient)
        assert refusal.value.reason is Reason.PERMIT_DOES_NOT_COVER


def test_nobody_else_constructs_changes_or_decodes_a_permit() -> None:
    permit = make_permit()

    with pytest.raises(TypeError, match="issues permits"):
        Permit(
            patient=PATIENT,
            consent=None,
            policy=ImplicitPolicy.ALL_NORMAL,
            request=REQUEST,
            records=("Observation/pulse",),
            at_ms=Instant(0),
            obligations=(),
            others=(),
            token=object(),
        )
    with pytest.raises((TypeError, ValueError)):
        dataclasses.replace(permit, records=("Observation/other",), token=object())
    with pytest.raises(dataclasses.FrozenInstanceError):
        permit.records = ()  # type: ignore[misc]
    with pytest.raises((TypeError, ValueError)):
        msgspec.convert({"patient": PATIENT, "records": []}, Permit)


@pytest.mark.parametrize("double", [pickle.dumps, copy.copy, copy.deepcopy])
def test_no_permit_is_copied_or_leaves_as_bytes(double: Callable[[Permit], object]) -> None:
    with pytest.raises(TypeError, match="neither copied nor pickled"):
        double(make_permit())


def test_only_decide_issues_permits() -> None:
    source = Path(iamata.__file__).parent
    issuers = [
        path.relative_to(source).as_posix()
        for path in sorted(source.rglob("*.py"))
        if re.search(r"\bissue_permit\b|\bPermit\(", path.read_text(encoding="utf-8"))
    ]

    assert issuers == ["consent/decide.py", "consent/permits.py"]


def test_a_record_that_is_anothers_too_needs_their_permit_as_well() -> None:
    alone = make_permit()
    other = PatientId("qaaaaaaaaaaaaaaaaaaaaaaaaa")
    facts = RecordFacts(record="Observation/pulse", resource_type="Observation", labels=("N",))
    policies = [
        Policy(patient=patient, profile=STRICT, implicit=ImplicitPolicy.ALL_NORMAL)
        for patient in (PATIENT, other)
    ]
    shared = {facts.record: policies[1:]}
    (joint,) = decide(policies[0], REQUEST, [facts], at_ms=Instant(7), shared=shared).permits

    joint.require_covers(facts.record, patient=PATIENT, others=(other,))
    with pytest.raises(Refused, match="PERMIT_DOES_NOT_COVER"):
        alone.require_covers(facts.record, patient=PATIENT, others=(other,))
    assert [(one.patient, one.records) for one in joint.others] == [(other, (facts.record,))]
