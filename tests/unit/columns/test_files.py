"""A table is whole or not there, keeps every value as it is, and refuses what is not of a column's type."""

import csv
import io
import json
import resource
import stat
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from iamata.columns import files
from iamata.columns.arrow import Columns
from iamata.columns.files import open_table
from iamata.fhir.views.columns import ColumnType, Kind
from iamata.fhir.views.definition import Column
from iamata.model.reasons import Reason, Refused


def make_columns(**kinds: ColumnType) -> Columns:
    return [
        (Column(place=f"select[0].column[{place}]", name=name, path="id", type=None, is_collection=False,
                sql_type=None), kind)
        for place, (name, kind) in enumerate(kinds.items())
    ]  # fmt: skip


ALL = make_columns(
    text=ColumnType(Kind.TEXT),
    truth=ColumnType(Kind.BOOLEAN),
    number=ColumnType(Kind.INTEGER),
    exact=ColumnType(Kind.DECIMAL),
)
VALUES: list[list[Any]] = [
    ["a", 'ä "quoted", and\nbroken', None],
    [True, False, None],
    [1, -2_147_483_648, None],
    [Decimal("1.50"), 7, None],
]


def write(path: Path, columns: Columns, *batches: list[list[Any]]) -> Path:
    with open_table(path, columns) as table:
        for batch in batches:
            table.add(batch)
    return path


def test_parquet_has_the_types_of_the_columns(tmp_path: Path) -> None:
    table = pq.read_table(write(tmp_path / "t.parquet", ALL, VALUES, VALUES))

    assert [str(field.type) for field in table.schema] == ["string", "bool", "int32", "decimal128(38, 18)"]
    assert table.num_rows == 6
    assert table.column("text").to_pylist()[:3] == VALUES[0]
    assert table.column("exact").to_pylist()[:3] == [Decimal("1.5"), Decimal(7), None]


def test_duckdb_reads_what_was_written(tmp_path: Path) -> None:
    path = write(tmp_path / "t.parquet", ALL, VALUES)

    with duckdb.connect() as database:
        found = database.execute("SELECT count(*), sum(exact) FROM read_parquet(?)", [str(path)]).fetchone()
    assert found == (3, Decimal("8.5"))


def test_ndjson_keeps_each_number_as_it_was_written(tmp_path: Path) -> None:
    text = write(tmp_path / "t.ndjson", ALL, VALUES).read_text(encoding="utf-8")

    assert json.loads(text.partition("\n")[0])["truth"] is True
    assert '"exact":1.50' in text
    assert text.count("\n") == 3


def test_csv_can_be_read_back(tmp_path: Path) -> None:
    text = write(tmp_path / "t.csv", ALL, VALUES).read_text(encoding="utf-8")

    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert rows[0] == ["text", "truth", "number", "exact"]
    assert rows[1] == ["a", "true", "1", "1.50"]
    assert rows[2][0] == VALUES[0][1]
    assert rows[3] == ["", "", "", ""]


def test_collections_are_lists(tmp_path: Path) -> None:
    columns = make_columns(many=ColumnType(Kind.TEXT, is_collection=True))
    table = pq.read_table(write(tmp_path / "t.parquet", columns, [[["a", "b"], [], None]]))

    assert table.column("many").to_pylist() == [["a", "b"], [], None]
    with pytest.raises(Refused):
        write(tmp_path / "t.csv", columns, [[["a"]]])


def test_types_that_a_tag_asks_for(tmp_path: Path) -> None:
    columns = make_columns(
        day=ColumnType(Kind.DATE), at=ColumnType(Kind.TIMESTAMP), half=ColumnType(Kind.DOUBLE)
    )
    moment = "2024-02-29T12:00:00+01:00"
    table = pq.read_table(
        write(tmp_path / "t.parquet", columns, [["2024-02-29"], [moment], [Decimal("0.5")]])
    )

    assert table.to_pylist() == [
        {"day": date(2024, 2, 29), "at": datetime(2024, 2, 29, 11, tzinfo=UTC), "half": 0.5}
    ]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Kind.TEXT, 1),
        (Kind.TEXT, ["a"]),
        (Kind.TEXT, {"a": 1}),
        (Kind.BOOLEAN, "true"),
        (Kind.BOOLEAN, 1),
        (Kind.INTEGER, True),
        (Kind.INTEGER, 2**31),
        (Kind.INTEGER, Decimal("1.5")),
        (Kind.DECIMAL, "1.5"),
        (Kind.DECIMAL, True),
        (Kind.DECIMAL, Decimal("1E+21")),
        (Kind.DECIMAL, Decimal("1E+999999")),
        (Kind.DATE, "2024-02"),
        (Kind.DATE, "2024-02-29T12:00:00Z"),
        (Kind.TIMESTAMP, "2024-02-29"),
        (Kind.TIMESTAMP, "2024-02-29T12:00:00"),
        (Kind.DOUBLE, "1"),
    ],
)
def test_a_value_of_another_type_is_refused_with_its_column(tmp_path: Path, kind: Kind, value: Any) -> None:
    columns = make_columns(good=ColumnType(Kind.TEXT), bad=ColumnType(kind))

    with pytest.raises(Refused) as caught:
        write(tmp_path / "t.parquet", columns, [["a"], [value]])

    assert caught.value.detail == f"select[0].column[1]: bad has a value that is no {kind.value}"
    assert list(tmp_path.iterdir()) == []


def test_decimals_finer_than_the_column_are_rounded(tmp_path: Path) -> None:
    columns = make_columns(exact=ColumnType(Kind.DECIMAL, digits=9, places=2))
    table = pq.read_table(write(tmp_path / "t.parquet", columns, [[Decimal("1.005"), Decimal("1.015")]]))

    assert table.column("exact").to_pylist() == [Decimal("1.00"), Decimal("1.02")]


def test_a_table_takes_nobodys_place_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", ALL, VALUES)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(Refused) as caught:
        write(path, ALL)
    assert caught.value.reason is Reason.HOME_ALREADY_EXISTS


def test_what_is_interrupted_leaves_nothing(tmp_path: Path) -> None:
    def write_until_it_breaks() -> None:
        with open_table(tmp_path / "t.parquet", ALL) as table:
            table.add(VALUES)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_until_it_breaks()

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["t.txt", "t", "no-folder/t.csv"])
def test_a_place_that_cannot_be_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(Refused):
        write(tmp_path / name, ALL, VALUES)


def test_a_place_that_no_file_can_have_is_not_called_a_full_disk(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    for place in (tmp_path / "file" / "t.csv", tmp_path / f"{'x' * 250}.csv"):
        with pytest.raises(Refused) as caught:
            write(place, ALL, VALUES)
        assert caught.value.reason is Reason.INPUT_INVALID


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_096, most))
    try:
        with pytest.raises(Refused) as caught:
            write(tmp_path / "t.csv", ALL, *[VALUES] * 1_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    assert caught.value.reason is Reason.STORAGE_FULL
    assert list(tmp_path.iterdir()) == []


def test_what_waits_in_memory_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "ROW_GROUP_ROWS", 4)
    path = write(tmp_path / "t.parquet", ALL, *[VALUES] * 4)

    assert pq.ParquetFile(path).num_row_groups == 2
