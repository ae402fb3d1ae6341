"""Every refusal has a sentence and a class, and nothing that goes wrong shows what it must not."""

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Final

import pytest

from iamata.cli.answers import EXIT_BUG, describe_refusal, get_exit_code
from iamata.model.reasons import Reason, ReasonClass, Refused
from iamata.stores.wallets import WALLET_FILE
from iamata.testing.stage import FAMILY, Stage, call, write_bundle
from iamata.wire.sentences import CLASSES, SENTENCES

MARKER: Final = "Zebrafish-Marker"
UNKNOWN: Final = "aaaaaaaaaaaaaaaaaaaaaaaaaa"


def test_every_reason_stands_in_the_table_once() -> None:
    listed = Counter(reason for sentences in SENTENCES.values() for reason in sentences)

    assert listed == Counter(dict.fromkeys(Reason, 1))
    assert set(SENTENCES) == set(ReasonClass)


@pytest.mark.parametrize("reason", Reason)
def test_a_reason_is_said_in_a_sentence_with_its_name_and_number(reason: Reason) -> None:
    text = describe_refusal(Refused(reason, "detail"))

    assert re.fullmatch(rf"Refused: [A-Z].*\. \(detail\) \[{reason.name} {int(reason)}\]", text)


def test_exit_codes_go_by_class_and_a_fault_is_1() -> None:
    assert {get_exit_code(Refused(one)) for one in Reason} == {1, 2, 3, 4, 5, 6, 7}
    assert get_exit_code(Refused(Reason.FAULT_FOUND)) == 1
    assert {kind.value for kind in CLASSES.values()} == {2, 3, 4, 5, 6, 7}


CASES: Final[dict[str, tuple[list[str], int, str]]] = {
    "a wrong kind of member": (["network", "init", "--member", "x:y:Z"], 2, "INPUT_INVALID"),
    "an id that is none": (
        ["access", "ask", "--member", "north", "--person", "é", "--emergency", UNKNOWN],
        2,
        "INPUT_INVALID",
    ),
    "a share code that is none": (
        ["access", "ask", "--member", "south", "--person", UNKNOWN, "--share", "hello"],
        2,
        "INPUT_INVALID",
    ),
    "a denial without evidence of two": (
        ["patient", "consent", "--member", "north", "--patient", "Patient/bob", "--to", "member:south",
         "--staff", "x", "--evidence", "y"],
        3,
        "STAFF_SIGNATURES_MISSING",
    ),
    "a member that is not here": (["patient", "list", "--member", "nowhere"], 4, "UNKNOWN_MEMBER"),
    "a wallet that is not there": (["wallet", "show", "--wallet", "nowhere"], 4, "WALLET_NOT_FOUND"),
    "a patient who is not there": (
        ["patient", "erase", "--member", "north", "--patient", "Patient/nobody", "--yes"],
        4,
        "UNKNOWN_PATIENT",
    ),
    "a person who is not there": (
        ["records", "list", "--member", "north", "--person", UNKNOWN, "--patient", "Patient/ada"],
        4,
        "NOT_FOUND",
    ),
    "an erasure that nobody agreed to": (
        ["patient", "erase", "--member", "north", "--patient", "Patient/ada"],
        2,
        "INPUT_INVALID",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_refusal_is_a_sentence_on_the_error_stream_and_an_exit_code(case: str, stage: Stage) -> None:
    arguments, code, reason = CASES[case]

    said, document = stage(*arguments), stage(*arguments, "--json")

    assert (said.code, said.out) == (code, "")
    assert said.err.startswith("Refused: ")
    assert f"[{reason} {int(Reason[reason])}]" in said.err
    assert "Traceback" not in said.err
    assert (document.code, document.out) == (code, "")
    assert json.loads(document.err)["reason"] == reason
    assert sorted(json.loads(document.err)) == ["detail", "error", "exit_code", "number", "reason"]


def test_the_same_twice_is_a_conflict(stage: Stage) -> None:
    again = stage(
        "wallet", "enrol", "--wallet", stage.patient, "--custodian", "north", "--patient", "Patient/ada"
    )

    assert again.code == ReasonClass.CONFLICT.value
    assert stage("network", "init", "--member", "one:hospital:One").code == ReasonClass.CONFLICT.value


def test_what_comes_too_late_is_late(stage: Stage) -> None:
    terms = ("--to", "member:south", "--purpose", "TREAT", "--until", "2020-01-01", "--yes")

    late = stage("wallet", "grant", "--wallet", stage.patient, *terms)

    assert late.code == ReasonClass.LATE.value


def test_an_unknown_and_an_unpermitted_patient_have_one_answer(stage: Stage) -> None:
    person = ("--member", "south", "--person", stage.wallet("south-doctor"))
    code = stage.ask("wallet", "share", "--wallet", stage.patient, "--recipient", "south")["share"]
    unpermitted = stage("access", "ask", *person, "--share", code)
    own = ("--member", "north", "--person", stage.wallet("north-doctor"))
    unknown = stage("records", "list", *own, "--patient", "Patient/nobody")

    assert unpermitted == unknown


def test_a_refused_import_names_the_place_and_shows_nothing_of_the_record(stage: Stage) -> None:
    bundle = write_bundle(stage.folder / "bad.json", "eve", family=MARKER)
    bundle.write_text(bundle.read_text().replace('"status": "final"', f'"status": {{"x": "{MARKER}"}}'))
    broken = stage.folder / "broken.json"
    broken.write_text(f'{{"resourceType": "Patient", "name": "{MARKER}')

    for form in ((), ("--json",), ("--debug",)):
        answer = stage("records", "import", "--member", "north", bundle, broken, *form)

        assert answer.code == ReasonClass.INVALID.value
        assert MARKER not in answer.out + answer.err
        assert "broken.json" in answer.out + answer.err


def test_an_entry_about_a_stranger_is_named_by_file_and_index(stage: Stage) -> None:
    lines = stage.folder / "Observation.ndjson"
    lines.write_text(
        '{"resourceType": "Observation", "id": "x", "status": "final", "code": {"text": "height"}, '
        '"subject": {"reference": "Patient/who"}}\n'
    )

    answer = stage("records", "import", "--member", "north", lines, "--json")

    assert answer.code == ReasonClass.INVALID.value
    (problem,) = answer.document["problems"]
    assert (Path(problem["file"]).name, problem["index"]) == ("Observation.ndjson", 0)
    assert problem["reason"] == "PATIENT_NOT_IMPORTED"
    assert (answer.document["added"], answer.document["patients_enrolled"]) == (0, 0)
    plain = stage("records", "import", "--member", "north", lines)
    assert "Observation.ndjson, entry 0: The patient whom it is about is neither here" in plain.err


def test_no_command_that_is_refused_shows_health_data_or_a_key(stage: Stage) -> None:
    seeds = [
        identity["seed"]
        for path in stage.folder.rglob(WALLET_FILE)
        for identity in json.loads(path.read_text())["identities"]
    ]
    seeds += [path.read_text().strip() for path in stage.home.rglob("*.key")]
    outputs = [
        stage(*arguments, *form)
        for arguments, _, _ in CASES.values()
        for form in ((), ("--json",), ("--debug",))
    ]
    printed = "".join(answer.out + answer.err for answer in outputs)

    assert len(seeds) > 10
    assert [secret for secret in (*seeds, FAMILY, "mm[Hg]") if secret in printed] == []


def test_a_bug_is_named_without_a_traceback_and_with_one_on_request(
    monkeypatch: pytest.MonkeyPatch, stage: Stage
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("iamata.cli.ledger.open_home", fail)
    said, debugged = stage("ledger", "status"), stage("ledger", "status", "--debug")

    assert (said.code, debugged.code) == (EXIT_BUG, EXIT_BUG)
    assert "Traceback" not in said.err
    assert "ZeroDivisionError" in said.err
    assert "Traceback" in debugged.err


def test_a_file_that_cannot_be_read_is_the_systems_no(stage: Stage) -> None:
    answer = stage("member", "apply", "x" * 5_000)

    assert answer.code == ReasonClass.UNAVAILABLE.value
    assert answer.err.startswith("The system said no: ")


def test_usage_errors_leave_the_output_empty() -> None:
    answer = call("wallet", "grant", "--json")

    assert (answer.code, answer.out) == (2, "")
    assert "--wallet" in answer.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("bogus", "--json"),
        ("verify", "--json"),
        ("--json", "verify"),
        ("--json",),
        ("wallet", "--json", "show"),
        ("sample", "generate", "x", "--patients", "none", "--json"),
    ],
)
def test_a_usage_error_is_one_document_for_machines(arguments: tuple[str, ...]) -> None:
    answer = call(*arguments)

    assert (answer.code, answer.out) == (2, "")
    assert sorted(json.loads(answer.err)) == ["error", "exit_code"]
    assert json.loads(answer.err)["exit_code"] == 2


def test_json_may_be_asked_for_before_the_command(stage: Stage) -> None:
    first, last = call("--json", "verify", stage.home), call("verify", stage.home, "--json")

    assert (first.code, first.document) == (0, last.document)


def test_a_share_code_for_nobody_and_one_that_nothing_permits_have_one_answer(stage: Stage) -> None:
    person = ("--member", "south", "--person", stage.wallet("south-doctor"))
    code = stage.ask("wallet", "share", "--wallet", stage.patient, "--recipient", "south")["share"]
    nobody = code[:2] + ("A" if code[2] != "A" else "B") + code[3:]

    for form in ((), ("--json",)):
        answers = [stage("access", "ask", *person, "--share", one, *form) for one in (code, nobody)]

        assert answers[0] == answers[1]
        assert answers[0].code == 4


def test_a_strangers_wallet_and_an_unknown_person_have_one_answer(stage: Stage) -> None:
    code = stage.ask("wallet", "share", "--wallet", stage.patient, "--recipient", "south")["share"]
    ask = ("access", "ask", "--member", "south", "--share", code, "--person")

    answers = [stage(*ask, one) for one in (stage.wallet("north-doctor"), UNKNOWN)]

    assert answers[0] == answers[1]
    assert answers[0].code == 4


def test_a_files_name_cannot_command_a_terminal(stage: Stage) -> None:
    name = "a\x1b[2J\nb\udcff.json"
    (stage.folder / name).write_text("{")

    for place in (stage.folder, stage.folder / "nowhere"):
        for form in ((), ("--json",)):
            answer = stage("records", "import", "--member", "north", place / name, *form)

            assert answer.code in {2, 4}
            assert "\x1b" not in answer.out + answer.err
            assert answer.err.count("\n") <= 1


def run_process(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the program itself."""
    program = f"import sys; sys.path[:0] = {sys.path!r}; from iamata.cli.main import main; main()"
    return subprocess.run(  # noqa: S603  our own program
        [sys.executable, "-c", program, *map(str, arguments)], capture_output=True, check=False, text=True
    )


def test_the_program_itself_speaks_and_exits_as_it_should(stage: Stage) -> None:
    verified = run_process("verify", stage.home, "--json")
    refused = run_process("verify", stage.folder / "nowhere")

    assert (verified.returncode, verified.stderr) == (0, "")
    assert verified.stdout.count("\n") == 1
    assert json.loads(verified.stdout)["checked"]["records"] == 4
    assert (refused.returncode, refused.stdout) == (4, "")
    assert "Traceback" not in refused.stderr


def test_verify_names_a_changed_byte_and_exits_1(stage: Stage) -> None:
    records = next(stage.home.rglob("north/vault/records.db"))
    raw = bytearray(records.read_bytes())
    raw[-10] ^= 1
    records.write_bytes(raw)

    answer = run_process("verify", stage.home)

    assert answer.returncode == 1
    assert "FAULT_FOUND 633" in answer.stderr
