"""What happened, as the log says it: one event for each accepted transaction. Views fold these."""

from typing import dataclass_transform

import msgspec

from iamata.ledger.entries import ModelStatus, ReviewOutcome, StudyStatus
from iamata.model.ids import (
    AccessId,
    AnchorId,
    Commitment,
    ConsentId,
    DatasetId,
    Digest,
    InvitationId,
    KeyId,
    MemberId,
    ModelId,
    PatientId,
    PersonId,
    ProposalId,
    RunId,
    StudyId,
)
from iamata.model.instants import Day, Instant


@dataclass_transform(frozen_default=True)
class Event(
    msgspec.Struct, frozen=True, gc=False, tag_field="type", omit_defaults=True, forbid_unknown_fields=True
):
    """One thing that happened."""


class MemberInvited(Event, tag="member.invited"):
    """A member offered a place."""

    member: MemberId
    inviter: MemberId
    invitation: InvitationId


class MemberApplied(Event, tag="member.applied"):
    """An invited organisation showed its keys and awaits the vote."""

    member: MemberId


class MemberLeft(Event, tag="member.left"):
    """A member left of its own will."""

    member: MemberId


class MemberKeyRotated(Event, tag="member.key-rotated"):
    """A member signs or seals with another key from now on."""

    member: MemberId
    key: str


class PersonRegistered(Event, tag="person.registered"):
    """A member introduced a person."""

    person: PersonId
    member: MemberId


class PersonChanged(Event, tag="person.changed"):
    """A person's roles or keys are others from now on."""

    person: PersonId


class PersonRevoked(Event, tag="person.revoked"):
    """A person no longer acts for the member."""

    person: PersonId


class PatientEnrolled(Event, tag="patient.enrolled"):
    """A custodian knows a patient by this pseudonym."""

    patient: PatientId
    custodian: MemberId
    is_custodial: bool = False


class PatientKeyAdded(Event, tag="patient.key-added"):
    """One more key speaks for the patient."""

    patient: PatientId
    key: KeyId


class PatientKeyRemoved(Event, tag="patient.key-removed"):
    """A key no longer speaks for the patient."""

    patient: PatientId
    key: KeyId


class PatientTookOver(Event, tag="patient.took-over"):
    """A patient holds the key that the custodian held."""

    patient: PatientId


class ConsentGranted(Event, tag="consent.granted"):
    """A patient's terms bind a custodian."""

    consent: ConsentId
    patient: PatientId
    custodian: MemberId
    until_day: Day
    replaces: ConsentId | msgspec.UnsetType = msgspec.UNSET
    is_custodial: bool = False


class ConsentNarrowed(Event, tag="consent.narrowed"):
    """A consent allows less than before."""

    consent: ConsentId
    patient: PatientId
    restriction: Commitment
    is_by_custodian: bool = False


class ConsentLifted(Event, tag="consent.lifted"):
    """The patient undid what the custodian had narrowed."""

    consent: ConsentId
    patient: PatientId
    restriction: Commitment


class ConsentConfirmed(Event, tag="consent.confirmed"):
    """The patient stands by a consent that the custodian had signed."""

    consent: ConsentId
    patient: PatientId


class ConsentWithdrawn(Event, tag="consent.withdrawn"):
    """A consent is over."""

    consent: ConsentId
    patient: PatientId


class RecordsAnchored(Event, tag="records.anchored"):
    """A custodian committed to records."""

    anchor: AnchorId
    custodian: MemberId
    root: Digest
    count: int


class RecordsErased(Event, tag="records.erased"):
    """A custodian destroyed the key to a patient's records."""

    patient: PatientId
    custodian: MemberId
    count: int


class AccessDisclosed(Event, tag="access.disclosed"):
    """Records leave a custodian, on a basis that was active in this block."""

    access: AccessId
    patient: PatientId
    custodian: MemberId
    basis: str


class ReadsAnchored(Event, tag="access.anchored"):
    """A custodian committed to the reads of its own staff."""

    anchor: AnchorId
    custodian: MemberId
    root: Digest
    count: int


class EmergencyDeclared(Event, tag="emergency.declared"):
    """A person broke the glass."""

    emergency: AccessId
    person: PersonId
    patient: PatientId
    custodian: MemberId
    until_ms: Instant


class EmergencyPostedLate(Event, tag="emergency.posted-late"):
    """A glass was broken and records left while there was no finality; the ledger is told afterwards."""

    emergency: AccessId
    access: AccessId
    person: PersonId
    patient: PatientId
    custodian: MemberId
    declared_ms: Instant
    until_ms: Instant


class EmergencyReviewed(Event, tag="emergency.reviewed"):
    """A broken glass was answered for."""

    emergency: AccessId
    patient: PatientId
    outcome: ReviewOutcome


class ValidatorAccused(Event, tag="validator.accused"):
    """A validator broke the rules of consensus, and its member's suspension is put to the vote."""

    key: KeyId
    kind: str
    height: int
    member: MemberId | msgspec.UnsetType = msgspec.UNSET
    """Unset where nobody ever registered the key."""
    proposal: ProposalId | msgspec.UnsetType = msgspec.UNSET


class ProposalOpened(Event, tag="proposal.opened"):
    """A member asks the others to decide."""

    proposal: ProposalId
    opener: MemberId
    is_executed: bool = False


class ProposalVoted(Event, tag="proposal.voted"):
    """A member voted; at quorum the proposal was carried out in the same transaction."""

    proposal: ProposalId
    member: MemberId
    is_approval: bool
    is_executed: bool = False


class StudyProposed(Event, tag="study.proposed"):
    """A member asks to learn from the records of patients who agree."""

    study: StudyId
    owner: MemberId


class StudyReviewed(Event, tag="study.reviewed"):
    """A reviewer of another member judged a study; the review that decides grants or refuses the permit."""

    study: StudyId
    member: MemberId
    is_approval: bool
    status: StudyStatus


class PermitRevoked(Event, tag="study.revoked"):
    """A study's permit is over before its day."""

    study: StudyId
    member: MemberId


class DatasetPosted(Event, tag="dataset.posted"):
    """A custodian built a study's table, for the first time or without those who left."""

    dataset: DatasetId
    study: StudyId
    custodian: MemberId
    replaces: DatasetId | msgspec.UnsetType = msgspec.UNSET


class DatasetConfirmed(Event, tag="dataset.confirmed"):
    """A custodian says that nobody has waited in its dataset for longer than agreed."""

    dataset: DatasetId
    custodian: MemberId


class DatasetRetired(Event, tag="dataset.retired"):
    """A custodian took a dataset away, and the models with it."""

    dataset: DatasetId
    custodian: MemberId


class RunStarted(Event, tag="run.started"):
    """A training began."""

    run: RunId
    study: StudyId


class RunAttested(Event, tag="run.attested"):
    """A site said what it computed."""

    run: RunId
    site: MemberId
    model: Digest


class RunFailed(Event, tag="run.failed"):
    """A training came to nothing, for this reason."""

    run: RunId
    member: MemberId
    reason: int


class ModelRegistered(Event, tag="model.registered"):
    """A training came to a model that all its sites attest."""

    model: ModelId
    run: RunId
    status: ModelStatus
    supersedes: ModelId | msgspec.UnsetType = msgspec.UNSET
