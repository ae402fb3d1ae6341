"""`iamata view`: turn records into a table, as a definition of SQL-on-FHIR says."""

import time
from pathlib import Path
from typing import Annotated

import typer

from iamata.cli.commands import make_noun, verb
from iamata.cli.options import PurposeOption
from iamata.cli.output import make_progress, note, show
from iamata.cli.parties import read_asker
from iamata.cli.records import complain_of, describe_problem
from iamata.fhir.views.compiling import CompiledView
from iamata.intake.progress import Progress
from iamata.model.reasons import Reason, Refused
from iamata.node.home import open_home
from iamata.node.tabulating import TableReport, read_definition, tabulate_files, tabulate_records
from iamata.workflows.tabulation import compile_view

HomeOption = Annotated[
    Path | None,
    typer.Option(
        "--home",
        metavar="FOLDER",
        help="The home whose vault is read, without paths.",
        envvar="IAMATA_HOME",
    ),
]

app = make_noun("Tables of records, by definitions of SQL-on-FHIR.")


@verb(app, "run")
def run(
    view: Annotated[Path, typer.Argument(help="The view's definition: a ViewDefinition, in JSON.")],
    to: Annotated[Path, typer.Option("--to", metavar="FILE", help="The table: .parquet, .csv or .ndjson.")],
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="FHIR R4 bundles, NDJSON, folders, .tar.xz or .zip; without any, the vault."),
    ] = None,
    home: HomeOption = None,
    member: Annotated[
        str | None, typer.Option("--member", metavar="ID", help="Whose vault is read, by its id.")
    ] = None,
    person: Annotated[
        str | None,
        typer.Option("--person", metavar="WHO", help="Who reads: the folder of their wallet, or their id."),
    ] = None,
    purpose: PurposeOption = "TREAT",
) -> None:
    """Turn records into one table. Of a vault, only what you may read, and each patient will see it."""
    begun_s = time.perf_counter()
    definition = read_definition(view)
    compiled = compile_view(definition)
    if paths:
        report = run_over_files(compiled, paths, to)
    else:
        report = run_over_vault(definition, to, home=home, member=member, person=person, purpose=purpose)
    show_report(compiled, report, seconds=time.perf_counter() - begun_s, is_vault=not paths)
    complain_of(report.problems, "Not read")


def show_report(view: CompiledView, report: TableReport, *, seconds: float, is_vault: bool) -> None:
    """Say what came of a run."""
    rate = round(report.resources / seconds)
    show(
        {
            "resources": report.resources,
            "rows": report.rows,
            "columns": view.names,
            "resources_per_s": rate,
            "may_be_incomplete": is_vault,
            "problems": [describe_problem(problem) for problem in report.problems],
        },
        [
            f"Rows written: {report.rows:,}.",
            f"{view.view.resource} resources read: {report.resources:,}, {rate:,} a second.",
        ],
    )
    if is_vault:
        note("This table may be incomplete.")


def run_over_files(view: CompiledView, paths: list[Path], to: Path) -> TableReport:
    """Run a view over files with a progress display."""
    counted, begun_s = Progress(), time.perf_counter()
    with make_progress() as progress:
        task = progress.add_task("reading", total=None, rate="")

        def tell(report: TableReport) -> None:
            progress.update(
                task,
                total=counted.bytes_total,
                completed=counted.bytes_read,
                rate=spell_rate(report, begun_s),
            )

        return tabulate_files(view, paths, to, progress=counted, tell=tell)


def run_over_vault(
    definition: bytes,
    to: Path,
    *,
    home: Path | None,
    member: str | None,
    person: str | None,
    purpose: str,
) -> TableReport:
    """Run a view over a vault with a progress display."""
    if home is None or member is None or person is None:
        raise Refused(Reason.INPUT_INVALID, "give paths, or a vault with --home, --member and --person")
    with open_home(home) as opened, make_progress() as progress:
        begun_s = time.perf_counter()
        task = progress.add_task("reading", total=None, rate="")
        return tabulate_records(
            definition,
            opened.get_office(member),
            to,
            person=read_asker(opened, person, member=member),
            purpose=purpose,
            tell=lambda report: progress.update(task, rate=spell_rate(report, begun_s)),
        )


def spell_rate(report: TableReport, begun_s: float) -> str:
    """Say how far a run has come."""
    rate = report.resources / (time.perf_counter() - begun_s)
    return f"{report.resources:,} resources, {rate:,.0f}/s"
