"""`iamata records validate`: what FHIR R4 would say of files, before anybody imports them."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final

import typer

from iamata.cli.commands import verb
from iamata.cli.output import escape, make_progress, note, show
from iamata.fhir.validation.issues import write_outcome
from iamata.intake.progress import Progress
from iamata.intake.validating import Verdict, validate_files
from iamata.model.reasons import ReasonClass

ISSUES_SHOWN_MAX: Final = 50
OUTCOMES_MAX: Final = 10_000
"""So many documents that are not right are listed; further ones are counted."""


@dataclass(slots=True)
class Tally:
    """What came of a validation so far."""

    documents: int = 0
    resources: int = 0
    wrong: int = 0
    """Documents in which something is wrong."""
    verdicts: list[Verdict] = field(default_factory=list)
    """Of those."""


def add_to(app: typer.Typer) -> None:
    """Add the command to those about records."""
    verb(app, "validate")(validate)


def validate(
    paths: Annotated[list[Path], typer.Argument(help="FHIR R4 bundles, NDJSON, folders, .tar.xz or .zip.")],
) -> None:
    """Check the structure of FHIR R4 records, and change nothing. JSON holds OperationOutcomes."""
    tally = run_validation(paths)
    show(
        {
            "documents": tally.documents,
            "resources": tally.resources,
            "wrong": tally.wrong,
            "outcomes": [describe_verdict(verdict) for verdict in tally.verdicts],
        },
        [
            *spell_issues(tally.verdicts),
            f"Resources checked: {tally.resources:,}, in documents or lines: {tally.documents:,}.",
            f"Documents or lines in which something is wrong: {tally.wrong:,}.",
        ],
    )
    if tally.wrong:
        raise typer.Exit(code=ReasonClass.INVALID.value)


def run_validation(paths: list[Path]) -> Tally:
    """Validate with a progress display: rate and time left."""
    counted, begun_s, tally = Progress(), time.perf_counter(), Tally()
    with make_progress() as progress:
        task = progress.add_task("validating", total=None, rate="")
        for verdict in validate_files(paths, progress=counted):
            tally.documents += 1
            tally.resources += verdict.resources
            tally.wrong += bool(verdict.issues)
            if verdict.issues and len(tally.verdicts) < OUTCOMES_MAX:
                tally.verdicts.append(verdict)
            done = tally.resources
            rate = f"{done:,} resources, {done / (time.perf_counter() - begun_s):,.0f}/s"
            progress.update(task, total=counted.bytes_total, completed=counted.bytes_read, rate=rate)
    return tally


def describe_verdict(verdict: Verdict) -> dict[str, object]:
    """Say what is wrong with a document, for machines."""
    return {"file": verdict.source, "index": verdict.index, "outcome": write_outcome(verdict.issues)}


def spell_issues(verdicts: Iterable[Verdict]) -> Iterator[str]:
    """Say what is wrong, for people: so many issues, and that there are more."""
    spelled = (
        f"{place}: {issue.path}: {issue.text}" if issue.path else f"{place}: {issue.text}"
        for verdict in verdicts
        for place in [spell_place(verdict)]
        for issue in verdict.issues
    )
    for count, line in enumerate(spelled, start=1):
        if count > ISSUES_SHOWN_MAX:
            note("… and more; --json lists all.")
            return
        yield escape(line)


def spell_place(verdict: Verdict) -> str:
    """Say which document it is about."""
    return verdict.source if verdict.index is None else f"{verdict.source}, line {verdict.index + 1}"
