"""Transactions as sixteen hospitals send them for their patients, signed before the clock starts."""

import dataclasses
import itertools
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from iamata.crypto.ed25519 import SigningKey
from iamata.engines.embedded.engine import EmbeddedEngine, read_clock_ms
from iamata.ledger.bases import ConsentBasis
from iamata.ledger.entries import MemberKind, OwnerKind
from iamata.ledger.genesis import Genesis
from iamata.ledger.transactions.access import AnchorReads, Disclose
from iamata.ledger.transactions.consents import Grant, GrantConsent, RestrictConsent, WithdrawConsent
from iamata.ledger.transactions.patients import EnrolPatient
from iamata.ledger.transactions.records import AnchorRecords
from iamata.model.ids import ConsentId, MemberId, PatientId, encode_digest
from iamata.model.instants import compute_day
from iamata.workflows.author import Author
from iamata.workflows.founding import FoundingMember, draw_founder, write_genesis

SUBMITTERS: Final = 16
PATIENTS_EACH: Final = 100
SEED: Final = 20_261_124
"""What is sent is chosen by chance, but by the same chance every time; the keys are fresh."""


@dataclasses.dataclass(frozen=True, slots=True)
class EnrolledPatient:
    """A patient with a consent that stays in force, and those that will be restricted or withdrawn."""

    id: PatientId
    author: Author
    standing: ConsentId
    passing: list[ConsentId]


class Hospital:
    """One submitter: a node's key and its patients'."""

    def __init__(self, member: MemberId, author: Author, chance: random.Random) -> None:
        self.member = member
        self._author = author
        self._chance = chance
        self._patients: list[EnrolledPatient] = []

    def enrol(self, count: int) -> Iterator[bytes]:
        """Write what enrols patients, each with a consent."""
        for _ in range(count):
            key = SigningKey.from_seed(os.urandom(32))
            wallet = dataclasses.replace(self._author, key=key)
            patient = EnrolledPatient(
                id=PatientId(wallet.make_id()),
                author=wallet,
                standing=ConsentId(wallet.make_id()),
                passing=[],
            )
            possession = wallet.prove_possession(OwnerKind.PATIENT, patient.id, member=self.member)
            yield self._author.write(EnrolPatient, patient=patient.id, possession=possession)
            yield self._grant(patient, patient.standing)
            self._patients.append(patient)

    def write_mix(self, count: int) -> list[bytes]:
        """Sign half disclosures, a fifth anchors, and grants as often as restrictions and withdrawals."""
        kinds = self._chance.choices(
            (self._disclose, self._anchor, self._narrow, self._widen), weights=(50, 20, 15, 15), k=count
        )
        return [write(self._chance.choice(self._patients)) for write in kinds]

    def _disclose(self, patient: EnrolledPatient) -> bytes:
        return self._author.write(
            Disclose,
            access=self._author.make_id(),
            patient=patient.id,
            basis=ConsentBasis(patient.standing),
            commitment=_draw_digest(),
        )

    def _anchor(self, _: EnrolledPatient) -> bytes:
        kind = self._chance.choice((AnchorRecords, AnchorReads))
        return self._author.write(kind, anchor=self._author.make_id(), root=_draw_digest(), count=500)

    def _narrow(self, patient: EnrolledPatient) -> bytes:
        """Withdraw a consent that was granted before; restrict where there is none to withdraw."""
        if patient.passing and self._chance.random() < 1 / 2:
            return patient.author.write(WithdrawConsent, consent=patient.passing.pop())
        if patient.passing:
            consent = self._chance.choice(patient.passing)
            return patient.author.write(RestrictConsent, consent=consent, terms=_draw_digest())
        return self._widen(patient)

    def _widen(self, patient: EnrolledPatient) -> bytes:
        consent = ConsentId(self._author.make_id())
        patient.passing.append(consent)
        return self._grant(patient, consent)

    def _grant(self, patient: EnrolledPatient, consent: ConsentId) -> bytes:
        grant = patient.author.state(
            Grant,
            consent=consent,
            patient=patient.id,
            custodian=self.member,
            terms=_draw_digest(),
            until_day=compute_day(read_clock_ms()) + 30,
            submit_until_day=compute_day(read_clock_ms()) + 30,
        )
        return self._author.write(GrantConsent, grant=grant)


def found_network() -> tuple[Genesis, SigningKey, list[FoundingMember]]:
    """Found a network of sixteen hospitals."""
    founders = [
        draw_founder(
            MemberId(f"hospital-{number:02}"), f"Hospital {number}", MemberKind.HOSPITAL, os.urandom
        )
        for number in range(SUBMITTERS)
    ]
    seed = os.urandom(32)
    genesis = write_genesis(
        "bench", founders, orderer_seed=seed, created_ms=read_clock_ms(), entropy=os.urandom
    )
    return genesis, SigningKey.from_seed(seed), founders


def open_network(folder: Path) -> tuple[EmbeddedEngine, list[Hospital]]:
    """Start a ledger of sixteen hospitals in a folder and enrol their patients."""
    genesis, orderer, founders = found_network()
    engine = EmbeddedEngine(folder, genesis, orderer=orderer)
    hospitals = [
        Hospital(
            founder.member,
            Author(engine, SigningKey.from_seed(founder.signing_seed), read_clock_ms, os.urandom),
            random.Random(SEED + number),
        )
        for number, founder in enumerate(founders)
    ]
    enrolments = itertools.chain.from_iterable(hospital.enrol(PATIENTS_EACH) for hospital in hospitals)
    futures = [engine.submit(raw) for raw in enrolments]
    if any(future.result().reason for future in futures):
        message = "an enrolment was refused"
        raise RuntimeError(message)
    return engine, hospitals


def _draw_digest() -> str:
    return encode_digest(os.urandom(32))
