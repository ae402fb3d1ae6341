"""Run a view over files or over a member's vault, into one table."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

from iamata.columns.files import open_table
from iamata.fhir.exact import read_exact
from iamata.fhir.views.compiling import CompiledView
from iamata.fhir.views.definition import VIEW_BYTES_MAX, read_view
from iamata.intake.limits import Limits
from iamata.intake.pipeline import Problem
from iamata.intake.progress import Progress
from iamata.intake.reading import read_resources
from iamata.model.ids import PersonId
from iamata.model.reasons import Reason, Refused, require
from iamata.workflows.bulk_reads import BulkReading, read_many
from iamata.workflows.office import Office


@dataclasses.dataclass(slots=True)
class TableReport:
    """What came of running a view."""

    resources: int = 0
    """Of the view's type."""
    rows: int = 0
    problems: list[Problem] = dataclasses.field(default_factory=list)


Tell = Callable[[TableReport], None]


def load_view(path: Path) -> CompiledView:
    """Read a view's definition from a file, and compile it."""
    try:
        with path.open("rb") as file:
            raw = file.read(VIEW_BYTES_MAX + 1)
    except (FileNotFoundError, IsADirectoryError) as error:
        raise Refused(Reason.FILE_NOT_FOUND, str(path)) from error
    except OSError as error:
        raise Refused(Reason.CANNOT_OPEN, str(path)) from error
    return CompiledView(read_view(raw))


def tabulate_files(
    view: CompiledView, paths: Sequence[Path], target: Path, *, progress: Progress, tell: Tell
) -> TableReport:
    """Run a view over all that is below some paths; what cannot be read is reported, the rest goes on."""
    report = TableReport()
    with open_table(target, view.columns) as table:
        chunks = read_resources(paths, view.view.resource, limits=Limits(), progress=progress)
        for chunk in chunks:
            if isinstance(chunk, Problem):
                report.problems.append(chunk)
            else:
                table.add(view.make_columns(chunk))
                report.resources += len(chunk)
                report.rows = table.rows
                tell(report)
    return report


def tabulate_records(  # noqa: PLR0913  what, whose, who, what for, where to
    view: CompiledView, office: Office, target: Path, *, person: PersonId, purpose: str, tell: Tell
) -> TableReport:
    """Run a view over a vault: of each patient, just what the person may read for the purpose."""
    report = TableReport()
    wanted = BulkReading(person=person, purpose=purpose, resource_type=view.view.resource)
    with open_table(target, view.columns) as table:
        for records in read_many(office, wanted):
            table.add(view.make_columns([read_exact(record.body) for record in records]))
            report.resources += len(records)
            report.rows = table.rows
            tell(report)
        # Nothing permitted and nothing there look the same, and leave no table.
        require(report.resources > 0, Reason.NOT_FOUND)
    return report
