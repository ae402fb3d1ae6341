"""Run a cohort's views over the records of one patient: what its rows are made of, and nothing else.

Of a type that a view reads, and without a label that the protocol does not name: other records are not
even decided about. Which of them are opened is the permits' to say.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from iamata.consent.permits import Permit
from iamata.fhir.views.compiling import CompiledView
from iamata.fhir.views.definition import read_view
from iamata.learning.cohort_rows import ViewRows
from iamata.learning.cohorts import Cohort, check_columns
from iamata.learning.protocols import Protocol
from iamata.model.ids import PatientId
from iamata.model.reasons import Reason, Refused, require
from iamata.vault.bulk_opening import FoundRow, find_rows, open_rows, take_out
from iamata.vault.custody import Custody

VIEW_ROWS_MAX: Final = 100_000
"""Rows that one view makes of one patient's records."""


def get_cohort(protocol: Protocol) -> Cohort:
    """Return how a protocol makes rows of records, or refuse one that says nothing of it."""
    if protocol.cohort is None:
        raise Refused(Reason.INPUT_INVALID, "the protocol has no cohort, so rows come from a file")
    return protocol.cohort


def compile_views(protocol: Protocol) -> dict[str, CompiledView]:
    """Compile a cohort's views by name, or refuse what they cannot do, and types outside the classes."""
    cohort = get_cohort(protocol)
    views = {
        name: CompiledView(read_view(msgspec.json.encode(definition)))
        for name, definition in cohort.views.items()
    }
    for name, view in views.items():
        is_named = view.view.resource in protocol.classes
        require(is_named, Reason.SCHEMA_INVALID, f"{view.view.resource} of {name} is none of the classes")
    check_columns(cohort, {name: view.names for name, view in views.items()})
    return views


def find_records(
    custody: Custody, patient: PatientId, views: Mapping[str, CompiledView], labels: Sequence[str]
) -> list[FoundRow]:
    """Find a patient's records that views are about, to be decided about; none is opened."""
    types = dict.fromkeys(one.view.resource for one in views.values())
    found = [one for name in types for one in find_rows(custody, patient, name)]
    return [one for one in found if set(one.listed.facts.labels) <= set(labels)]


def run_views(
    custody: Custody,
    views: Mapping[str, CompiledView],
    permits: Sequence[Permit],
    found: Sequence[FoundRow],
) -> ViewRows:
    """Open what permits cover of one patient's records, and run each view over it; journal before."""
    bodies: dict[str, list[bytes]] = {}
    for permit in permits:
        for resource_type, covered in _group(permit, found).items():
            bodies.setdefault(resource_type, []).extend(open_rows(take_out(custody, permit, covered)))
    return {name: _run(view, bodies.get(view.view.resource, ())) for name, view in views.items()}


def _group(permit: Permit, found: Sequence[FoundRow]) -> dict[str, list[FoundRow]]:
    """Part by type the records that a permit covers."""
    groups: dict[str, list[FoundRow]] = {}
    for one in found:
        facts, others = one.listed.facts, one.listed.others
        if permit.covers(facts.record, patient=permit.patient, others=others):
            groups.setdefault(facts.resource_type, []).append(one)
    return groups


def _run(view: CompiledView, bodies: Sequence[bytes]) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for columns in view.make_batches([view.read(body) for body in bodies]):
        rows += (dict(zip(view.names, cells, strict=True)) for cells in zip(*columns, strict=True))
        require(len(rows) <= VIEW_ROWS_MAX, Reason.INPUT_TOO_LARGE, "the rows of one patient")
    return rows
