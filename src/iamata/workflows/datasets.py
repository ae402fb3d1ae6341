"""A custodian builds a study's dataset: of patients whose consent covers it, and of nobody else.

Who stays out is told to nobody. What is on the ledger are a root, a band of sizes and a commitment.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from iamata.consent.data_use import Conditions, check_uses, require_use
from iamata.consent.decide import decide, list_narrowing
from iamata.consent.policy import Policy
from iamata.consent.requests import RecordFacts
from iamata.consent.terms import Rule
from iamata.crypto.commitments import SALT_BYTES
from iamata.learning.membership import compute_leaf, derive_member_key, digest_denial, spell_members
from iamata.learning.protocols import Protocol
from iamata.ledger.entries import DatasetStatus, Study, StudyStatus
from iamata.ledger.tables import DATASETS
from iamata.ledger.transactions.datasets import PostDataset
from iamata.model.canonical import encode_struct
from iamata.model.ids import ConsentId, DatasetId, PatientId, StudyId
from iamata.model.instants import Instant, compute_day
from iamata.model.reasons import Reason, Refused, require
from iamata.ports import LedgerView
from iamata.vault.custody import Custody
from iamata.vault.journal import append_entries
from iamata.vault.openings import find_opening
from iamata.vault.policies import read_policy
from iamata.workflows import lineages
from iamata.workflows.deciding import write_read
from iamata.workflows.documents import get_protocol
from iamata.workflows.frozen_tables import (
    Participant,
    PatientRows,
    Roll,
    freeze,
    make_table,
)
from iamata.workflows.hiding import Hiding
from iamata.workflows.messages import ReadDetails
from iamata.workflows.office import Office
from iamata.workflows.study_purposes import find_request, require_code


class Agreed(NamedTuple):
    """By which consent a patient takes part in a study, and what it does not give."""

    consent: ConsentId
    narrowing: tuple[Rule, ...]
    """Denials that take single records out of the kinds that the study asks for."""


def build_dataset(  # noqa: PLR0913  what a dataset is made from
    office: Office,
    study_id: StudyId,
    rows: PatientRows,
    conditions: Conditions,
    *,
    read_under: Mapping[PatientId, Agreed] | None = None,
    dataset: DatasetId | None = None,
) -> DatasetId:
    """Build a site's first dataset for a study out of the rows of its patients, and post it.

    Where rows were read under consents, whoever consents otherwise by now is left out. `dataset` is its
    id where patients have been told one already.
    """
    view, study, protocol = get_buildable(office, study_id, conditions)
    found = {one: find_agreed(office, view, one, study, protocol) for one in sorted(rows)}
    participants = [
        make_participant(office, study_id, patient, agreed)
        for patient, agreed in found.items()
        if agreed is not None and (read_under is None or read_under[patient] == agreed)
    ]
    return post(
        office,
        view,
        study_id,
        rows,
        participants,
        conditions=conditions,
        replaces=None,
        dataset=dataset,
    )


def get_buildable(
    office: Office, study_id: StudyId, conditions: Conditions
) -> tuple[LedgerView, Study, Protocol]:
    """Return a study for which this site may build a dataset, and where the ledger stands; or refuse.

    By the ledger's own rules, before anything is read, frozen, or told in a patient's journal.
    """
    view = office.take_view()
    study, protocol = get_study(office, view, study_id)
    require(is_permitted(office, view, study), Reason.PERMIT_NOT_ACTIVE)
    require(find_dataset(view, office, study) is None, Reason.DATASET_NOT_ACTIVE, "there is one already")
    require_code(study.purpose)
    check_uses(study.uses, protocol.purpose, until_day=study.until_day)
    # Reviewers granted the permit without knowing these conditions: people of the custodian's decide.
    require_use(conditions, protocol.purpose, day=compute_day(office.tell_time(view)))
    return view, study, protocol


def post(  # noqa: PLR0913  what a dataset is made from
    office: Office,
    view: LedgerView,
    study_id: StudyId,
    rows: PatientRows,
    participants: Sequence[Participant],
    *,
    conditions: Conditions | None,
    replaces: DatasetId | None,
    dataset: DatasetId | None = None,
) -> DatasetId:
    """Freeze the rows of those who take part, with the conditions, and tell the journal and the ledger."""
    study, protocol = get_study(office, view, study_id)
    hiding = Hiding.look_up(office, view, protocol)
    rows = {one.patient: rows[one.patient] for one in participants}
    hiding.require_hidden(rows)
    make_table(rows, protocol.schema)
    roll = Roll(
        study=study_id,
        secret=office.custody.entropy(SALT_BYTES),
        participants=tuple(participants),
        has_holdout=hiding.is_holdout_hidden(rows),
        conditions=conditions,
    )
    members, leaves = roll.build_members()
    dataset = dataset or DatasetId(office.author.make_id())
    commitment = freeze(office.custody, dataset, roll, rows)
    journal_use(office, view, study, participants, record=f"dataset/{dataset}")
    office.author.submit(
        PostDataset,
        dataset=dataset,
        study=study_id,
        members=spell_members(members),
        leaves=leaves,
        consents=commitment,
        height=view.height,
        replaces=msgspec.UNSET if replaces is None else replaces,
    )
    return dataset


def get_study(office: Office, view: LedgerView, study_id: StudyId) -> tuple[Study, Protocol]:
    """Return a study of which this member is a site, with its protocol, or refuse."""
    study = lineages.get_study(view, study_id)
    require(office.member in study.sites, Reason.NOT_A_SITE)
    return study, get_protocol(office.custody, study)


def is_permitted(office: Office, view: LedgerView, study: Study) -> bool:
    """Tell whether a study's permit holds now."""
    today = compute_day(office.tell_time(view))
    return study.status is StudyStatus.GRANTED and today <= study.until_day


def find_agreed(
    office: Office, view: LedgerView, patient_id: PatientId, study: Study, protocol: Protocol
) -> Agreed | None:
    """Return the one consent by which a patient takes part in a study now, None without such a consent.

    A policy that permits where nobody was asked is not enough, nor are several consents to parts of it.
    """
    patient = office.find_own_patient(view, patient_id)
    if patient is None:
        return None
    at_ms = office.tell_time(view)
    policy = read_policy(view, office.custody, patient_id, patient, day=compute_day(at_ms))
    return decide_taking_part(policy, study, protocol, at_ms=at_ms)


def decide_taking_part(
    policy: Policy, study: Study, protocol: Protocol, *, at_ms: Instant
) -> Agreed | None:
    """Return the one consent that permits all that a study asks of a patient, None without such a one.

    Out of which records a row of a table came nobody can tell, so for a table nothing may be left out.
    """
    request = find_request(study)
    if request is None:
        return None
    asked = list_asked(protocol, policy.patient)
    decision = decide(policy, request, asked, at_ms=at_ms)
    if decision.refusals or len(decision.permits) != 1:
        return None
    consent = decision.permits[0].consent
    narrowing = list_narrowing(policy, request, asked, at_ms=at_ms)
    is_by_record = protocol.cohort is not None
    if consent is None or (narrowing and not is_by_record):
        return None
    return Agreed(consent, narrowing)


def list_erased(office: Office, view: LedgerView, roll: Roll) -> list[PatientId]:
    """List who of a dataset was erased since, and whose rows with them."""
    return [one.patient for one in roll.participants if office.find_own_patient(view, one.patient) is None]


def make_participant(office: Office, study: StudyId, patient: PatientId, agreed: Agreed) -> Participant:
    """Describe a patient who takes part as the roll keeps them, or refuse where the terms are not held."""
    return Participant(
        patient=patient,
        consent=agreed.consent,
        leaf=compute_leaf(_derive_key(office.custody, agreed), study),
        narrowing=_digest_narrowing(office.custody, agreed),
    )


def is_as_before(custody: Custody, agreed: Agreed, one: Participant) -> bool:
    """Tell whether a participant agrees by the same consent, and denies no more records than before."""
    is_same = agreed.consent == one.consent
    return is_same and set(_digest_narrowing(custody, agreed)) <= set(one.narrowing)


def _digest_narrowing(custody: Custody, agreed: Agreed) -> tuple[bytes, ...]:
    key = _derive_key(custody, agreed)
    return tuple(sorted(digest_denial(key, encode_struct(rule)) for rule in agreed.narrowing))


def _derive_key(custody: Custody, agreed: Agreed) -> bytes:
    opening = find_opening(custody, agreed.consent)
    if opening is None:
        raise Refused(Reason.TERMS_NOT_HELD)
    return derive_member_key(opening.salt)


def list_asked(protocol: Protocol, patient: PatientId) -> list[RecordFacts]:
    """List what a protocol asks of a patient, as a decision sees it: each class, with its labels."""
    return [
        RecordFacts(record=f"{one}/{patient}", resource_type=one, labels=protocol.labels)
        for one in protocol.classes
    ]


def find_dataset(view: LedgerView, office: Office, study: Study) -> DatasetId | None:
    """Return this site's active dataset in a study, None where it has none."""
    for dataset_id in study.datasets:
        dataset = DATASETS.find(view, dataset_id)
        if dataset is not None and dataset.custodian == office.member:
            return dataset_id if dataset.status is DatasetStatus.ACTIVE else None
    return None


def is_standing(office: Office, dataset_id: DatasetId) -> bool:
    """Tell whether a dataset is active on the ledger."""
    dataset = DATASETS.find(office.take_view(), dataset_id)
    return dataset is not None and dataset.status is DatasetStatus.ACTIVE


def journal_use(
    office: Office, view: LedgerView, study: Study, participants: Sequence[Participant], *, record: str
) -> None:
    """Make durable, for each patient to see, that a study uses their rows: in a dataset, in a run."""
    entries = [
        write_read(
            office,
            view,
            one.patient,
            ReadDetails(
                person=study.researcher,
                purpose=require_code(study.purpose),
                basis=f"consent/{one.consent}",
                records=(record,),
                recipient=study.owner,
            ),
        )
        for one in participants
        if office.find_own_patient(view, one.patient) is not None
    ]
    append_entries(office.custody, entries)
