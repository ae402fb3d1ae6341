"""Every example runs as it is written."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from examples.diabetes import describe_past, look_back


def test_heart_is_learned_from_four_hospitals(root: Path, shared_data: Path) -> None:
    said = run_example(root / "examples" / "heart.py", shared_data / "heart-disease")

    assert "of 4 hospitals" in said
    assert min(read_areas(said)) > 0.85


@pytest.mark.slow
def test_heart_is_learned_between_nodes_as_from_all_rows_in_one_place(
    root: Path, shared_data: Path
) -> None:
    first_port = 20_000 + os.getpid() % 2_000 * 5  # below those that a system hands out by itself

    said = run_example("-m", "examples.heart_nodes", shared_data / "heart-disease", first_port, cwd=root)

    (gap,) = re.findall(r"no coefficient differs by more than (\S+)\.\n", said)
    assert float(gap) < 1e-6
    assert min(read_areas(said)) > 0.75
    assert said.count(" is done\n") == said.count("$ iamata dataset build") == 4
    assert re.search(r"Verified: \d+ proven, \d+ opened, \d+ attested", said)


def test_readmissions_are_learned_from_eight_sites(root: Path, shared_data: Path) -> None:
    file = shared_data / "diabetes-130" / "diabetic_data.csv.xz"

    said = run_example(root / "examples" / "diabetes.py", file)

    regression, trees = read_areas(said)
    assert "at 8 sites" in said
    assert regression > 0.66
    assert trees > regression
    assert "  past_" in said


def test_a_stay_looks_back_on_earlier_stays_of_its_patient_alone() -> None:
    rows = [
        {"patient_nbr": patient, "time_in_hospital": days, "readmitted": "<30"}
        | {"admission_type_id": "1", "discharge_disposition_id": "6", "diag_1": "250.01"}
        for patient, days in (("a", "3"), ("b", "9"), ("a", "4"), ("a", "7"))
    ]

    pasts = [describe_past(row, earlier) for earlier, row in look_back(rows)]

    assert [past["past_stays"] for past in pasts] == ["0", "0", "1", "2"]
    assert [past["past_days"] for past in pasts] == ["", "", "3", "7"]
    assert [past["past_days_last"] for past in pasts] == ["", "", "3", "4"]
    assert not any("<30" in past.values() for past in pasts)


def run_example(*arguments: object, cwd: Path | None = None) -> str:
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=True)  # noqa: S603  our own
    return done.stdout


def read_areas(said: str) -> list[float]:
    return [float(area) for area in re.findall(r"AUROC (0\.\d+)", said)]
