"""A clinician applies a model to a patient: an access like any other, decided, journalled, then answered.

What a model says is no diagnosis. The patient sees that it was asked, by whom and on what basis. Its inputs
are made of the patient's records as the study's cohort says, or come with the question as a row.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import partial
from typing import Final

import msgspec

from iamata.consent.permits import Permit
from iamata.consent.purposes import TREATMENT
from iamata.learning.cohort_rows import choose_last_index, make_features
from iamata.learning.cohorts import Cohort
from iamata.learning.estimators.model_files import Model as ModelFile
from iamata.learning.estimators.model_files import decode_model, identify_model
from iamata.learning.estimators.predictions import Prediction
from iamata.learning.protocols import Protocol, name_document, read_protocol
from iamata.learning.tables import Cell, parse_table
from iamata.ledger.entries import Model, ModelStatus
from iamata.model.ids import Commitment, Digest, MemberId, ModelId, PatientId, PersonId
from iamata.model.instants import compute_day
from iamata.model.reasons import Reason, require
from iamata.ports import LedgerView
from iamata.vault.bulk_opening import FoundRow
from iamata.vault.journal import append_entries
from iamata.vault.opening import ListedRecord
from iamata.workflows.cohort_views import compile_views, find_records, get_cohort, run_views
from iamata.workflows.datasets import list_asked
from iamata.workflows.deciding import (
    Reading,
    decide_read,
    describe_read,
    is_narrowed,
    list_living,
    write_read,
)
from iamata.workflows.documents import fetch_document
from iamata.workflows.lineages import get_model, get_study, is_answer
from iamata.workflows.office import Office

IN_USE: Final = (ModelStatus.CURRENT, ModelStatus.STALE)
RECORDS_MAX: Final = 10_000
"""Records of which one row is made."""
EPOCH: Final = date(1970, 1, 1).toordinal()


class Application(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks which model about whom."""

    person: PersonId
    patient: PatientId
    model: ModelId


class Studied(msgspec.Struct, frozen=True, kw_only=True):
    """A model with the protocol that it was learned by."""

    file: bytes
    protocol: Protocol


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """What a row was made of."""

    records: int
    """So many were permitted, and read."""
    index_day: date
    """Nothing is in the row that came after it."""
    outcome_days: tuple[date, date]
    """The first and the last day on which the outcome counts."""
    is_past: bool
    """Whether the last one is over."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a model says of a patient, and what it was told of them."""

    outcome: str
    """What is predicted, by its name in the protocol."""
    prediction: Prediction
    inputs: dict[str, Cell]
    """By column; None where nothing is known."""
    origin: Origin | None = None
    """None where the row came with the question."""


def fetch_model(office: Office, model: ModelId, show: Callable[[MemberId, Digest], bytes]) -> Studied:
    """Return a model that is in use with its protocol, as kept here or as the study's owner shows them."""
    view = office.take_view()
    entry = get_model(view, model)
    require(not is_answer(model, entry.run), Reason.UNKNOWN_MODEL, "it is the answer to a question")
    require_in_use(entry)
    study = get_study(view, entry.study)
    file, protocol = (
        fetch_document(office.custody, digest, partial(show, study.owner))
        for digest in (entry.content, study.protocol)
    )
    return Studied(file=file, protocol=read_protocol(protocol))


def ask_model(
    office: Office, wanted: Application, studied: Studied, row: Mapping[str, Cell] | None
) -> Answer:
    """Ask a model about a row where one is given, and about the patient's records otherwise."""
    if row is None:
        return apply_to_records(office, wanted, studied)
    return apply_model(office, wanted, studied, row)


def apply_model(office: Office, wanted: Application, studied: Studied, row: Mapping[str, Cell]) -> Answer:
    """Say what a model makes of a row that came along, if the patient permits what such rows are made of.

    Whoever may not know of the patient gets the answer that an unknown one gets.
    """
    view = office.take_view()
    model, reading = _take_model(view, wanted, studied), _describe(wanted)
    permits = _decide_classes(office, view, reading, studied.protocol)
    prediction = _predict(model, row)
    _journal_use(office, view, reading, permits, wanted.model)
    inputs = {one.name: row[one.name] for one in model.schema.columns}
    return Answer(outcome=model.schema.outcome.name, prediction=prediction, inputs=inputs)


def apply_to_records(office: Office, wanted: Application, studied: Studied) -> Answer:
    """Say what a model makes of a patient's records, of those that the person may read to treat them.

    The row is made as the study's cohort says, on the day of the last index event. Where nothing may be
    read the answer is that of an unknown patient (NOT_FOUND). Some records may be permitted and others not,
    so a row may be incomplete. Refuse whom training would have left out (NOT_IN_COHORT), and a row without
    a value that the study wants (VALUE_MISSING): by then the journal has that the records were read.
    """
    view = office.take_view()
    model, reading, protocol = _take_model(view, wanted, studied), _describe(wanted), studied.protocol
    views, cohort = compile_views(protocol), get_cohort(protocol)
    found: list[FoundRow] = []

    def find() -> list[ListedRecord]:
        found.extend(find_records(office.custody, wanted.patient, views, protocol.labels))
        require(len(found) <= RECORDS_MAX, Reason.INPUT_TOO_LARGE, f"more than {RECORDS_MAX:,} records")
        return [one.listed for one in found]

    _, permits = decide_read(office, view, reading, find)
    require(bool(permits), Reason.NOT_FOUND)
    _journal_use(office, view, reading, permits, wanted.model, are_records_read=True)
    rows = run_views(office.custody, views, permits, found)
    today = EPOCH + compute_day(office.tell_time(view))
    index = choose_last_index(cohort, rows, until=today)
    inputs = make_features(cohort, rows, index)
    records = sum(len(permit.records) for permit in permits)
    return Answer(
        outcome=model.schema.outcome.name,
        prediction=_predict(model, inputs),
        inputs=inputs,
        origin=_describe_origin(cohort, index, today=today, records=records),
    )


def require_in_use(entry: Model) -> None:
    """Refuse a model that is retired, or in whose place a newer one stands."""
    require(entry.status in IN_USE, Reason.MODEL_NOT_IN_USE, f"it is {entry.status}")


def _take_model(view: LedgerView, wanted: Application, studied: Studied) -> ModelFile:
    """Read a model's file, or refuse one that is not what the ledger says, or no longer in use."""
    entry = get_model(view, wanted.model)
    require_in_use(entry)
    require(name_document(studied.file) == entry.content, Reason.MODEL_CHANGED)
    return decode_model(studied.file, identify_model(studied.file))


def _describe(wanted: Application) -> Reading:
    return Reading(person=wanted.person, patient=wanted.patient, purpose=TREATMENT)


def _describe_origin(cohort: Cohort, index: int, *, today: int, records: int) -> Origin:
    first, end = (index + days for days in cohort.outcome.days)
    return Origin(
        records=records,
        index_day=date.fromordinal(index),
        outcome_days=(date.fromordinal(first), date.fromordinal(end - 1)),
        is_past=end <= today,
    )


def _decide_classes(
    office: Office, view: LedgerView, reading: Reading, protocol: Protocol
) -> Sequence[Permit]:
    """Decide about each class of record that a row is made of; a part of them is not enough.

    Out of which records the row came nobody can tell, so no single one may be denied either.
    """
    asked = [
        # A row is made outside the vault, so no anchored record stands behind what is decided about.
        ListedRecord(facts=facts, version=0, patient=reading.patient, commitment=Commitment(""))
        for facts in list_asked(protocol, reading.patient)
    ]
    _, permits = decide_read(office, view, reading, lambda: asked)
    covered = sum(len(permit.records) for permit in permits)
    facts = [one.facts for one in asked]
    is_whole = covered == len(asked) and not is_narrowed(office, view, reading, facts)
    require(is_whole, Reason.NOT_FOUND)
    return permits


def _predict(model: ModelFile, row: Mapping[str, Cell]) -> Prediction:
    """Let a model explain one row; the outcome, which nobody knows yet, is put where a table wants one."""
    schema = model.schema
    missing = [column.name for column in schema.columns if column.name not in row]
    require(not missing, Reason.TABLE_CLASHES, f"no column {', '.join(missing)}")
    columns: dict[str, Sequence[Cell]] = {column.name: [row[column.name]] for column in schema.columns}
    columns[schema.outcome.name] = [schema.outcome.lowest]
    (prediction,) = model.explain(parse_table(schema, columns, [""]))
    return prediction


def _journal_use(  # noqa: PLR0913  who asked what of whom, on which grounds
    office: Office,
    view: LedgerView,
    reading: Reading,
    permits: Sequence[Permit],
    model: ModelId,
    *,
    are_records_read: bool = False,
) -> None:
    """Make durable that a model is asked, and which records are read for it if any are."""
    entries = []
    for permit in permits:
        records = (*permit.records, f"model/{model}") if are_records_read else (f"model/{model}",)
        entries.append(write_read(office, view, permit.patient, describe_read(reading, permit, records)))
        if are_records_read:  # some are others' too, who see that they were read
            entries += [
                write_read(office, view, other.patient, describe_read(reading, other, other.records))
                for other in list_living(office, view, permit.others)
            ]
    append_entries(office.custody, entries)
