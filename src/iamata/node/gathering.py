"""Gather patients' rows for a study's dataset out of a table that a site already has."""

import re
from collections.abc import Sequence
from pathlib import Path

import msgspec

from iamata.columns.reading import Cell, ReadTable, read_table
from iamata.consent.data_use import Conditions, Permission
from iamata.learning.protocols import Protocol, read_protocol
from iamata.learning.schemas import Schema
from iamata.learning.tables import parse_table, spell_word
from iamata.ledger.tables import DATASETS
from iamata.model.canonical import check_distinct
from iamata.model.ids import RANDOM_PATTERN, DatasetId, PatientId, StudyId
from iamata.model.reasons import Reason, Refused, require
from iamata.node.home import Home
from iamata.node.places import RemotePlace
from iamata.node.studying import fetch_protocol, read_file, share_protocol
from iamata.workflows.cohort_reads import build_from_vault
from iamata.workflows.datasets import build_dataset
from iamata.workflows.frozen_tables import Row, get_roll
from iamata.workflows.hiding import PATIENTS_MIN
from iamata.workflows.office import Office

CONDITIONS_BYTES_MAX: int = 64 * 1024
REFERENCE: str = "Patient/"
TENS: int = PATIENTS_MIN
"""In which steps those who did not agree are counted, so that a count is never about one of them."""
UNSAID: Conditions = Conditions(permission=Permission.HEALTH_RESEARCH)
"""What may be done with data of which its custodian says nothing else: research on health."""


class Gathered(msgspec.Struct, kw_only=True):
    """The rows of a table by patient, and how much of it was left out, for its custodian alone."""

    rows: dict[PatientId, list[Row]] = {}
    rows_read: int = 0
    unknown_patients: int = 0
    """Names in the patient column by which nobody is known here."""
    unknown_rows: int = 0
    unagreed_patients: int = 0
    """Patients who are known, and of whom no consent covers the study: rounded down to tens."""

    def spell_unknown(self) -> str:
        """Say how many names are nobody's, of how many."""
        names = len(self.rows) + self.unknown_patients
        return f"{self.unknown_patients:,} of {names:,} patient ids are unknown here"

    def count_unagreed(self, agreed: int) -> None:
        """Keep how many did not agree, where so many did."""
        self.unagreed_patients = (len(self.rows) - agreed) // TENS * TENS

    def spell_unagreed(self) -> str:
        """Say of how many patients no consent covers the study, so that nobody stands out."""
        return f"{self.unagreed_patients:,} or more" if self.unagreed_patients else f"fewer than {TENS}"


def build_from(  # noqa: PLR0913  what a dataset is built from
    home: Home,
    study: StudyId,
    *,
    member: str,
    table: Path | None,
    patient_column: str | None,
    conditions: Conditions = UNSAID,
    protocol: bytes | None = None,
) -> tuple[DatasetId, Gathered | None]:
    """Build a site's dataset out of a table if there is one, and of the vault otherwise.

    The protocol comes along, or is found in this home.
    """
    document = fetch_protocol(home, study) if protocol is None else protocol
    if table is None and patient_column is None:
        return build_from_records(
            home, study, member=member, conditions=conditions, protocol=document
        ), None
    if table is None or patient_column is None:
        raise Refused(Reason.INPUT_INVALID, "give --table and --patient-column, or neither")
    return build_from_table(
        home,
        study,
        member=member,
        table=table,
        patient_column=patient_column,
        conditions=conditions,
        protocol=document,
    )


def build_at_node(place: RemotePlace, study: StudyId, conditions: Conditions) -> DatasetId:
    """Have a node build a dataset out of its vault, and wait for it however long that takes.

    Whoever goes away and asks again waits for the same one. A node that was killed has to be asked again.
    """
    dataset = place.staff.begin_dataset(study, conditions)
    try:
        while not place.staff.is_built(dataset):
            """Each question waits a while."""
    except Refused as refused:
        if refused.reason is not Reason.UNKNOWN_DATASET:
            raise
        is_posted = DATASETS.find(place.engine.snapshot(), dataset) is not None
        require(is_posted, Reason.UNKNOWN_DATASET, "the node was started anew: ask again")
    return dataset


def build_from_records(
    home: Home,
    study: StudyId,
    *,
    member: str,
    conditions: Conditions,
    protocol: bytes,
) -> DatasetId:
    """Build a site's dataset out of its vault, as the cohort in the protocol says."""
    share_protocol(home, study, protocol)
    return build_from_vault(home.get_office(member), study, conditions)


def build_from_table(  # noqa: PLR0913  what a dataset is built from
    home: Home,
    study: StudyId,
    *,
    member: str,
    table: Path,
    patient_column: str,
    conditions: Conditions,
    protocol: bytes,
) -> tuple[DatasetId, Gathered]:
    """Build a site's dataset out of a table file."""
    share_protocol(home, study, protocol)
    office = home.get_office(member)
    require_table(read_protocol(protocol))
    gathered = gather(office, table, patient_column=patient_column, protocol=read_protocol(protocol))
    return build_gathered(office, study, gathered, conditions), gathered


def build_gathered(
    office: Office, study: StudyId, gathered: Gathered, conditions: Conditions = UNSAID
) -> DatasetId:
    """Build a site's dataset out of gathered rows; where they are too few, say how many nobody knows.

    How many did not agree is told of a dataset that stands, of which there is one, and not of a refused
    one: refused again without a row, it would tell of that row's patient.
    """
    try:
        dataset = build_dataset(office, study, gathered.rows, conditions)
    except Refused as refused:
        if refused.reason is not Reason.TOO_FEW_PATIENTS:
            raise
        raise Refused(refused.reason, f"{refused.detail}; {gathered.spell_unknown()}") from refused
    gathered.count_unagreed(len(get_roll(office.custody, dataset).participants))
    return dataset


def require_table(protocol: Protocol) -> None:
    """Refuse rows of a table where reviewers approved of how rows are made of records."""
    require(protocol.cohort is None, Reason.INPUT_INVALID, "the protocol has a cohort: give no table")


def gather(office: Office, table: Path, *, patient_column: str, protocol: Protocol) -> Gathered:
    """Read the columns that a protocol names, and part their rows by patient.

    Who is not known here is counted, and left out: a stranger has agreed to nothing. Whether the others'
    rows fit is looked at before anybody's consent is, so that a refusal does not tell who agreed.
    """
    schema = protocol.schema
    names = [*(column.name for column in schema.columns), schema.outcome.name]
    require(
        patient_column not in names, Reason.TABLE_CLASHES, f"{patient_column} is one of the study's columns"
    )
    read = read_table(table, [patient_column, *names])
    cells = {name: read.cells[name] for name in names}
    patients = _find_patients(office, read.cells[patient_column])
    known = [(row, patient) for row, patient in enumerate(patients) if patient is not None]
    _require_fit(schema, read, known)
    gathered = Gathered(rows_read=len(patients), unknown_rows=len(patients) - len(known))
    for row, patient in known:
        gathered.rows.setdefault(patient, []).append({name: cells[name][row] for name in names})
    strangers = zip(read.cells[patient_column], patients, strict=True)
    gathered.unknown_patients = len({named: None for named, patient in strangers if patient is None})
    return gathered


def read_conditions(path: Path | None, *, is_judged: bool) -> Conditions:
    """Read what a custodian says may be done with its data; whether people judged is no part of a file."""
    said = UNSAID
    if path is not None:
        try:
            raw = read_file(path, bytes_max=CONDITIONS_BYTES_MAX)
            said = msgspec.json.decode(raw, type=Conditions)
            check_distinct(raw)
        except Refused:
            raise
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise Refused(Reason.INPUT_INVALID, f"{path}: {error}") from error
    require(not said.is_judged, Reason.INPUT_INVALID, f"{path}: --judged says so of one study, no file")
    return msgspec.structs.replace(said, is_judged=is_judged)


def _require_fit(schema: Schema, read: ReadTable, known: Sequence[tuple[int, PatientId]]) -> None:
    """Refuse rows that are not what the schema says, by column and by where they stand in the file."""
    rows = [row for row, _ in known]
    columns = {name: [cells[row] for row in rows] for name, cells in read.cells.items()}
    patients = [patient for _, patient in known]
    parse_table(
        schema, columns, patients, tell_rows=lambda wrong: read.tell_rows([rows[one] for one in wrong])
    )


def _find_patients(office: Office, cells: Sequence[Cell]) -> list[PatientId | None]:
    view = office.take_view()
    found: dict[Cell, PatientId | None] = {}
    for cell in dict.fromkeys(cells):
        named = [one for one in _list_names(office, cell) if office.find_own_patient(view, one) is not None]
        found[cell] = named[0] if named else None
    return [found[cell] for cell in cells]


def _list_names(office: Office, cell: Cell) -> list[PatientId]:
    """List who may be meant: a pseudonym, a reference as records have it, or the id in one."""
    if cell is None:
        return []
    text = spell_word(cell)
    reference = text if text.startswith(REFERENCE) else REFERENCE + text
    named = [PatientId(text)] if re.match(RANDOM_PATTERN, text) is not None else []
    return [*named, office.compute_pseudonym(reference)]
