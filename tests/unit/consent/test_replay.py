"""A change can be tried on the past before it is signed."""

import msgspec

from iamata.consent.policy import ConsentOnFile, Policy
from iamata.consent.profiles import STRICT, ImplicitPolicy
from iamata.consent.replay import Change, PastRead, replay
from iamata.consent.requests import RecordFacts, Request
from iamata.consent.terms import Rule, Ruling, Terms
from iamata.model.ids import ConsentId, PatientId
from iamata.model.instants import MS_PER_DAY, Instant
from iamata.model.reasons import Reason

TERMS = Terms(
    decision=Ruling.PERMIT,
    labels=("N", "PSY"),
    purposes=("TREAT",),
    recorded_ms=Instant(0),
    policy="urn:policy",
)
NARROWED = msgspec.structs.replace(TERMS, exceptions=(Rule(decision=Ruling.DENY, labels=("PSY",)),))
PULSE = RecordFacts(record="Observation/pulse", resource_type="Observation", labels=("N",))
NOTE = RecordFacts(record="DocumentReference/note", resource_type="DocumentReference", labels=("R", "PSY"))


def make_policy(terms: Terms) -> Policy:
    return Policy(
        patient=PatientId("paaaaaaaaaaaaaaaaaaaaaaaaa"),
        profile=STRICT,
        implicit=ImplicitPolicy.DENY,
        consents=(ConsentOnFile(consent=ConsentId("caaaaaaaaaaaaaaaaaaaaaaaaa"), terms=terms),),
    )


def make_reads() -> list[PastRead]:
    request = Request(recipients=("member:hospital-b",), purpose="TREAT")
    return [
        PastRead(
            request=request,
            records=(PULSE, NOTE) if index % 5 == 0 else (PULSE,),
            at_ms=Instant(index * MS_PER_DAY),
        )
        for index in range(70)
    ]


def test_replay_lists_the_reads_that_would_have_been_refused() -> None:
    changes = replay(make_policy(TERMS), make_policy(NARROWED), make_reads())

    assert [change.read for change in changes] == [*range(0, 70, 5)]
    assert changes[0] == Change(read=0, record=NOTE.record, before=None, after=Reason.EXCLUDED_BY_PATIENT)


def test_replay_tells_what_a_wider_consent_would_have_permitted() -> None:
    changes = replay(make_policy(NARROWED), make_policy(TERMS), make_reads())

    assert [change.before for change in changes] == [Reason.EXCLUDED_BY_PATIENT] * 14


def test_replay_of_the_same_terms_changes_nothing() -> None:
    assert replay(make_policy(TERMS), make_policy(TERMS), make_reads()) == ()
