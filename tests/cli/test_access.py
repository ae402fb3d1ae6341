"""Records that come from another member: their notices stay with them, and a receipt comes last."""

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final, TextIO

import pytest

from iamata.cli.access import write_bodies
from iamata.cli.files import open_new
from iamata.testing.stage import Answer, Stage, write_bundle

ACT_CODE: Final = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
FOUND: Final = ("--family", "Second-Test", "--given", "Ada", "--born", "1980-02-29")


def ask(stage: Stage, *options: object) -> Answer:
    """Grant, and let the south ask with a code."""
    terms = ("--to", "member:south", "--purpose", "TREAT", "--label", "N", "--label", "R", "--label", "ETH")
    stage.ask("wallet", "grant", "--wallet", stage.patient, *terms, "--yes")
    code = stage.ask("wallet", "share", "--wallet", stage.patient, "--recipient", "south")["share"]
    doctor = ("--member", "south", "--person", stage.wallet("south-doctor"))
    return stage("access", "ask", *doctor, "--share", code, *options)


def import_substance_use(stage: Stage) -> None:
    """Let the north keep a record that 42 CFR part 2 protects."""
    path = write_bundle(stage.folder / "more.json", "ada")
    bundle = json.loads(path.read_text())
    bundle["entry"][1]["resource"] |= {
        "id": "ada-eth",
        "meta": {"security": [{"system": ACT_CODE, "code": "ETH"}]},
    }
    path.write_text(json.dumps(bundle))
    stage.ask("records", "import", "--member", "north", path)


def test_substance_use_records_arrive_with_their_notice_for_machines(stage: Stage) -> None:
    import_substance_use(stage)

    (obligation,) = ask(stage, "--json").document["obligations"]

    assert obligation["notice"] == "42-cfr-2.32"
    assert obligation["records"] == ["Observation/ada-eth"]
    assert obligation["scope"]


def test_substance_use_records_arrive_with_their_notice_for_people(stage: Stage) -> None:
    import_substance_use(stage)

    answer = ask(stage, "--to", stage.folder / "got.ndjson")

    assert answer.code == 0
    assert "Notice 42-cfr-2.32, with 1 of these records, on consent " in answer.err
    assert "prohibits unauthorized use or disclosure" in answer.err


def test_ordinary_records_bring_no_notice(stage: Stage) -> None:
    assert ask(stage, "--json").document["obligations"] == []


def test_records_that_could_not_be_kept_are_not_confirmed(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_to_a_full_disk(_: TextIO | None, bodies: Sequence[str]) -> None:
        full = Path("/dev/full").open("w", encoding="utf-8")  # noqa: SIM115  closing it fails, too
        try:
            write_bodies(full, bodies)
        finally:
            with contextlib.suppress(OSError):
                full.close()

    monkeypatch.setattr("iamata.cli.access.write_bodies", write_to_a_full_disk)
    target = stage.folder / "got.ndjson"

    answer = ask(stage, "--to", target)

    assert answer.code == 7
    assert "ask for a new one" in answer.err
    assert not target.exists()
    (access,) = stage.ask("wallet", "accesses", "--wallet", stage.patient)["accesses"]
    assert (access["is_released"], access["is_confirmed"]) == (True, False)


def test_an_interrupted_command_leaves_no_file(tmp_path: Path) -> None:
    target = tmp_path / "got.ndjson"

    def interrupt() -> None:
        with open_new(target) as file:
            write_bodies(file, ["half of it"])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupt()

    assert not target.exists()


def test_an_emergency_asks_for_what_was_left_out_or_says_that_nobody_can_be_asked(stage: Stage) -> None:
    doctor = ("--wallet", stage.wallet("south-doctor"), "--custodian", "north")
    why = stage.folder / "why"
    why.write_text("Unconscious after a fall\n")

    silent = stage("emergency", "declare", *doctor, *FOUND[2:], "--reason", f"@{why}")
    spoken = stage("emergency", "declare", *doctor, *FOUND, "--reason", f"@{why}")

    assert (silent.code, spoken.code) == (2, 0)
    assert "--family" in silent.err
