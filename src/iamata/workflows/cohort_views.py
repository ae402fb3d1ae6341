"""Run a cohort's views over the records of one patient: what its rows are made of, and nothing else."""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from iamata.fhir.views.compiling import CompiledView
from iamata.fhir.views.definition import read_view
from iamata.learning.cohort_rows import ViewRows
from iamata.learning.cohorts import Cohort, check_columns
from iamata.learning.protocols import Protocol
from iamata.model.reasons import Reason, Refused, require

VIEW_ROWS_MAX: Final = 100_000
"""Rows that one view makes of one patient's records."""


def get_cohort(protocol: Protocol) -> Cohort:
    """Return how a protocol makes rows of records, or refuse one that says nothing of it."""
    if protocol.cohort is None:
        raise Refused(Reason.INPUT_INVALID, "the protocol has no cohort: give a table")
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


def run_views(views: Mapping[str, CompiledView], bodies: Mapping[str, Sequence[bytes]]) -> ViewRows:
    """Run each view over one patient's records, which are given by type."""
    return {name: _run(view, bodies[view.view.resource]) for name, view in views.items()}


def _run(view: CompiledView, bodies: Sequence[bytes]) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for columns in view.make_batches([view.read(body) for body in bodies]):
        rows += (dict(zip(view.names, cells, strict=True)) for cells in zip(*columns, strict=True))
        require(len(rows) <= VIEW_ROWS_MAX, Reason.INPUT_TOO_LARGE, "the rows of one patient")
    return rows
