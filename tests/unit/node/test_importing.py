"""Importing: what can be read goes in, what cannot is reported by file and reason, and progress is told."""

import contextlib
import random
import sqlite3
from pathlib import Path
from typing import Final

import msgspec
import pytest

from iamata.intake.progress import Progress
from iamata.model.ids import MemberId
from iamata.model.reasons import Reason, Refused
from iamata.node.home import open_home
from iamata.node.importing import ImportReport, import_files
from iamata.node.verification import verify_home
from iamata.vault.opening import list_facts
from iamata.workflows.erasures import erase_patient

PATIENT = msgspec.json.encode({"resourceType": "Patient", "id": "p1", "birthDate": "1980-02-29"})


MEMBER: Final = MemberId("north-hospital")
MOTHER, CHILD = "Patient/mother", "Patient/child"


def write_family(folder: Path) -> Path:
    """Write a folder of one file a type: a mother, her child, and what is about the two of them."""
    folder.mkdir()
    patients = [{"resourceType": "Patient", "id": name} for name in ("mother", "child")]
    observed = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "height"},
        "subject": {"reference": CHILD},
        "performer": [{"reference": MOTHER}],
    }
    observations = [observed | {"id": f"o{number}"} for number in range(5)]
    for name, resources in (("Patient", patients), ("Observation", observations)):
        lines = [msgspec.json.encode(resource) for resource in resources]
        (folder / f"{name}.ndjson").write_bytes(b"\n".join(lines))
    return folder


def import_into(home: Path, *paths: Path, is_lenient: bool = False) -> tuple[ImportReport, int]:
    told: list[object] = []
    with open_home(home) as opened:
        office = opened.get_office("north-hospital")
        report = import_files(
            office, list(paths), progress=Progress(), tell=told.append, is_lenient=is_lenient
        )
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


def test_what_breaks_fhirs_structure_is_refused_with_its_place_or_kept_and_counted(
    home: Path, tmp_path: Path
) -> None:
    path = tmp_path / "records.ndjson"
    path.write_bytes(PATIENT + b'\n{"resourceType":"Patient","id":"p2","gender":"f","birthDate":"x"}\n')

    report, _ = import_into(home, path)

    assert (report.tally.added, report.tally.irregular) == (1, 0)
    (problem,) = report.problems
    assert (problem.index, problem.reason) == (1, Reason.RESOURCE_INVALID)
    expected = "a code of the value set administrative-gender is expected"
    assert problem.detail == f"Patient.gender: {expected} (and 1 more)"

    report, _ = import_into(home, path, is_lenient=True)

    assert (report.tally.added, report.tally.irregular, report.problems) == (1, 1, [])

    again, _ = import_into(home, path, is_lenient=True)

    assert (again.tally.added, again.tally.unchanged, again.tally.irregular) == (0, 2, 0)


def test_an_irregular_record_of_two_patients_counts_once_and_only_when_it_is_added(
    home: Path, tmp_path: Path
) -> None:
    folder = write_family(tmp_path / "family")
    path = folder / "Observation.ndjson"
    first = msgspec.json.decode(path.read_bytes().splitlines()[0])
    odd = msgspec.json.encode(first | {"id": "odd", "status": "unheard-of"})
    path.write_bytes(path.read_bytes() + b"\n" + odd)

    tallies = [import_into(home, folder, is_lenient=True)[0].tally for _ in range(2)]

    assert [(one.added, one.unchanged, one.irregular) for one in tallies] == [(8, 0, 1), (0, 8, 0)]


def test_a_line_about_a_stranger_is_reported_until_the_patient_comes(home: Path, tmp_path: Path) -> None:
    folder = write_family(tmp_path / "family")
    report, _ = import_into(home, folder / "Observation.ndjson")

    assert (report.tally.added, report.tally.patients_enrolled) == (0, 0)
    assert [(Path(one.source).name, one.index, one.reason) for one in report.problems] == [
        ("Observation.ndjson", number, Reason.PATIENT_NOT_IMPORTED) for number in range(5)
    ]

    report, _ = import_into(home, folder)
    assert (report.tally.added, report.tally.patients_enrolled, report.problems) == (7, 2, [])


def test_a_record_of_two_patients_is_verified_in_both_copies_and_after_an_erasure(
    home: Path, tmp_path: Path
) -> None:
    before = verify_home(home, tell=lambda _: None)
    import_into(home, write_family(tmp_path / "family"))
    after = verify_home(home, tell=lambda _: None)
    counts = [{one.member: one.records for one in report.members} for report in (before, after)]
    assert counts[1][MEMBER] == counts[0][MEMBER] + 2 + 2 * 5

    with open_home(home) as opened:
        office = opened.get_office(MEMBER)
        erase_patient(office, office.compute_pseudonym(MOTHER))
        assert len(list_facts(office.custody, office.compute_pseudonym(CHILD))) == 1 + 5

    erased = verify_home(home, tell=lambda _: None)
    assert {one.member: one.records for one in erased.members}[MEMBER] == counts[0][MEMBER] + 1 + 5


def test_one_changed_bit_in_either_copy_is_named(home: Path, tmp_path: Path) -> None:
    import_into(home, write_family(tmp_path / "family"))
    path = home / f"members/{MEMBER}/vault/records.db"
    query = "SELECT sequence, facts FROM record ORDER BY sequence DESC LIMIT 2"
    with contextlib.closing(sqlite3.connect(path)) as database:
        copies = database.execute(query).fetchall()
    for sequence, facts in copies:
        at = random.Random(sequence).randrange(len(facts))
        set_facts(path, sequence, facts[:at] + bytes([facts[at] ^ 1]) + facts[at + 1 :])
        with pytest.raises(Refused, match=f"record row {sequence}"):
            verify_home(home, tell=lambda _: None)
        set_facts(path, sequence, facts)


def set_facts(path: Path, sequence: int, facts: bytes) -> None:
    """Change a row behind the vault's back."""
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE record SET facts = ? WHERE sequence = ?", (facts, sequence))
