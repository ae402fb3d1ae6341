"""A site's table: whose rows are taken, how many are left out, and where what does not fit stands."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from iamata.learning.schemas import Categorical, Numeric, Outcome, Schema
from iamata.model.reasons import Reason, Refused
from iamata.node.gathering import Gathered, build_gathered, gather
from iamata.testing.learning import SITES, StudyWorld, write_protocol
from iamata.workflows.frozen_tables import load_table

SITE = SITES[0]
HEADER = ("patient", "marker", "smokes", "ill")


@pytest.fixture(scope="module")
def world() -> StudyWorld:
    """Make a study before any dataset; what a test builds with it is refused."""
    return StudyWorld(patients=24)


def list_lines(world: StudyWorld) -> list[list[Any]]:
    """List a site's rows as its file has them."""
    rows = world.rows[SITE].items()
    return [[patient, one["marker"], one["smokes"], one["ill"]] for patient, (one,) in rows]


def write(folder: Path, lines: Iterable[Sequence[Any]]) -> Path:
    path = folder / "table.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([HEADER, *lines])
    return path


def read(world: StudyWorld, path: Path) -> Gathered:
    return gather(world.offices[SITE], path, patient_column="patient", protocol=world.protocol)


def test_what_does_not_fit_is_found_by_its_line_whoever_agreed(tmp_path: Path) -> None:
    world = StudyWorld(patients=12)
    world.withdraw(SITE, 12)  # so a line tells of nobody's consent
    stranger, *lines = list_lines(world)
    stranger[:2], lines[1][1], lines[4][1] = ["nobody", 98], 99, 99

    with pytest.raises(Refused) as refused:
        read(world, write(tmp_path, [stranger, *lines]))

    assert refused.value.reason is Reason.VALUE_OUT_OF_BOUNDS
    assert refused.value.detail == "marker: beyond -5 to 5 (lines 4 and 7)"


def test_too_few_to_train_on_is_explained_by_who_was_left_out(world: StudyWorld, tmp_path: Path) -> None:
    lines = list_lines(world)
    strangers = [[f"Patient/{number}", *line[1:]] for number, line in enumerate(lines)]
    few = "fewer than 10 to train on; "

    for table, said in (
        (strangers, "24 of 24 patient ids are unknown here"),
        ([*strangers[:3], *lines[:9]], "3 of 12 patient ids are unknown here"),
    ):
        with pytest.raises(Refused) as refused:
            build_gathered(world.offices[SITE], world.study, read(world, write(tmp_path, table)))

        assert refused.value.reason is Reason.TOO_FEW_PATIENTS
        assert refused.value.detail == few + said  # and nothing about who agreed


@pytest.mark.parametrize(("leaving", "told"), [(9, 0), (10, 10), (14, 10)])
def test_who_did_not_agree_is_counted_in_tens(leaving: int, told: int, tmp_path: Path) -> None:
    world = StudyWorld(patients=24)
    world.withdraw(SITE, leaving)
    gathered = read(world, write(tmp_path, [["nobody", 0, "no", 0]] * 2 + list_lines(world)))

    build_gathered(world.offices[SITE], world.study, gathered)

    assert (gathered.rows_read, gathered.unknown_patients, gathered.unknown_rows) == (26, 1, 2)
    assert gathered.unagreed_patients == told


def test_truth_values_are_kept_as_what_they_are(tmp_path: Path) -> None:
    columns = (Numeric(name="marker", low=0, high=1), Categorical(name="smokes", categories=("0", "1")))
    world = StudyWorld(
        patients=12, protocol=write_protocol(schema=Schema(columns=columns, outcome=Outcome(name="ill")))
    )
    office, patients = world.offices[SITE], sorted(world.rows[SITE])
    truths = [number % 3 == 0 for number in range(12)]
    path = tmp_path / "table.parquet"
    cells = {"patient": patients, "marker": truths, "smokes": truths, "ill": truths}
    pq.write_table(pa.table(cells), path)
    spelled = write(tmp_path, zip(patients, truths, truths, truths, strict=True))

    dataset = build_gathered(office, world.study, read(world, path))

    table, _ = load_table(office.custody, dataset, world.protocol.schema)
    for values in (table.outcome, *table.columns.values()):
        assert values.tolist() == truths
    assert read(world, spelled).rows == {
        patient: [{name: str(cell).title() for name, cell in row.items()}]
        for patient, (row,) in read(world, path).rows.items()
    }
