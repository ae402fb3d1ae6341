"""Gather patients' rows for a study's dataset out of a table that a site already has."""

import re
from collections.abc import Sequence
from pathlib import Path

import msgspec

from iamata.columns.reading import Cell, read_table
from iamata.consent.data_use import Conditions, Permission
from iamata.learning.protocols import Protocol, read_protocol
from iamata.model.ids import RANDOM_PATTERN, DatasetId, PatientId, StudyId
from iamata.model.reasons import Reason, Refused, require
from iamata.node.home import Home
from iamata.node.studying import fetch_protocol, read_file, share_protocol
from iamata.workflows.cohort_reads import build_from_vault
from iamata.workflows.datasets import build_dataset
from iamata.workflows.frozen_tables import Row
from iamata.workflows.office import Office

CONDITIONS_BYTES_MAX: int = 64 * 1024
REFERENCE: str = "Patient/"
UNSAID: Conditions = Conditions(permission=Permission.HEALTH_RESEARCH)
"""What may be done with data of which its custodian says nothing else: research on health."""


class Gathered(msgspec.Struct, kw_only=True):
    """The rows of a table by patient, and how many rows named nobody who is known here."""

    rows: dict[PatientId, list[Row]] = {}
    rows_read: int = 0
    unknown_patients: int = 0


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
    return build_dataset(office, study, gathered.rows, conditions), gathered


def require_table(protocol: Protocol) -> None:
    """Refuse rows of a table where reviewers approved of how rows are made of records."""
    require(protocol.cohort is None, Reason.INPUT_INVALID, "the protocol has a cohort: give no table")


def gather(office: Office, table: Path, *, patient_column: str, protocol: Protocol) -> Gathered:
    """Read the columns that a protocol names, and part their rows by patient.

    Who is not known here is counted, and left out: a stranger has agreed to nothing.
    """
    schema = protocol.schema
    names = [*(column.name for column in schema.columns), schema.outcome.name]
    require(
        patient_column not in names, Reason.TABLE_CLASHES, f"{patient_column} is one of the study's columns"
    )
    cells = read_table(table, [patient_column, *names])
    gathered, known = Gathered(), _find_patients(office, cells.pop(patient_column))
    unknown: dict[Cell, None] = {}
    for (named, patient), values in zip(known, zip(*cells.values(), strict=True), strict=True):
        gathered.rows_read += 1
        if patient is None:
            unknown[named] = None
        else:
            gathered.rows.setdefault(patient, []).append(dict(zip(cells, values, strict=True)))
    gathered.unknown_patients = len(unknown)
    return gathered


def read_conditions(path: Path | None, *, is_judged: bool) -> Conditions:
    """Read what a custodian says may be done with its data; whether people judged is no part of a file."""
    said = UNSAID
    if path is not None:
        try:
            said = msgspec.json.decode(read_file(path, bytes_max=CONDITIONS_BYTES_MAX), type=Conditions)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise Refused(Reason.INPUT_INVALID, f"{path}: {error}") from error
    require(not said.is_judged, Reason.INPUT_INVALID, f"{path}: --judged says so of one study, no file")
    return msgspec.structs.replace(said, is_judged=is_judged)


def _find_patients(office: Office, cells: Sequence[Cell]) -> list[tuple[Cell, PatientId | None]]:
    view = office.take_view()
    found: dict[Cell, PatientId | None] = {}
    for cell in dict.fromkeys(cells):
        named = [one for one in _list_names(office, cell) if office.find_own_patient(view, one) is not None]
        found[cell] = named[0] if named else None
    return [(cell, found[cell]) for cell in cells]


def _list_names(office: Office, cell: Cell) -> list[PatientId]:
    """List who may be meant: a pseudonym, a reference as records have it, or the id in one."""
    if cell is None:
        return []
    text = str(cell)
    reference = text if text.startswith(REFERENCE) else REFERENCE + text
    named = [PatientId(text)] if re.match(RANDOM_PATTERN, text) is not None else []
    return [*named, office.compute_pseudonym(reference)]
