"""What the ledger's state holds: one frozen struct for each kind of entry, none about a person's health.

Every list has a limit; every entry is canonical JSON in the authenticated map.
"""

import enum
from typing import Annotated, Final, dataclass_transform

import msgspec

from iamata.model.canonical import INTEGER_MAX
from iamata.model.ids import (
    Commitment,
    ConsentId,
    DatasetId,
    Digest,
    KeyId,
    MemberId,
    ModelId,
    PatientId,
    PersonId,
    RunId,
    SealingKey,
    StudyId,
)
from iamata.model.instants import Day, Instant

Quantity = Annotated[int, msgspec.Meta(ge=0, le=INTEGER_MAX)]
"""What a transaction can name; the rules then say what it may."""

KEYS_MAX: Final = 8
RESTRICTIONS_MAX: Final = 32
CONSENTS_MAX: Final = 64
"""Consents of one patient that may be in force at a time."""


@dataclass_transform(kw_only_default=True, frozen_default=True)
class Entry(
    msgspec.Struct, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """A value of the authenticated map."""


class MemberKind(enum.StrEnum):
    """What an organisation is to the network; only `regulator` changes what it may do."""

    HOSPITAL = "hospital"
    INSURER = "insurer"
    LABORATORY = "laboratory"
    PHARMACY = "pharmacy"
    REGULATOR = "regulator"
    RESEARCH = "research"


class MemberStatus(enum.StrEnum):
    """Where a member stands; only an active one may act."""

    APPLIED = "applied"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    LEFT = "left"


class Member(Entry):
    """An organisation, admitted by the others."""

    name: str
    kind: MemberKind
    status: MemberStatus
    signing_key: KeyId
    sealing_key: SealingKey


class Invitation(Entry):
    """A place offered to one organisation, taken by whoever holds the invitation's key."""

    member: MemberId
    name: str
    kind: MemberKind
    inviter: MemberId
    until_day: Day
    is_used: bool = False


class Role(enum.StrEnum):
    """What a person may do for a member."""

    ADMINISTRATOR = "administrator"
    AUDITOR = "auditor"
    CLINICIAN = "clinician"
    EMERGENCY = "emergency"
    """May break the glass."""
    REGISTRAR = "registrar"
    RESEARCHER = "researcher"
    REVIEWER = "reviewer"


class Person(Entry):
    """Staff of a member."""

    member: MemberId
    keys: tuple[KeyId, ...]
    roles: tuple[Role, ...]
    sign_in: Commitment
    is_active: bool = True
    is_privilege_suspended: bool = False
    emergencies: tuple[str, ...] = ()
    """Emergencies that still await their review."""


class Patient(Entry):
    """A patient at one custodian, known by a pseudonym."""

    custodian: MemberId
    keys: tuple[KeyId, ...]
    is_custodial: bool = False
    """The custodian holds the key; see DESIGN 5."""
    confirm_until_day: Day | None = None
    """After a take-over: custodial consents lapse when this day is over."""
    consents: tuple[ConsentId, ...] = ()
    """Those that may still be in force. A custodian that lacks the opening of one denies everything."""
    has_decided: bool = False
    """A consent was once recorded: from then on no implicit policy speaks for the patient."""
    is_erased: bool = False


class OwnerKind(enum.StrEnum):
    """Whose key it is."""

    INVITATION = "invitation"
    MEMBER = "member"
    PATIENT = "patient"
    PERSON = "person"
    VALIDATOR = "validator"
    """A member's consensus key: it signs votes on blocks, and no transaction."""


class KeyOwner(Entry):
    """Whom a key speaks for. A key is registered once and never again, for nobody else."""

    kind: OwnerKind
    owner: str
    is_retired: bool = False


class ConsentStatus(enum.StrEnum):
    """Where a consent stands; the last two are final."""

    ACTIVE = "active"
    REPLACED = "replaced"
    WITHDRAWN = "withdrawn"


class Restriction(Entry):
    """Terms that narrow a consent. Without their opening a custodian denies everything."""

    terms: Commitment
    is_by_custodian: bool = False


class Consent(Entry):
    """A patient's signed terms, of which the ledger knows the commitment and the last day."""

    patient: PatientId
    custodian: MemberId
    terms: Commitment
    until_day: Day
    status: ConsentStatus = ConsentStatus.ACTIVE
    restrictions: tuple[Restriction, ...] = ()
    is_custodial: bool = False
    is_confirmed: bool = False
    replaces: ConsentId | None = None


class RecordAnchor(Entry):
    """A Merkle root over commitments to records, or to reads, of one custodian."""

    custodian: MemberId
    root: Digest
    count: int


class Access(Entry):
    """A disclosure: that it happened and on what basis, not to whom, why or what."""

    custodian: MemberId
    patient: PatientId
    basis: str
    commitment: Commitment
    is_late: bool = False
    """The ledger gave no finality when the records left; it was told afterwards."""


class ReviewOutcome(enum.StrEnum):
    """What the custodian's reviewer found."""

    JUSTIFIED = "justified"
    UNJUSTIFIED = "unjustified"


class Emergency(Entry):
    """A broken glass: who broke it, for whom, until when, and what the review said."""

    person: PersonId
    member: MemberId
    custodian: MemberId
    patient: PatientId
    commitment: Commitment
    until_ms: Instant
    review_until_ms: Instant
    outcome: ReviewOutcome | None = None
    declared_ms: Instant | None = None
    """When a late one was declared, by its person's clock; None of one that was declared on the ledger."""


class Erasure(Entry):
    """That a custodian destroyed a patient's records, and the commitment to its statement of what."""

    custodian: MemberId
    statement: Commitment
    count: int


class ImplicitPolicy(enum.StrEnum):
    """What holds where a patient has no consent on file (IHE PCF; standards 1.1)."""

    BASIC_NORMAL = "basic-normal"
    ALL_NORMAL = "all-normal"
    BREAK_GLASS_ONLY = "break-glass-only"
    DENY = "deny"


class Parameters(Entry):
    """What the members can change by vote."""

    quorum_numerator: Quantity
    quorum_denominator: Quantity
    policy: ImplicitPolicy
    emergency_ms_max: Quantity
    emergencies_open_max: Quantity
    review_ms_max: Quantity
    confirm_days: Quantity
    proposal_days_max: Quantity
    invitation_days_max: Quantity


class Tally(Entry):
    """A proposal with the votes so far, one a member."""

    action: msgspec.Raw
    opener: MemberId
    until_day: Day
    approvals: tuple[MemberId, ...]
    rejections: tuple[MemberId, ...] = ()
    is_closed: bool = False


class Upgrade(Entry):
    """Which rules hold from a block on."""

    height: int
    version: int


class Schedule(Entry):
    """The upgrades that the members agreed on, in the order of their heights."""

    upgrades: tuple[Upgrade, ...]


class Validator(Entry):
    """A member's part in ordering blocks together: a consensus key, and the weight of its vote."""

    member: MemberId
    key: KeyId
    power: int


class Validators(Entry):
    """Who orders blocks, one a member, in the members' order; none where one signer orders them."""

    active: tuple[Validator, ...]


class Roll(Entry):
    """The active members, in alphabetical order: the electorate."""

    active: tuple[MemberId, ...]


class EhdsPurpose(enum.StrEnum):
    """For what health data may be used a second time (EHDS, Regulation (EU) 2025/327, article 53(1))."""

    PUBLIC_HEALTH = "public-health"
    POLICY = "policy"
    STATISTICS = "statistics"
    EDUCATION = "education"
    RESEARCH = "research"
    CARE = "care"


class StudyStatus(enum.StrEnum):
    """Where a study stands. Granted, it has a permit until its last day."""

    UNDER_REVIEW = "under-review"
    GRANTED = "granted"
    REFUSED = "refused"
    REVOKED = "revoked"


class Study(Entry):
    """What a member wants to learn, for what, at which sites, and what the reviewers said."""

    owner: MemberId
    researcher: PersonId
    protocol: Digest
    """SHA-256 of the study's document: question, columns, estimator, in its one spelling."""
    code: Digest
    """Which code the sites run: what the reviewers have read."""
    uses: tuple[str, ...]
    """GA4GH DUO codes: the permission that the purpose needs, and its modifiers."""
    purpose: EhdsPurpose
    sites: tuple[MemberId, ...]
    """Custodians that are asked, in alphabetical order."""
    budget_micro: int
    """The ε that its runs may spend together, in millionths; 0 where its sums are exact."""
    until_day: Day
    """The permit's last day."""
    review_until_ms: Instant
    status: StudyStatus = StudyStatus.UNDER_REVIEW
    approvals: tuple[MemberId, ...] = ()
    rejections: tuple[MemberId, ...] = ()
    spent_micro: int = 0
    datasets: tuple[DatasetId, ...] = ()
    """The active ones, at most one a site: between two, somebody's absence could be seen."""


class DatasetStatus(enum.StrEnum):
    """Where a dataset stands; from the last on there is no way back."""

    ACTIVE = "active"
    REPLACED = "replaced"
    """Another is in its place: what learned from it is stale."""
    RETIRED = "retired"
    """It is gone, or what came in its place is: so is what learned from it."""


class Dataset(Entry):
    """That a custodian built a study's table from consents at one height: who is in it, nobody can read."""

    study: StudyId
    custodian: MemberId
    members: Digest
    """Root of the map of its leaves; a patient can prove to be in it or not (`learning.membership`)."""
    leaves: int
    """Leaves with the dummies among them: a band of sizes, not the number of patients."""
    consents: Commitment
    """To the list of consents that permit it, for whoever is shown the opening."""
    height: int
    """The block after which those consents were asked."""
    confirm_until_ms: Instant
    """Until when its custodian has to say again that it stands; then it is overdue, for all to see."""
    status: DatasetStatus = DatasetStatus.ACTIVE
    replaces: DatasetId | None = None
    models: tuple[ModelId, ...] = ()
    """Models that learned from it and are in use."""


class RunStatus(enum.StrEnum):
    """Where a training run stands."""

    RUNNING = "running"
    FAILED = "failed"
    FINISHED = "finished"


class Attestation(Entry):
    """A site's word on what it computed: the same at every site, or there is no model."""

    site: MemberId
    model: Digest
    transcript: Digest


class Run(Entry):
    """One training, authorised by a permit and by the datasets that it reads."""

    study: StudyId
    researcher: PersonId
    datasets: tuple[DatasetId, ...]
    spends_micro: int
    until_ms: Instant
    status: RunStatus = RunStatus.RUNNING
    attestations: tuple[Attestation, ...] = ()


class ModelStatus(enum.StrEnum):
    """Where a model stands."""

    CURRENT = "current"
    STALE = "stale"
    """Patients left a dataset that it learned from: it is to be trained again."""
    RETIRED = "retired"
    """A dataset that it learned from is gone: it is not to be used."""
    SUPERSEDED = "superseded"


class Model(Entry):
    """What came of a run: the hash of the model's file and of its card."""

    study: StudyId
    run: RunId
    content: Digest
    card: Digest
    status: ModelStatus = ModelStatus.CURRENT
    supersedes: ModelId | None = None


class Spending(Entry):
    """What a custodian's patients have given of their privacy, a sum for each day of the last year."""

    days: tuple[tuple[Day, int], ...]
