"""A custodian makes a study's rows out of its vault: of each patient who takes part, of what is permitted.

Each record is decided about, and only what the one consent under which the patient takes part permits is
looked at, in records without a label that the protocol does not name. The journal has it, durably, before
a record is opened. A row is made of one patient's records at a time, and nothing else is kept of them.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Final, NamedTuple

import msgspec

from iamata.consent.data_use import Conditions
from iamata.consent.decide import decide
from iamata.consent.permits import Permit
from iamata.fhir.views.compiling import CompiledView
from iamata.learning.cohort_rows import make_row
from iamata.learning.protocols import Protocol
from iamata.ledger.entries import Study
from iamata.model.ids import DatasetId, PatientId, StudyId
from iamata.model.instants import compute_day
from iamata.ports import NO_PATIENT, LedgerView
from iamata.vault.bulk_opening import FoundRow
from iamata.vault.journal import JournalEntry, append_entries
from iamata.vault.policies import read_policy, read_shared_policies
from iamata.workflows.cohort_views import compile_views, find_records, get_cohort, run_views
from iamata.workflows.datasets import (
    Agreed,
    build_dataset,
    decide_taking_part,
    get_buildable,
)
from iamata.workflows.deciding import list_living, write_read
from iamata.workflows.frozen_tables import Row
from iamata.workflows.messages import ReadDetails
from iamata.workflows.office import Office
from iamata.workflows.study_purposes import find_request, require_code

PATIENTS_TOGETHER: Final = 64
"""Patients who are decided about on one view of the ledger, and journalled in one durable step."""


class Cohorted(msgspec.Struct, frozen=True, kw_only=True):
    """The row of each patient in a cohort, and the consent under which it was read."""

    rows: dict[PatientId, list[Row]] = {}
    consents: dict[PatientId, Agreed] = {}


class Asked(NamedTuple):
    """What a study asks of each patient."""

    study: Study
    protocol: Protocol
    views: Mapping[str, CompiledView]
    reasons: tuple[str, ...]
    """For which study and dataset, as a patient reads it beside the records: KIND/ID."""


class Permitted(msgspec.Struct, frozen=True):
    """What one patient permits, under one consent."""

    permit: Permit
    agreed: Agreed
    found: list[FoundRow]


def build_from_vault(
    office: Office, study_id: StudyId, conditions: Conditions, *, dataset: DatasetId | None = None
) -> DatasetId:
    """Build a site's dataset for a study out of its vault, as the cohort in the protocol says."""
    dataset = dataset or DatasetId(office.author.make_id())
    gathered = gather_cohort(office, study_id, conditions, dataset=dataset)
    return build_dataset(
        office, study_id, gathered.rows, conditions, read_under=gathered.consents, dataset=dataset
    )


def gather_cohort(
    office: Office, study_id: StudyId, conditions: Conditions, *, dataset: DatasetId
) -> Cohorted:
    """Make the row of each patient who takes part and is in the cohort, to be put into a dataset.

    What could not become a dataset anyway is refused before anything is opened.
    """
    _, study, protocol = get_buildable(office, study_id, conditions)
    reasons = (f"study/{study_id}", f"dataset/{dataset}")
    asked, gathered = Asked(study, protocol, compile_views(protocol), reasons), Cohorted()
    cohort = get_cohort(protocol)
    patients = _list_patients(office)
    while some := list(islice(patients, PATIENTS_TOGETHER)):
        for one in _permit(office, asked, some):
            rows = run_views(office.custody, asked.views, [one.permit], one.found)
            row = make_row(cohort, protocol.schema, rows)
            if row is not None:
                gathered.rows[one.permit.patient] = [row]
                gathered.consents[one.permit.patient] = one.agreed
    return gathered


def _list_patients(office: Office) -> Iterator[PatientId]:
    patients = sorted(patient for patient, _ in office.custody.keys.store.read_all())
    return (PatientId(patient) for patient in patients if patient != NO_PATIENT)


def _permit(office: Office, asked: Asked, patients: Sequence[PatientId]) -> list[Permitted]:
    """Decide about some patients, and make the journal durable for all of them."""
    view = office.take_view()
    decided = [_decide(office, view, asked, patient) for patient in patients]
    permitted = [one for one in decided if one is not None]
    append_entries(
        office.custody,
        [entry for one in permitted for entry in _write_entries(office, view, asked, one)],
    )
    return permitted


def _decide(office: Office, view: LedgerView, asked: Asked, patient: PatientId) -> Permitted | None:
    """Decide about one patient's records; look none up before a consent to the whole study says yes."""
    owner = office.find_own_patient(view, patient)
    if owner is None:
        return None
    at_ms = office.tell_time(view)
    day = compute_day(at_ms)
    policy = read_policy(view, office.custody, patient, owner, day=day)
    agreed = decide_taking_part(policy, asked.study, asked.protocol, at_ms=at_ms)
    request = find_request(asked.study)
    if agreed is None or request is None:
        return None
    found = find_records(office.custody, patient, asked.views, asked.protocol.labels)
    listed = [one.listed for one in found]
    shared = read_shared_policies(view, office.custody, listed, day=day)
    decision = decide(policy, request, [one.facts for one in listed], at_ms=at_ms, shared=shared)
    permits = [one for one in decision.permits if one.consent == agreed.consent]
    if not permits:
        return None
    (permit,) = permits
    return Permitted(permit, agreed, found)


def _write_entries(
    office: Office, view: LedgerView, asked: Asked, permitted: Permitted
) -> Iterator[JournalEntry]:
    permit, study = permitted.permit, asked.study
    for one in (permit, *list_living(office, view, permit.others)):
        details = ReadDetails(
            person=study.researcher,
            purpose=require_code(study.purpose),
            basis=f"consent/{one.consent}" if one.consent is not None else f"policy/{one.policy}",
            records=(*one.records, *asked.reasons),
            recipient=study.owner,
        )
        yield write_read(office, view, one.patient, details)
