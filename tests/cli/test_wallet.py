"""A patient's commands: terms are said before they are signed, codes are short, and FHIR goes both ways."""

import io
import json
from pathlib import Path

import msgspec
import pytest

from iamata.cli.wallet import spell_wallet
from iamata.consent.terms import Ruling, Terms
from iamata.ledger.entries import Consent, ConsentStatus
from iamata.model.ids import Commitment, ConsentId, MemberId, PatientId
from iamata.model.instants import Day, Instant
from iamata.testing.stage import Stage
from iamata.workflows.wallets import KeptTerms

GRANT = (
    "--to",
    "member:south",
    "--purpose",
    "TREAT",
    "--label",
    "N",
    "--label",
    "R",
    "--except-label",
    "PSY",
)


def ask_for(stage: Stage, code: str, *options: object) -> int:
    """Let the doctor in the south ask with a share code; return the exit code."""
    doctor = ("--member", "south", "--person", stage.wallet("south-doctor"))
    return stage("access", "ask", *doctor, "--share", code, *options).code


def share(stage: Stage) -> str:
    """Let Ada write a share code for the south."""
    code: str = stage.ask("wallet", "share", "--wallet", stage.patient, "--recipient", "south")["share"]
    return code


def test_what_is_signed_is_said_in_plain_words_first(stage: Stage) -> None:
    answer = stage("wallet", "grant", "--wallet", stage.patient, *GRANT, "--yes")
    first, *_ = answer.out.splitlines()

    assert first == "member:south may read your ordinary and restricted records, for treatment."
    assert answer.out.index("withdraw this at any time") < answer.out.index("Signed: consent")


def test_nothing_is_signed_without_a_yes(stage: Stage) -> None:
    answer = stage("wallet", "grant", "--wallet", stage.patient, *GRANT)

    assert answer.code == 2
    assert "may read your ordinary" in answer.out
    assert stage.ask("wallet", "show", "--wallet", stage.patient)["consents"] == []


def test_a_grant_to_everybody_for_anything_has_to_be_spelled_out(stage: Stage) -> None:
    wallet = ("--wallet", stage.patient, "--yes")

    assert "--to" in stage("wallet", "grant", *wallet, "--purpose", "TREAT").err
    assert "--purpose" in stage("wallet", "grant", *wallet, "--to", "member:south").err


def test_a_share_code_is_short_and_works_once_for_its_recipient(stage: Stage) -> None:
    stage.ask("wallet", "grant", "--wallet", stage.patient, *GRANT, "--yes")
    code = share(stage)
    other = ("--member", "north", "--person", stage.wallet("north-doctor"))

    assert len(code) <= 140
    assert stage("access", "ask", *other, "--share", code).code == 4
    assert ask_for(stage, code) == 0
    assert ask_for(stage, code) == 4


def test_a_changed_share_code_is_none(stage: Stage) -> None:
    code = share(stage)
    changed = code[:60] + ("A" if code[60] != "A" else "B") + code[61:]

    assert ask_for(stage, changed) == 4


def test_a_withdrawal_needs_no_id_and_holds_at_once(stage: Stage) -> None:
    stage.ask("wallet", "grant", "--wallet", stage.patient, *GRANT, "--yes")
    assert ask_for(stage, share(stage)) == 0

    stage.ask("wallet", "withdraw", "--wallet", stage.patient)

    assert ask_for(stage, share(stage)) == 4


def test_a_consent_goes_out_and_comes_back_as_fhir(stage: Stage) -> None:
    wallet = ("--wallet", stage.patient)
    stage.ask("wallet", "grant", *wallet, *GRANT, "--yes")
    printed = stage("wallet", "show", *wallet, "--fhir").out
    consent = stage.folder / "consent.json"
    consent.write_text(printed)
    stage.ask("wallet", "withdraw", *wallet)

    stage.ask("wallet", "grant", *wallet, "--from", consent, "--yes")

    before, after = (one["terms"] for one in stage.ask("wallet", "show", *wallet)["consents"])
    assert json.loads(printed)["resourceType"] == "Consent"
    assert before == after
    assert ask_for(stage, share(stage)) == 0


def test_a_consent_is_active_through_its_last_day_and_then_expired() -> None:
    day, patient = Day(20_000), PatientId("p" * 26)
    terms = Terms(decision=Ruling.PERMIT, recorded_ms=Instant(0), policy="urn:test")
    kept = KeptTerms(
        consent=ConsentId("c" * 26), patient=patient, terms=terms, salt="s" * 43, until_day=day
    )
    entry = Consent(patient=patient, custodian=MemberId("north"), terms=Commitment("t" * 43), until_day=day)
    withdrawn = msgspec.structs.replace(entry, status=ConsentStatus.WITHDRAWN)

    def tell(one: Consent, today: int) -> str:
        return spell_wallet((), [(kept, one)], today=Day(today))[0]

    name = f"Consent {kept.consent} at north is"
    assert tell(entry, day) == f"{name} active, until 2024-10-04:"
    assert tell(entry, day + 1) == f"{name} expired: it held until 2024-10-04:"
    assert tell(withdrawn, day + 1) == f"{name} withdrawn, until 2024-10-04:"


def test_a_second_device_speaks_for_the_patient_until_it_is_removed(stage: Stage) -> None:
    stage.ask("wallet", "grant", "--wallet", stage.patient, *GRANT, "--yes")
    phone = stage.folder / "phone"
    key = stage.ask("wallet", "add-device", "--wallet", stage.patient, "--to", phone)["key"]
    code = stage.ask("wallet", "share", "--wallet", phone, "--recipient", "south")["share"]

    stage.ask("wallet", "remove-device", "--wallet", stage.patient, "--key", key)

    assert ask_for(stage, code) == 4
    assert stage("wallet", "accesses", "--wallet", phone).code != 0


def test_records_are_written_to_a_new_file_for_its_owner_alone(stage: Stage) -> None:
    stage.ask("wallet", "grant", "--wallet", stage.patient, *GRANT, "--yes")
    target, existing = stage.folder / "got.ndjson", stage.folder / "ada.json"

    assert ask_for(stage, share(stage), "--to", existing) == 5
    assert ask_for(stage, share(stage), "--to", target) == 0
    assert target.stat().st_mode & 0o777 == 0o600
    assert [json.loads(line)["resourceType"] for line in target.read_text().splitlines()] == [
        "Patient",
        "Observation",
    ]


def test_a_refused_request_leaves_no_file(stage: Stage) -> None:
    target: Path = stage.folder / "got.ndjson"

    assert ask_for(stage, share(stage), "--to", target) == 4
    assert not target.exists()


def test_a_share_code_goes_from_file_to_file_and_never_through_arguments(stage: Stage) -> None:
    stage.ask("wallet", "grant", "--wallet", stage.patient, *GRANT, "--yes")
    code = stage.folder / "code"

    stage.ask("wallet", "share", "--wallet", stage.patient, "--recipient", "south", "--to", code)

    assert code.stat().st_mode & 0o777 == 0o600
    assert ask_for(stage, f"@{code}") == 0
    assert ask_for(stage, f"@{stage.folder / 'nowhere'}") == 4


def test_a_share_code_is_read_from_the_standard_input(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.ask("wallet", "grant", "--wallet", stage.patient, *GRANT, "--yes")
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{share(stage)}\n"))

    assert ask_for(stage, "-") == 0


def test_narrowing_is_said_and_agreed_to_before_it_is_signed(stage: Stage) -> None:
    stage.ask("wallet", "grant", "--wallet", stage.patient, *GRANT, "--yes")

    answer = stage("wallet", "restrict", "--wallet", stage.patient, "--label", "R")

    assert answer.code == 2
    assert "restricted" in answer.out
    assert stage.ask("wallet", "show", "--wallet", stage.patient)["consents"][0]["restrictions"] == 0
