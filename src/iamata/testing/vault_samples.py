"""Records, custodies and permits for the vault's tests; everything drawn from seeds."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from iamata.consent.decide import decide
from iamata.consent.permits import Permit
from iamata.consent.policy import Policy
from iamata.consent.profiles import PCF, ImplicitPolicy
from iamata.consent.requests import RecordFacts, Request
from iamata.model.ids import AccessId, MemberId, PatientId, compute_random_id
from iamata.model.instants import Instant
from iamata.stores.key_holders import LocalKeyHolder
from iamata.stores.sqlite.home import open_member_stores
from iamata.testing.entropy import derive_bytes
from iamata.vault.custody import Custody, Entropy, MemberStores
from iamata.vault.journal import JournalEntry, JournalKind
from iamata.vault.opening import ListedRecord
from iamata.vault.openings import Opening
from iamata.vault.record import Identifier, OpenedRecord, PreparedRecord
from iamata.vault.rows import open_row

MEMBER: Final = MemberId("st-marien")
KEK: Final = derive_bytes("vault", "kek", length=32)
ANNA: Final = PatientId(compute_random_id(derive_bytes("patient", "anna", length=16)))
BORIS: Final = PatientId(compute_random_id(derive_bytes("patient", "boris", length=16)))
CLINICIAN: Final = Request(recipients=("role:clinician",), purpose="TREAT")
SECRET_WORDS: Final = b"hears voices since the accident"


def make_custody(stores: MemberStores, entropy: Entropy, *, kek: bytes = KEK) -> Custody:
    """Join stores with the test's key."""
    return Custody(stores, LocalKeyHolder(kek, member=MEMBER), member=MEMBER, entropy=entropy)


def open_home(home: Path, entropy: Entropy) -> tuple[Custody, MemberStores]:
    """Open a home on disk."""
    stores = open_member_stores(home)
    return make_custody(stores, entropy), stores


def make_record(
    name: str,
    *,
    patient: PatientId = ANNA,
    others: tuple[PatientId, ...] = (),
    text: bytes = SECRET_WORDS,
    labels: tuple[str, ...] = ("N",),
) -> PreparedRecord:
    """Make an observation of a patient with an identifier of its own."""
    body = b'{"resourceType":"Observation","id":"%s","valueString":"%s"}' % (name.encode("ascii"), text)
    return PreparedRecord(
        patients=(patient, *others),
        facts=RecordFacts(record=f"Observation/{name}", resource_type="Observation", labels=labels),
        body=body,
        identifiers=(Identifier("Observation", "urn:lab", name),),
    )


def open_all(custody: Custody) -> list[OpenedRecord]:
    """Open every record, without a permit."""
    return [open_row(custody, row, body) for row, body in custody.records.store.read_all()]


def permit_all(listed: Sequence[ListedRecord], *, patient: PatientId = ANNA) -> Permit:
    """Let the implicit policy permit what it does, for a clinician."""
    policy = Policy(patient=patient, profile=PCF, implicit=ImplicitPolicy.BASIC_NORMAL)
    return decide(policy, CLINICIAN, [one.facts for one in listed], at_ms=Instant(1)).permits[0]


def make_entry(name: str, *, patient: PatientId = ANNA) -> JournalEntry:
    """Make a journal entry about a read."""
    return JournalEntry(
        kind=JournalKind.READ,
        patient=patient,
        id=AccessId(compute_random_id(derive_bytes("access", name, length=16))),
        time_ms=Instant(1_700_000_000_000),
        payload=SECRET_WORDS,
    )


def make_opening(name: str, *, patient: PatientId = ANNA, payload: bytes = SECRET_WORDS) -> Opening:
    """Make an opening of a consent's terms."""
    return Opening(
        name=name,
        patient=patient,
        kind="terms",
        salt=derive_bytes("salt", name, length=32),
        payload=payload,
    )


def forge(listed: ListedRecord, **changes: object) -> ListedRecord:
    """Change what a caller claims that it decided on."""
    return msgspec.structs.replace(listed, **changes)
