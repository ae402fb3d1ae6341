"""A glass that is broken without the ledger: declared into a file, asked with, and seen by everybody."""

from pathlib import Path
from typing import Final

import pytest

from iamata.cli.emergency import declare_on_ledger
from iamata.model.instants import MS_PER_HOUR
from iamata.model.reasons import Reason, Refused
from iamata.testing.scenes import Scene
from iamata.testing.stage import FAMILY, Answer, Stage

WHY: Final = ("--reason", "Unconscious after a fall")
WHO: Final = ("--custodian", "north", "--family", FAMILY, "--given", "Ada", "--born", "1980-02-29")


def declare(stage: Stage, *options: object) -> Answer:
    doctor = ("--wallet", stage.wallet("south-doctor"))
    return stage("emergency", "declare", *doctor, *WHO, *WHY, *options)


def ask(stage: Stage, declaration: Path) -> Answer:
    doctor = ("--member", "south", "--person", stage.wallet("south-doctor"))
    return stage("access", "ask", *doctor, "--declaration", f"@{declaration}")


@pytest.fixture
def declaration(stage: Stage) -> Path:
    path = stage.folder / "declaration"
    assert declare(stage, "--without-ledger", "--to", path).code == 0
    return path


def test_it_says_in_plain_words_what_will_happen(stage: Stage) -> None:
    path = stage.folder / "declaration"

    answer = declare(stage, "--without-ledger", "--to", path)

    assert "The ledger does not know it yet." in answer.out
    assert f"--declaration @{path}" in answer.out
    assert (path.stat().st_mode & 0o777) == 0o600
    assert FAMILY not in path.read_text()


def test_nothing_is_on_the_ledger_before_somebody_asks(stage: Stage, declaration: Path) -> None:
    assert declaration.exists()
    assert stage.ask("emergency", "list")["emergencies"] == []


def test_records_come_and_everybody_sees_that_it_was_late(stage: Stage, declaration: Path) -> None:
    answer = ask(stage, declaration)

    assert answer.code == 0
    assert '"resourceType"' in answer.out
    (emergency,) = stage.ask("emergency", "list")["emergencies"]
    assert (emergency["declared"], emergency["member"]) == ("late", "south")
    (access, _) = sorted(
        stage.ask("wallet", "accesses", "--wallet", stage.patient)["accesses"],
        key=lambda one: -one["records"],
    )
    assert (access["is_late"], access["is_proven"], access["purpose"]) == (True, True, "BTG")
    told = stage("wallet", "accesses", "--wallet", stage.patient).out
    assert "late, while the ledger gave no finality, proven by the ledger" in told


def test_it_is_reviewed_as_any_other(stage: Stage, declaration: Path) -> None:
    ask(stage, declaration)
    emergency = stage.ask("emergency", "list")["emergencies"][0]["emergency"]
    judge = ("--wallet", stage.wallet("north-reviewer"), "--emergency", emergency)

    stage.ask("emergency", "review", *judge, "--outcome", "justified", *WHY)

    assert ask(stage, declaration).code != 0


@pytest.mark.parametrize(
    "options", [("--without-ledger",), ("--to", "file")], ids=["without a file", "with the ledger"]
)
def test_half_of_it_is_refused(stage: Stage, options: tuple[str, ...]) -> None:
    assert declare(stage, *options).code == 2


def test_a_file_that_holds_no_declaration_is_refused(stage: Stage) -> None:
    path = stage.folder / "nonsense"
    path.write_text("not.a.declaration")

    answer = ask(stage, path)

    assert answer.code == 2
    assert "Traceback" not in answer.err


def test_two_pointers_at_once_are_refused(stage: Stage, declaration: Path) -> None:
    doctor = ("--member", "south", "--person", stage.wallet("south-doctor"))

    answer = stage("access", "ask", *doctor, "--declaration", f"@{declaration}", "--share", "code")

    assert answer.code == 2


def test_an_ordinary_declaration_that_gets_no_answer_says_what_there_is_instead() -> None:
    scene = Scene.make()
    emil = scene.privileged("emil")
    scene.engine.stops_before = True

    with pytest.raises(Refused, match="--without-ledger") as refused:
        declare_on_ledger(emil.author, scene.anna.id, reason=WHY[1], span_ms=MS_PER_HOUR)

    assert refused.value.reason is Reason.ENGINE_STOPPED
