"""`iamata view run`: over files and over a vault, and what it says when it cannot."""

import json
from pathlib import Path
from typing import Any

import pytest

from iamata.testing.stage import Stage, call
from iamata.workflows import bulk_reads, tabulation

COLUMNS = [
    {"name": "id", "path": "getResourceKey()", "type": "string"},
    {"name": "patient", "path": "subject.getReferenceKey(Patient)", "type": "string"},
    {"name": "code", "path": "code.coding.code.first()", "type": "code"},
]


def write_view(folder: Path, **more: Any) -> Path:
    path = folder / "view.json"
    path.write_text(json.dumps({"resource": "Observation", "select": [{"column": COLUMNS}]} | more))
    return path


def write_sample(folder: Path) -> Path:
    call("sample", "generate", folder / "sample", "--patients", "2", "--seed", "3")
    return folder / "sample"


def read_rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_table_of_files_and_one_of_the_vault_are_the_same(stage: Stage, tmp_path: Path) -> None:
    view, sample = write_view(tmp_path), write_sample(tmp_path)
    stage.ask("records", "import", "--member", "north", sample)
    of_files, of_vault = tmp_path / "files.ndjson", tmp_path / "vault.ndjson"
    staff = ("--member", "north", "--person", stage.wallet("north-doctor"))

    stage.ask("view", "run", view, sample, "--to", of_files)
    answer = stage.ask("view", "run", view, *staff, "--to", of_vault)

    rows = [
        row
        for row in read_rows(of_vault)
        if not row["id"].startswith(("Observation/ada", "Observation/bob"))
    ]
    assert sorted(map(repr, read_rows(of_files))) == sorted(map(repr, rows))
    assert answer["may_be_incomplete"]
    assert answer["columns"] == ["id", "patient", "code"]


def test_a_table_is_the_same_whoever_opened_the_records(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    view, sample = write_view(tmp_path), write_sample(tmp_path)
    stage.ask("records", "import", "--member", "north", sample)
    asked = ("view", "run", view, "--member", "north", "--person", stage.wallet("north-doctor"))
    stage.ask(*asked, "--to", tmp_path / "at-once.ndjson")

    monkeypatch.setattr(tabulation, "ROWS_PER_QUESTION", 8)
    monkeypatch.setattr(bulk_reads, "ROWS_TOGETHER", 8)
    stage.ask(*asked, "--to", tmp_path / "in-parts.ndjson")

    rows = read_rows(tmp_path / "at-once.ndjson")
    assert len(rows) > 16
    assert read_rows(tmp_path / "in-parts.ndjson") == rows


def test_a_value_that_is_refused_in_another_process_leaves_no_table(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = [{"name": "code", "path": "code.coding.code.first()", "type": "integer"}]
    view = write_view(tmp_path, select=[{"column": columns}])
    stage.ask("records", "import", "--member", "north", write_sample(tmp_path))
    monkeypatch.setattr(tabulation, "ROWS_PER_QUESTION", 8)
    monkeypatch.setattr(bulk_reads, "ROWS_TOGETHER", 8)

    staff = ("--member", "north", "--person", stage.wallet("north-doctor"))
    answer = stage("view", "run", view, *staff, "--to", tmp_path / "t.parquet")

    assert answer.code == 2
    assert "code has a value that is no integer, in Observation/" in answer.err
    assert not (tmp_path / "t.parquet").exists()


def write_odd_records(folder: Path) -> Path:
    """Write three observations, of which the second has what none should have."""
    value = {"value": 1.5, "unit": "mg"}
    first = {"resourceType": "Observation", "id": "first", "status": "final", "valueQuantity": value}
    first |= {"code": {"coding": [{"code": "a"}]}, "subject": {"reference": "Patient/p"}}
    odd = first | {"id": "odd", "code": {"coding": [{"code": "a"}, {"code": "b"}]}}
    odd |= {"valueQuantity": value | {"value": "1.5"}}
    records = [{"resourceType": "Patient", "id": "p"}, first, odd, first | {"id": "last"}]
    (folder / "records.ndjson").write_text("\n".join(map(json.dumps, records)))
    return folder / "records.ndjson"


@pytest.mark.parametrize(
    ("column", "detail"),
    [
        ({"name": "v", "path": "value.ofType(Quantity).value"}, "v has a value that is no decimal"),
        ({"name": "c", "path": "code.coding.code"}, "c has several values; say which, or set collection"),
    ],
)
def test_the_record_that_a_table_cannot_hold_is_named(
    stage: Stage, tmp_path: Path, column: dict[str, Any], detail: str
) -> None:
    view, records = write_view(tmp_path, select=[{"column": [column]}]), write_odd_records(tmp_path)
    stage.ask("records", "import", "--member", "north", "--lenient", records)
    staff = ("--member", "north", "--person", stage.wallet("north-doctor"))

    of_files = call("view", "run", view, records, "--to", tmp_path / "t.csv")
    of_vault = stage("view", "run", view, *staff, "--to", tmp_path / "t.csv")

    assert of_files.code == of_vault.code == 2
    assert f"{detail}, in Observation/odd" in of_files.err
    assert f"{detail}, in Observation/" in of_vault.err
    assert not (tmp_path / "t.csv").exists()


def test_a_patient_sees_that_a_view_was_run(stage: Stage, tmp_path: Path) -> None:
    staff = ("--member", "north", "--person", stage.wallet("north-doctor"))
    stage.ask("view", "run", write_view(tmp_path), *staff, "--to", tmp_path / "t.csv")

    (access,) = stage.ask("wallet", "accesses", "--wallet", stage.patient)["accesses"]

    assert access["records"] == 1
    assert access["purpose"] == "TREAT"


def test_who_may_read_nothing_gets_no_table_and_learns_nothing(stage: Stage, tmp_path: Path) -> None:
    view = write_view(tmp_path)
    asked = ("view", "run", view, "--member", "north", "--to", tmp_path / "t.csv")

    denied = stage(*asked, "--person", stage.wallet("north-doctor"), "--purpose", "HRESCH", "--json")
    foreign = stage(*asked, "--person", stage.wallet("south-doctor"), "--json")

    assert denied.code == foreign.code == 4
    assert json.loads(denied.err)["reason"] == json.loads(foreign.err)["reason"]
    assert not (tmp_path / "t.csv").exists()


@pytest.mark.parametrize(
    ("more", "detail"),
    [
        ({"select": []}, "select: at least one"),
        ({"select": [{"column": [{"name": "a", "path": "status."}]}]}, "line 1, column 8"),
        ({"select": [{"column": [{"name": "a", "path": "statos"}]}]}, "no element statos"),
        ({"where": [{"path": "foo()"}]}, "where[0].path"),
    ],
)
def test_a_view_that_is_wrong_is_refused_with_its_place(
    tmp_path: Path, more: dict[str, Any], detail: str
) -> None:
    view = write_view(tmp_path, **more)

    answer = call("view", "run", view, write_sample(tmp_path), "--to", tmp_path / "t.csv")

    assert answer.code == 2
    assert detail in answer.err
    assert not (tmp_path / "t.csv").exists()


def test_values_of_the_wrong_type_leave_no_table(tmp_path: Path) -> None:
    columns = [{"name": "code", "path": "code.coding.code.first()", "type": "integer"}]
    view = write_view(tmp_path, select=[{"column": columns}])

    answer = call("view", "run", view, write_sample(tmp_path), "--to", tmp_path / "t.parquet")

    assert answer.code == 2
    assert "select[0].column[0]: code has a value that is no integer" in answer.err
    assert [path.name for path in tmp_path.iterdir() if "t.parquet" in path.name] == []


def test_what_cannot_be_read_is_named_and_the_rest_is_a_table(tmp_path: Path) -> None:
    view, sample = write_view(tmp_path), write_sample(tmp_path)
    (tmp_path / "bad.json").write_text("{")

    answer = call("view", "run", view, tmp_path / "bad.json", sample, "--to", tmp_path / "t.csv")

    assert answer.code == 2
    assert "Not read: " in answer.err
    assert (tmp_path / "t.csv").exists()


def test_a_path_that_is_not_there_leaves_no_table(tmp_path: Path) -> None:
    view, sample = write_view(tmp_path), write_sample(tmp_path)

    answer = call("view", "run", view, sample, tmp_path / "smaple", "--to", tmp_path / "t.csv")

    assert answer.code == 4
    assert "smaple" in answer.err
    assert not (tmp_path / "t.csv").exists()


def test_without_paths_a_vault_must_be_named(tmp_path: Path) -> None:
    answer = call("view", "run", write_view(tmp_path), "--to", tmp_path / "t.csv")

    assert answer.code == 2
    assert "--home, --member and --person" in answer.err


def test_a_view_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    assert call("view", "run", tmp_path / "none.json", "--to", tmp_path / "t.csv").code == 4
