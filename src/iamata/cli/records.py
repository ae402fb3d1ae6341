"""`iamata records`: import, and read what one's own staff may read."""

import time
from pathlib import Path
from typing import Annotated

import typer

from iamata.cli.commands import make_noun, verb
from iamata.cli.options import HomeOption, MemberOption, PatientOption, PersonOption, PurposeOption
from iamata.cli.output import make_progress, note, show, spell_table
from iamata.cli.parties import read_asker, read_id, read_patient
from iamata.intake.pipeline import Problem
from iamata.intake.progress import Progress
from iamata.model.ids import AccessId
from iamata.model.instants import format_day
from iamata.model.reasons import ReasonClass
from iamata.node.home import Home, open_home
from iamata.node.importing import ImportReport, import_files
from iamata.wire.sentences import get_sentence
from iamata.workflows import reads
from iamata.workflows.records import ImportTally, anchor_records

EmergencyOption = Annotated[
    str | None,
    typer.Option("--emergency", metavar="ID", help="The emergency that you declared, for purpose BTG."),
]
LenientOption = Annotated[
    bool, typer.Option("--lenient", help="Keep records that break FHIR's structure, and count them.")
]
PROBLEMS_SHOWN_MAX: int = 50

app = make_noun("Health records, encrypted with their custodian.")


@verb(app, "import")
def import_(
    home: HomeOption,
    member: MemberOption,
    paths: Annotated[list[Path], typer.Argument(help="FHIR R4 bundles, NDJSON, folders, .tar.xz or .zip.")],
    lenient: LenientOption = False,  # noqa: FBT002  a switch
) -> None:
    """Import FHIR R4 records. The same again adds nothing; a bad entry is named, and the rest goes on."""
    begun_s = time.perf_counter()
    with open_home(home) as opened:
        report = run_import(opened, member, paths, is_lenient=lenient)
    seconds = time.perf_counter() - begun_s
    tally = report.tally
    show(
        {
            "added": tally.added,
            "unchanged": tally.unchanged,
            "already_there": report.already_there,
            "irregular": tally.irregular,
            "patients_enrolled": tally.patients_enrolled,
            "anchors": tally.anchors,
            "records_per_s": round(tally.added / seconds),
            "problems": [describe_problem(problem) for problem in report.problems],
        },
        [
            f"Records added: {tally.added:,}, {tally.added / seconds:,.0f} a second.",
            f"Records known already: {tally.unchanged:,}.",
            f"Patients enrolled: {tally.patients_enrolled:,}. Anchors on the ledger: {tally.anchors:,}.",
        ],
    )
    if tally.irregular:
        note(
            f"Kept although they break FHIR's structure: {tally.irregular:,}. `records validate` says how."
        )
    complain_of(report.problems)


@verb(app, "list")
def list_(
    home: HomeOption,
    member: MemberOption,
    person: PersonOption,
    patient: PatientOption,
    purpose: PurposeOption = "TREAT",
    emergency: EmergencyOption = None,
) -> None:
    """List what a person of the staff may read of a patient. The patient will see that you looked."""
    with open_home(home) as opened:
        listed = reads.list_records(
            opened.get_office(member),
            person=read_asker(opened, person, member=member),
            patient=read_patient(opened, patient, member=member),
            purpose=purpose,
            emergency=read_emergency(emergency),
        )
    rows = [
        {
            "record": one.facts.record,
            "version": one.version,
            "labels": list(one.facts.labels),
            "from": format_day(one.facts.days[0]) if one.facts.days else "",
        }
        for one in listed
    ]
    table = [
        (one.facts.record, str(one.version), " ".join(one.facts.labels), str(row["from"]))
        for one, row in zip(listed, rows, strict=True)
    ]
    show(
        {"records": rows, "may_be_incomplete": True},
        spell_table(("record", "version", "labels", "from"), table),
    )
    note(f"{len(rows)} records; this view may be incomplete.")


@verb(app, "read")
def read(
    home: HomeOption,
    member: MemberOption,
    person: PersonOption,
    patient: PatientOption,
    records: Annotated[list[str], typer.Argument(help="Records by type and id, such as Observation/17.")],
    purpose: PurposeOption = "TREAT",
    emergency: EmergencyOption = None,
) -> None:
    """Show records to a person of the staff. The patient will see that you looked."""
    with open_home(home) as opened:
        opened_records = reads.read_records(
            opened.get_office(member),
            records,
            person=read_asker(opened, person, member=member),
            patient=read_patient(opened, patient, member=member),
            purpose=purpose,
            emergency=read_emergency(emergency),
        )
    bodies = [one.body.decode("utf-8") for one in opened_records]
    show({"records": bodies}, bodies)


@verb(app, "anchor")
def anchor(home: HomeOption, member: MemberOption) -> None:
    """Put records and journal entries that no anchor covers yet under a Merkle root on the ledger."""
    with open_home(home) as opened:
        office = opened.get_office(member)
        records, journal = len(anchor_records(office)), len(reads.anchor_reads(office))
    show(
        {"record_anchors": records, "read_anchors": journal},
        [f"New anchors on the ledger: {records} of records, {journal} of the journal of reads."],
    )


def read_emergency(text: str | None) -> AccessId | None:
    """Read an emergency's id, where one is given."""
    return None if text is None else read_id(text, AccessId)


def run_import(home: Home, member: str, paths: list[Path], *, is_lenient: bool) -> ImportReport:
    """Import with a progress display: rate and time left."""
    counted, begun_s = Progress(), time.perf_counter()
    with make_progress() as progress:
        task = progress.add_task("importing", total=None, rate="")

        def tell(tally: ImportTally) -> None:
            done = tally.added + tally.unchanged
            rate = f"{done:,} records, {done / (time.perf_counter() - begun_s):,.0f}/s"
            progress.update(task, total=counted.bytes_total, completed=counted.bytes_read, rate=rate)

        return import_files(
            home.get_office(member), paths, progress=counted, tell=tell, is_lenient=is_lenient
        )


def complain_of(problems: list[Problem], what: str = "Not imported") -> None:
    """Name what was not read, and end with the exit code for bad input."""
    for problem in problems[:PROBLEMS_SHOWN_MAX]:
        note(f"{what}: {spell_problem(problem)}")
    if len(problems) > PROBLEMS_SHOWN_MAX:
        note(f"… and {len(problems) - PROBLEMS_SHOWN_MAX:,} more; --json lists all.")
    if problems:
        raise typer.Exit(code=ReasonClass.INVALID.value)


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
    detail = f" ({problem.detail})" if problem.detail else ""
    return f"{place}: {get_sentence(problem.reason)}{detail}"
