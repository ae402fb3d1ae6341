"""Reading tables that somebody else made: by name, within limits, and plainly refused."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from iamata.columns import reading
from iamata.columns.reading import read_table
from iamata.model.reasons import Reason, Refused


def write_csv(folder: Path, text: str) -> Path:
    path = folder / "table.csv"
    path.write_bytes(text.encode("utf-8"))
    return path


def write_parquet(folder: Path, columns: dict[str, Any]) -> Path:
    path = folder / "table.parquet"
    pq.write_table(pa.table(columns), path)
    return path


def refuse(path: Path, *names: str) -> Refused:
    with pytest.raises(Refused) as refused:
        read_table(path, names)
    return refused.value


def test_columns_are_found_by_name_and_others_passed_over(tmp_path: Path) -> None:
    path = write_csv(tmp_path, '\ufeffage,"note",who\r\n40,"a, ""b""\nc",x\r\n,z,y\r\n\r\n')

    assert read_table(path, ["who", "age"]).cells == {"who": ["x", "y"], "age": ["40", None]}
    assert read_table(path, ["note"]).cells == {"note": ['a, "b"\nc', "z"]}


def test_a_row_is_found_again_by_its_first_line_or_its_number(tmp_path: Path) -> None:
    csv = read_table(write_csv(tmp_path, 'age,note\n1,"a\nb"\n\n2,"c"\n3,d\n'), ["age"])
    parquet = read_table(write_parquet(tmp_path, {"age": [*range(9)]}), ["age"])

    assert [csv.tell_rows([row]) for row in range(3)] == ["line 2", "line 5", "line 6"]
    assert parquet.tell_rows([0, 8]) == "rows 1 and 9"
    assert parquet.tell_rows(range(9)) == "rows 1, 2, 3, 4, 5 and 4 more"


def test_parquet_gives_the_numbers_and_words_that_csv_would(tmp_path: Path) -> None:
    columns = {
        "who": pa.array(["x", "y", ""]).dictionary_encode(),
        "age": pa.array([40, None, 41]),
        "ill": [True, False, None],
        "dose": pa.array([Decimal("1.5"), None, Decimal("2.0")]),
    }

    found = read_table(write_parquet(tmp_path, columns), ["who", "age", "ill", "dose"]).cells

    assert found == {
        "who": ["x", "y", None],
        "age": [40, None, 41],
        "ill": ["true", "false", None],
        "dose": [1.5, None, 2.0],
    }


@pytest.mark.parametrize(
    ("text", "reason", "detail"),
    [
        ("", Reason.TABLE_CLASHES, "no column age"),
        ("who\nx\n", Reason.TABLE_CLASHES, "no column age"),
        ("age,who,age\n1,x,2\n", Reason.TABLE_CLASHES, "two columns age"),
        ("age,who\n1\n", Reason.INPUT_INVALID, "line 2"),
        ("age,who\n1,x,y\n", Reason.INPUT_INVALID, "line 2"),
        ('age,who\n\n1,"x\ny",z\n', Reason.INPUT_INVALID, "line 3"),
        ('age,who\n1,"x\n', Reason.INPUT_INVALID, "is not CSV"),
        ("age,who\n" + "1" * 5_000 + ",x\n", Reason.INPUT_TOO_LARGE, "line 2: age"),
    ],
)
def test_a_wrong_csv_is_refused_with_its_place(
    tmp_path: Path, text: str, reason: Reason, detail: str
) -> None:
    refused = refuse(write_csv(tmp_path, text), "age", "who")

    assert refused.reason is reason
    assert detail in refused.detail
    assert "11111" not in refused.detail


def test_what_is_no_text_or_no_parquet_is_refused(tmp_path: Path) -> None:
    binary, broken = tmp_path / "table.csv", tmp_path / "table.parquet"
    binary.write_bytes(b"age\n\xff\xfe\n")
    broken.write_bytes(b"PAR1 but no more")

    assert "not UTF-8" in refuse(binary, "age").detail
    assert "not Parquet" in refuse(broken, "age").detail
    assert refuse(tmp_path / "table.xlsx", "age").reason is Reason.INPUT_INVALID
    assert refuse(tmp_path / "missing.csv", "age").reason is Reason.FILE_NOT_FOUND


def test_parquet_without_a_column_or_with_trees_in_it_is_refused(tmp_path: Path) -> None:
    path = write_parquet(tmp_path, {"age": [[1], [2]]})

    assert refuse(path, "who").reason is Reason.TABLE_CLASHES
    assert "age holds no numbers or words" in refuse(path, "age").detail


def test_a_file_with_more_than_may_be_kept_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    csv, parquet = write_csv(tmp_path, "age\n1\n2\n3\n"), write_parquet(tmp_path, {"age": [1, 2, 3]})
    monkeypatch.setattr(reading, "ROWS_MAX", 2)

    assert refuse(csv, "age").reason is Reason.INPUT_TOO_LARGE
    assert refuse(parquet, "age").reason is Reason.INPUT_TOO_LARGE

    monkeypatch.setattr(reading, "ROWS_MAX", 9)
    monkeypatch.setattr(reading, "FILE_BYTES_MAX", 4)
    assert refuse(csv, "age").reason is Reason.INPUT_TOO_LARGE
