"""Run a view over files or over a member's vault, into one table."""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path

from iamata.columns.arrow import Values
from iamata.columns.files import TableWriter, open_table
from iamata.fhir.exact import Exact
from iamata.fhir.views.compiling import CompiledView
from iamata.fhir.views.definition import VIEW_BYTES_MAX
from iamata.fhir.views.naming import name_resource
from iamata.intake.limits import Limits
from iamata.intake.pipeline import Problem
from iamata.intake.progress import Progress
from iamata.intake.reading import read_resources
from iamata.model.ids import PersonId
from iamata.model.reasons import Reason, Refused, require
from iamata.workers.collecting import collecting_rarely
from iamata.workers.mapping import ProcessWorkers
from iamata.workflows.bulk_reads import BulkReading, read_many
from iamata.workflows.office import Office
from iamata.workflows.tabulation import ask_for_columns, compile_view, read_columns, tabulate_rows


@dataclasses.dataclass(slots=True)
class TableReport:
    """What came of running a view."""

    resources: int = 0
    """Of the view's type."""
    rows: int = 0
    problems: list[Problem] = dataclasses.field(default_factory=list)


Tell = Callable[[TableReport], None]


def read_definition(path: Path) -> bytes:
    """Read the file of a view's definition."""
    try:
        with path.open("rb") as file:
            return file.read(VIEW_BYTES_MAX + 1)
    except (FileNotFoundError, IsADirectoryError) as error:
        raise Refused(Reason.FILE_NOT_FOUND, str(path)) from error
    except OSError as error:
        raise Refused(Reason.INPUT_INVALID, f"{path}: {error.strerror}") from error


def tabulate_files(
    view: CompiledView, paths: Sequence[Path], target: Path, *, progress: Progress, tell: Tell
) -> TableReport:
    """Run a view over all that is below some paths; what cannot be read is reported, the rest goes on."""
    report = TableReport()
    for path in paths:  # one letter too few, and an empty table would take the place of the wanted one
        require(path.exists(), Reason.FILE_NOT_FOUND, str(path))
    with collecting_rarely(), open_table(target, view.columns) as table:
        chunks = read_resources(
            paths, view.view.resource, limits=Limits(), progress=progress, read=view.read
        )
        for chunk in chunks:
            if isinstance(chunk, Problem):
                report.problems.append(chunk)
            else:
                for columns in view.make_batches(chunk):
                    _add(table, columns, view, chunk)
                report.resources += len(chunk)
                report.rows = table.rows
                tell(report)
    return report


def _add(table: TableWriter, values: Values, view: CompiledView, nodes: Iterable[Exact]) -> None:
    """Add columns made of some resources, or refuse the first with a value that its column cannot hold."""

    def check(node: Exact) -> None:
        for columns in view.make_batches([node]):
            table.check(columns)

    try:
        table.add(values)
    except Refused as refused:
        raise name_resource(refused, nodes, check) from refused


def tabulate_records(  # noqa: PLR0913  what, whose, who, what for, where to
    definition: bytes, office: Office, target: Path, *, person: PersonId, purpose: str, tell: Tell
) -> TableReport:
    """Run a view over a vault: of each patient, just what the person may read for the purpose."""
    report, view = TableReport(), compile_view(definition)
    wanted = BulkReading(person=person, purpose=purpose, resource_type=view.view.resource)
    with (
        collecting_rarely(),
        open_table(target, view.columns) as table,
        closing(ProcessWorkers()) as workers,
    ):
        questions = ask_for_columns(definition, read_many(office, wanted))
        for asked, answers in workers.map(tabulate_rows, questions):
            for answer in answers:
                for columns in read_columns(answer):
                    _add(table, columns, view, (view.read(body) for body in asked.open()))
            report.resources += asked.count()
            report.rows = table.rows
            tell(report)
        # Nothing permitted and nothing there look the same, and leave no table.
        require(report.resources > 0, Reason.NOT_FOUND)
    return report
