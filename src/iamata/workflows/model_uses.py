"""A clinician applies a model to a patient: an access like any other, decided, journalled, then answered.

What a model says is no diagnosis. The patient sees that it was asked, by whom and on what basis.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from iamata.consent.permits import Permit
from iamata.consent.purposes import TREATMENT
from iamata.learning.estimators.model_files import Model as ModelFile
from iamata.learning.estimators.model_files import decode_model, identify_model
from iamata.learning.estimators.predictions import Prediction
from iamata.learning.protocols import Protocol, name_document
from iamata.learning.schemas import Outcome
from iamata.learning.tables import Cell, parse_table
from iamata.ledger.entries import Model, ModelStatus
from iamata.model.ids import Commitment, ModelId, PatientId, PersonId
from iamata.model.reasons import Reason, require
from iamata.ports import LedgerView
from iamata.vault.journal import append_entries
from iamata.vault.opening import ListedRecord
from iamata.workflows.datasets import list_asked
from iamata.workflows.deciding import Reading, decide_read, describe_read, write_read
from iamata.workflows.lineages import get_model
from iamata.workflows.office import Office

IN_USE: Final = (ModelStatus.CURRENT, ModelStatus.STALE)


class Application(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks a model about whom."""

    person: PersonId
    patient: PatientId
    model: ModelId


def apply_model(
    office: Office, wanted: Application, row: Mapping[str, Cell], *, file: bytes, protocol: Protocol
) -> Prediction:
    """Say what a model makes of a patient's row, if the patient permits what such rows are made of.

    Whoever may not know of the patient gets the answer that an unknown one gets.
    """
    view = office.take_view()
    entry = get_model(view, wanted.model)
    require_in_use(entry)
    require(name_document(file) == entry.content, Reason.MODEL_CHANGED)
    model = decode_model(file, identify_model(file))
    reading = Reading(person=wanted.person, patient=wanted.patient, purpose=TREATMENT)
    permits = _decide(office, view, reading, protocol)
    prediction = _predict(model, row)
    _journal_use(office, view, reading, permits, wanted.model)
    return prediction


def require_in_use(entry: Model) -> None:
    """Refuse a model that is retired, or in whose place a newer one stands."""
    require(entry.status in IN_USE, Reason.MODEL_NOT_IN_USE, f"it is {entry.status}")


def _decide(office: Office, view: LedgerView, reading: Reading, protocol: Protocol) -> Sequence[Permit]:
    """Decide about each class of record that a row is made of; a part of them is not enough."""
    asked = [
        # A row is made outside the vault, so no anchored record stands behind what is decided about.
        ListedRecord(facts=facts, version=0, patient=reading.patient, commitment=Commitment(""))
        for facts in list_asked(protocol, reading.patient)
    ]
    _, permits = decide_read(office, view, reading, lambda: asked)
    covered = sum(len(permit.records) for permit in permits)
    require(covered == len(asked), Reason.NOT_FOUND)
    return permits


def _predict(model: ModelFile, row: Mapping[str, Cell]) -> Prediction:
    """Let a model explain one row; the outcome, which nobody knows yet, is put where a table wants one."""
    schema = model.schema
    missing = [column.name for column in schema.columns if column.name not in row]
    require(not missing, Reason.TABLE_CLASHES, f"no column {', '.join(missing)}")
    columns: dict[str, Sequence[Cell]] = {column.name: [row[column.name]] for column in schema.columns}
    columns[schema.outcome.name] = [_choose_outcome(schema.outcome)]
    (prediction,) = model.explain(parse_table(schema, columns, [""]))
    return prediction


def _choose_outcome(outcome: Outcome) -> float:
    return outcome.low if outcome.kind == "number" else 0.0


def _journal_use(
    office: Office, view: LedgerView, reading: Reading, permits: Sequence[Permit], model: ModelId
) -> None:
    record = (f"model/{model}",)
    append_entries(
        office.custody,
        [
            write_read(office, view, permit.patient, describe_read(reading, permit, record))
            for permit in permits
        ],
    )
