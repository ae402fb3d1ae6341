"""Files, lines and archives are checked as they would be imported, and each verdict names its place."""

import json
import tarfile
from pathlib import Path
from typing import Final

from iamata.fhir.validation.issues import IssueType
from iamata.intake.limits import Limits
from iamata.intake.validating import DOCUMENT_ISSUES_MAX, Verdict, validate_files

RIGHT: Final = {"resourceType": "Patient", "gender": "female"}
WRONG: Final = {"resourceType": "Patient", "gender": "f"}


def judge(path: Path, *, limits: Limits | None = None) -> list[tuple[str, int | None, list[str]]]:
    """List the verdicts on what lies below a path."""
    return [
        (verdict.source.rpartition("/")[2], verdict.index, [one.path for one in verdict.issues])
        for verdict in validate_files([path], limits=limits)
    ]


def test_documents_lines_and_members_are_judged_one_by_one(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(WRONG))
    (tmp_path / "b.ndjson").write_text("\n".join(map(json.dumps, [RIGHT, WRONG])) + "\n\nnonsense\n")
    with tarfile.open(tmp_path / "c.tar", "w") as archive:
        archive.add(tmp_path / "a.json", "d/e.json")

    assert judge(tmp_path) == [
        ("a.json", None, ["Patient.gender"]),
        ("b.ndjson", 0, []),
        ("b.ndjson", 1, ["Patient.gender"]),
        ("b.ndjson", 3, [""]),
        ("e.json", None, ["Patient.gender"]),
    ]


def test_what_cannot_be_opened_is_told_and_the_rest_goes_on(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(b"no archive")
    (tmp_path / "b.json").write_text(json.dumps(RIGHT))
    verdicts = list(validate_files([tmp_path / "none.json", tmp_path]))

    assert [(one.resources, [issue.type for issue in one.issues]) for one in verdicts] == [
        (0, [IssueType.NOT_FOUND]),
        (0, [IssueType.INVALID]),
        (1, []),
    ]


def test_documents_and_lines_beyond_the_limits_are_told(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(RIGHT))
    (tmp_path / "b.ndjson").write_text(json.dumps(RIGHT))
    limits = Limits(document_bytes_max=10, line_bytes_max=10)

    assert judge(tmp_path, limits=limits) == [("a.json", None, [""]), ("b.ndjson", 0, [""])]


def test_of_a_bundle_that_is_all_wrong_enough_is_told(tmp_path: Path) -> None:
    entries = [{"resource": WRONG}] * (DOCUMENT_ISSUES_MAX + 5)
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    (tmp_path / "a.json").write_text(json.dumps(bundle))

    [verdict] = validate_files([tmp_path])

    assert isinstance(verdict, Verdict)
    assert verdict.resources == DOCUMENT_ISSUES_MAX + 6
    assert len(verdict.issues) == DOCUMENT_ISSUES_MAX + 1
    assert (verdict.issues[-1].type, verdict.issues[-1].path) == (IssueType.INCOMPLETE, "Bundle")
