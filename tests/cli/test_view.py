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
    assert "code has a value that is no integer" in answer.err
    assert not (tmp_path / "t.parquet").exists()


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


def test_without_paths_a_vault_must_be_named(tmp_path: Path) -> None:
    answer = call("view", "run", write_view(tmp_path), "--to", tmp_path / "t.csv")

    assert answer.code == 2
    assert "--home, --member and --person" in answer.err


def test_a_view_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    assert call("view", "run", tmp_path / "none.json", "--to", tmp_path / "t.csv").code == 4
