"""The frozen decisions: ours for the strict profile, and those read out of IHE PCF's published consents."""

import json
from pathlib import Path

import msgspec
import pytest

from iamata.consent.decide import Decision, decide
from iamata.consent.permits import NO_REDISCLOSURE
from iamata.consent.policy import ConsentOnFile, Policy
from iamata.consent.profiles import PCF, STRICT, ImplicitPolicy
from iamata.consent.purposes import list_broader
from iamata.consent.requests import RecordFacts, Request
from iamata.fhir.consents import read_consent
from iamata.model.ids import ConsentId, PatientId
from iamata.model.instants import MS_PER_DAY, Instant, parse_day
from iamata.model.reasons import Reason

FOLDER = Path(__file__).resolve().parents[3] / "vectors" / "consent"
PATIENT = PatientId("paaaaaaaaaaaaaaaaaaaaaaaaa")
PROFILES = {profile.name: profile for profile in (STRICT, PCF)}
PCF_CASES = 32


class Expectation(msgspec.Struct, forbid_unknown_fields=True):
    permits: dict[str, list[str]]
    """Records by the consent, or the implicit policy, that is their basis."""
    refusals: dict[str, str]
    obliged: list[str] = []


class Vector(msgspec.Struct, forbid_unknown_fields=True):
    why: str
    profile: str
    implicit: ImplicitPolicy
    has_decided: bool
    at_ms: Instant
    consents: tuple[ConsentOnFile, ...]
    request: Request
    records: tuple[RecordFacts, ...]
    expect: Expectation
    is_own_staff: bool = False

    def decide(self) -> Decision:
        policy = Policy(
            patient=PATIENT,
            profile=PROFILES[self.profile],
            implicit=self.implicit,
            consents=self.consents,
            has_decided=self.has_decided,
            is_own_staff=self.is_own_staff,
        )
        return decide(policy, self.request, self.records, at_ms=self.at_ms)


def read_vector(path: Path) -> Vector:
    return msgspec.json.decode(path.read_bytes(), type=Vector)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.json")), ids=lambda path: path.stem)
def test_a_frozen_decision_stands(path: Path) -> None:
    vector = read_vector(path)

    decision = vector.decide()

    permits = {str(permit.consent or permit.policy): list(permit.records) for permit in decision.permits}
    refusals = {refusal.record: refusal.reason.name for refusal in decision.refusals}
    obliged = [
        record for permit in decision.permits for each in permit.obligations for record in each.records
    ]
    assert (permits, refusals, obliged) == (
        vector.expect.permits,
        vector.expect.refusals,
        vector.expect.obliged,
    )


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.json")), ids=lambda path: path.stem)
def test_the_answer_does_not_depend_on_the_order_of_exceptions_or_records(path: Path) -> None:
    vector = read_vector(path)
    turned = msgspec.structs.replace(
        vector,
        records=vector.records[::-1],
        consents=tuple(
            msgspec.structs.replace(
                each,
                terms=each.terms
                and msgspec.structs.replace(each.terms, exceptions=each.terms.exceptions[::-1]),
            )
            for each in vector.consents
        ),
    )

    decision = turned.decide()

    released = sorted(record for permit in decision.permits for record in permit.records)
    assert released == sorted(record for records in vector.expect.permits.values() for record in records)
    assert {each.record: each.reason.name for each in decision.refusals} == vector.expect.refusals


def test_vectors_name_every_reason_of_a_decision_and_say_why_they_exist() -> None:
    vectors = [read_vector(path) for path in sorted(FOLDER.glob("*.json"))]

    said = {reason for vector in vectors for reason in vector.expect.refusals.values()}

    reasons = (reason.name for reason in Reason if Reason.NO_CONSENT <= reason <= Reason.TERMS_NOT_HELD)
    assert said == set(reasons)
    assert all(vector.why.endswith(".") for vector in vectors)
    assert len(vectors) >= 60


def test_the_reading_of_pcf_that_standards_give_is_ours(shared_data: Path) -> None:
    folder = shared_data / "consent"
    published = json.loads((folder / "decision-vectors.json").read_text())
    wrong = []
    for case in published["cases"]:
        consents: tuple[ConsentOnFile, ...] = ()
        if case["consent"] is not None:
            resource = json.loads((folder / "ihe-pcf" / f"Consent-{case['consent']}.json").read_text())
            consents = (ConsentOnFile(consent=ConsentId(case["consent"]), terms=read_consent(resource)),)
        policy = Policy(patient=PATIENT, profile=PCF, implicit=ImplicitPolicy.DENY, consents=consents)
        data = published["data"][case["data"]]
        day = parse_day(data["date"])
        facts = RecordFacts(
            record=data["id"],
            resource_type=data["id"].partition("/")[0],
            labels=tuple(data["labels"]),
            days=(day, day),
            authors=(data["author"],),
            related=(data["encounter"],) if data["encounter"] else (),
        )
        request = Request(
            recipients=tuple(published["actors"][case["actor"]]["refs"]), purpose=case["purpose"]
        )
        at_ms = Instant(parse_day(case["now"]) * MS_PER_DAY)

        decision = decide(policy, request, [facts], at_ms=at_ms)

        if bool(decision.permits) != (case["expect"] == "permit"):
            wrong.append(case)

    assert wrong == []
    assert len(published["cases"]) == PCF_CASES
    assert all(broad in list_broader(narrow) for broad, narrow in published["purpose_subsumption"])


def test_protected_records_leave_with_the_notice_and_the_scope_of_the_consent() -> None:
    decision = read_vector(FOLDER / "sensitive-alcohol-use-named.json").decide()

    (permit,) = decision.permits
    (obligation,) = permit.obligations
    assert obligation.code == NO_REDISCLOSURE
    assert obligation.notice == "42-cfr-2.32"
    assert obligation.consent == permit.consent
    assert "alcohol use" in obligation.scope[0]
