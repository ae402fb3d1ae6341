"""`iamata records`: import, and read what one's own staff may read."""

import time
from pathlib import Path
from typing import Annotated

import typer

from iamata.cli.commands import make_noun, verb
from iamata.cli.options import HomeOption, MemberOption, PatientOption, PersonOption, PurposeOption
from iamata.cli.output import make_progress, say, show, show_table
from iamata.intake.pipeline import Problem
from iamata.intake.progress import Progress
from iamata.model.ids import PatientId, PersonId
from iamata.model.instants import format_day
from iamata.node.home import Home, open_home
from iamata.node.importing import ImportReport, import_files
from iamata.workflows import reads
from iamata.workflows.records import ImportTally

PROBLEMS_SHOWN_MAX: int = 50

app = make_noun("Health records, encrypted with their custodian.")


@verb(app, "import")
def import_(
    home: HomeOption,
    member: MemberOption,
    paths: Annotated[list[Path], typer.Argument(help="FHIR R4 bundles, NDJSON, folders, .tar.xz or .zip.")],
) -> None:
    """Import FHIR R4 records; the same file again adds nothing, a bad entry is named and the rest goes on."""
    begun_s = time.perf_counter()
    with open_home(home) as opened:
        report = run_import(opened, member, paths)
    seconds = time.perf_counter() - begun_s
    tally = report.tally
    show(
        {
            "added": tally.added,
            "unchanged": tally.unchanged,
            "already_there": report.already_there,
            "patients_enrolled": tally.patients_enrolled,
            "anchors": tally.anchors,
            "records_per_s": round(tally.added / seconds),
            "problems": [describe_problem(problem) for problem in report.problems],
        },
        [
            f"Added {tally.added:,} records ({tally.added / seconds:,.0f} a second), {tally.unchanged:,} were there.",
            f"Enrolled {tally.patients_enrolled:,} patients; {tally.anchors} anchors are on the ledger.",
        ],
    )
    for problem in report.problems[:PROBLEMS_SHOWN_MAX]:
        say("  " + spell_problem(problem))
    if len(report.problems) > PROBLEMS_SHOWN_MAX:
        say(f"  … and {len(report.problems) - PROBLEMS_SHOWN_MAX:,} more; --json lists all.")
    if report.problems:
        raise typer.Exit(code=2)


@verb(app, "list")
def list_(
    home: HomeOption, member: MemberOption, person: PersonOption, patient: PatientOption, purpose: PurposeOption = "TREAT"
) -> None:
    """List what a person of the staff may read of a patient. The patient will see that you looked."""
    with open_home(home) as opened:
        office = opened.get_office(member)
        listed = reads.list_records(office, person=PersonId(person), patient=PatientId(patient), purpose=purpose)
    rows = [
        {
            "record": one.facts.record,
            "version": one.version,
            "labels": list(one.facts.labels),
            "from": format_day(one.facts.days[0]) if one.facts.days else "",
        }
        for one in listed
    ]
    show({"records": rows, "may_be_incomplete": True})
    show_table(
        "Records; this view may be incomplete",
        ("record", "version", "labels", "from"),
        [(one.facts.record, str(one.version), " ".join(one.facts.labels), str(row["from"])) for one, row in zip(listed, rows, strict=True)],
    )


@verb(app, "read")
def read(  # noqa: PLR0913  who, whose, what, what for
    home: HomeOption,
    member: MemberOption,
    person: PersonOption,
    patient: PatientOption,
    records: Annotated[list[str], typer.Argument(help="Records by type and id, such as Observation/17.")],
    purpose: PurposeOption = "TREAT",
) -> None:
    """Show records to a person of the staff. The patient will see that you looked."""
    with open_home(home) as opened:
        office = opened.get_office(member)
        opened_records = reads.read_records(
            office, records, person=PersonId(person), patient=PatientId(patient), purpose=purpose
        )
    bodies = [one.body.decode("utf-8") for one in opened_records]
    show({"records": bodies}, bodies)


@verb(app, "anchor")
def anchor(home: HomeOption, member: MemberOption) -> None:
    """Put what is not anchored yet, records and journal, under a Merkle root on the ledger."""
    with open_home(home) as opened:
        count = len(reads.anchor_reads(opened.get_office(member)))
    show({"anchors": count}, [f"{count} new anchors of the journal are on the ledger."])


def run_import(home: Home, member: str, paths: list[Path]) -> ImportReport:
    """Import with a progress display: rate and time left."""
    counted, begun_s = Progress(), time.perf_counter()
    with make_progress() as progress:
        task = progress.add_task("importing", total=None, rate="")

        def tell(tally: ImportTally) -> None:
            done = tally.added + tally.unchanged
            rate = f"{done:,} records, {done / (time.perf_counter() - begun_s):,.0f}/s"
            progress.update(task, total=counted.bytes_total, completed=counted.bytes_read, rate=rate)

        return import_files(home.get_office(member), paths, progress=counted, tell=tell)


def describe_problem(problem: Problem) -> dict[str, object]:
    """Say what was not read, for machines."""
    return {
        "file": problem.source,
        "index": problem.index,
        "reason": problem.reason.name,
        "detail": problem.detail,
    }


def spell_problem(problem: Problem) -> str:
    """Say what was not read, for people."""
    place = problem.source if problem.index is None else f"{problem.source}, entry {problem.index}"
    detail = f": {problem.detail}" if problem.detail else ""
    return f"{place}: {problem.reason.name}{detail}"
