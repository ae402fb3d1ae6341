"""Importing: what can be read goes in, what cannot is reported by file and reason, and progress is told."""

from pathlib import Path

import msgspec

from iamata.intake.progress import Progress
from iamata.model.reasons import Reason
from iamata.node.home import open_home
from iamata.node.importing import ImportReport, import_files

PATIENT = msgspec.json.encode({"resourceType": "Patient", "id": "p1", "birthDate": "1980-02-29"})


def import_into(home: Path, *paths: Path) -> tuple[ImportReport, int]:
    told: list[object] = []
    with open_home(home) as opened:
        office = opened.get_office("north-hospital")
        report = import_files(office, list(paths), progress=Progress(), tell=told.append)
    return report, len(told)


def test_a_bad_line_is_reported_and_the_rest_goes_in(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "records.ndjson"
    path.write_bytes(PATIENT + b"\n{broken\n")

    report, told = import_into(home, path)

    assert report.tally.added == 1
    assert [(one.source.endswith("records.ndjson"), one.index) for one in report.problems] == [(True, 1)]
    assert isinstance(report.problems[0].reason, Reason)
    assert told > 0


def test_the_same_file_again_adds_nothing(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "records.ndjson"
    path.write_bytes(PATIENT + b"\n")
    import_into(home, path)

    report, _ = import_into(home, path)

    assert (report.tally.added, report.problems) == (0, [])
