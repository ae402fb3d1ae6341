"""Import files into a member's vault: intake reads and prepares, the office seals and anchors."""

import dataclasses
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

from iamata.fhir.describing import describe_all, require_structure
from iamata.fhir.preparing import Known, Prepared
from iamata.intake.pipeline import Problem, Unit, read_units
from iamata.intake.progress import Progress
from iamata.intake.rules import load_rules
from iamata.model.reasons import Refused
from iamata.workers.collecting import collecting_rarely
from iamata.workers.mapping import ProcessWorkers
from iamata.workflows.office import Office
from iamata.workflows.records import Importer, ImportTally


@dataclasses.dataclass(slots=True)
class ImportReport:
    """What came of an import."""

    tally: ImportTally = dataclasses.field(default_factory=ImportTally)
    already_there: int = 0
    """Entries that asked only for what was there."""
    problems: list[Problem] = dataclasses.field(default_factory=list)


def _see_nothing(_: Prepared) -> None:
    """Let records pass."""


def import_files(  # noqa: PLR0913  what, where to, how, and who is told
    office: Office,
    paths: Sequence[Path],
    *,
    progress: Progress,
    tell: Callable[[ImportTally], None],
    see: Callable[[Prepared], None] = _see_nothing,
    is_lenient: bool = False,
) -> ImportReport:
    """Import everything below some paths; each bad entry is reported, and the rest goes on.

    A lenient import counts the records whose structure is not FHIR R4's, and keeps them.
    """
    with collecting_rarely(), closing(ProcessWorkers()) as workers:
        importer, report = Importer(office, workers), ImportReport()
        describe = partial(workers.map, describe_all)
        units = read_units(
            paths,
            known=Known(importer.find_identifier, importer.is_patient_known),
            rules=load_rules(),
            progress=progress,
            describe=describe if is_lenient else require_structure(describe),
        )
        for unit in units:
            if isinstance(unit, Problem):
                report.problems.append(unit)
            else:
                _take(importer, unit, report, see)
                tell(importer.tally)
        report.tally = importer.finish()
    return report


def _take(importer: Importer, unit: Unit, report: ImportReport, see: Callable[[Prepared], None]) -> None:
    report.already_there += unit.existing
    try:
        importer.add(unit.prepared)
    except Refused as refused:
        problem = Problem(source=unit.source, index=None, reason=refused.reason, detail=refused.detail)
        report.problems.append(problem)
        return
    for prepared in unit.prepared:
        see(prepared)
