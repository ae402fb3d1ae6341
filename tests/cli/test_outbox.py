"""The outbox on the command line: every act says what was sent, what waits until when, and why."""

import threading
import time

import msgspec
import pytest

from iamata.model.instants import Instant
from iamata.model.reasons import Refused
from iamata.stores.outboxes import load_outbox, save_outbox
from iamata.stores.private_files import hold_folder
from iamata.testing.stage import Answer, Stage

GRANT = ("--to", "member:state", "--purpose", "TREAT", "--yes")


def let_the_day_come(stage: Stage) -> None:
    """Make all that waits due, and let what was sent be long ago."""
    waiting = tuple(
        msgspec.structs.replace(one, due_ms=Instant(1)) for one in load_outbox(stage.patient).waiting
    )
    save_outbox(
        stage.patient, msgspec.structs.replace(load_outbox(stage.patient), waiting=waiting, sent=())
    )


@pytest.fixture
def known_twice(stage: Stage) -> Stage:
    """Let Ada hold keys at both hospitals, and let that be long ago."""
    stage.ask("wallet", "enrol", "--wallet", stage.patient, "--custodian", "south")
    let_the_day_come(stage)
    stage.ask("wallet", "send", "--wallet", stage.patient)
    let_the_day_come(stage)
    return stage


def grant(stage: Stage, *options: str) -> Answer:
    return stage("wallet", "grant", "--wallet", stage.patient, *GRANT, *options)


def test_an_enrolment_elsewhere_waits_and_says_until_when_and_why(stage: Stage) -> None:
    answer = stage("wallet", "enrol", "--wallet", stage.patient, "--custodian", "south")

    assert answer.code == 0
    assert "Not sent yet: your own key" in answer.out
    assert "goes to south on 20" in answer.out
    assert "that your pseudonyms at several custodians are one patient" in answer.out
    assert "iamata wallet send" in answer.out


def test_the_first_act_of_a_wallet_and_those_at_its_only_custodian_go_at_once(stage: Stage) -> None:
    answer = grant(stage)

    assert "binds north" in answer.out
    assert "Not sent yet" not in answer.out


def test_a_consent_everywhere_waits_at_each_custodian_and_is_sent_one_by_one(known_twice: Stage) -> None:
    stage = known_twice
    document = stage.ask("wallet", "grant", "--wallet", stage.patient, *GRANT, "--everywhere")
    due = {one["due"] for one in document["acts"]}

    assert [(one["custodian"], one["is_sent"]) for one in document["acts"]] == [
        ("north", False),
        ("south", False),
    ]
    assert len(due) == 2
    assert stage.ask("wallet", "send", "--wallet", stage.patient) == {"acts": [], "waiting": 2}

    for left in (1, 0):
        let_the_day_come(stage)
        sent = stage.ask("wallet", "send", "--wallet", stage.patient)
        assert [one["is_sent"] for one in sent["acts"]] == [True, False][: left + 1]
        assert sent["waiting"] == left
    shown = stage.ask("wallet", "show", "--wallet", stage.patient)["consents"]
    assert sorted(one["custodian"] for one in shown) == ["north", "south"]
    assert {one["status"] for one in shown} == {"active"}


def test_several_custodians_can_be_named(known_twice: Stage) -> None:
    answer = grant(known_twice, "--custodian", "south", "--custodian", "north")

    assert answer.out.count("Not sent yet: consent") == 2
    assert grant(known_twice, "--custodian", "south", "--everywhere").code == 2


def test_who_will_not_wait_is_told_what_it_gives_away(known_twice: Stage) -> None:
    answer = grant(known_twice, "--everywhere", "--now")

    assert "north, south at about one time" in answer.err
    assert "may take your pseudonyms there for one patient" in answer.err
    assert answer.out.count("Signed: consent") == 2


def test_no_warning_where_nothing_is_given_away(stage: Stage) -> None:
    assert "one patient" not in grant(stage, "--now").err


def test_a_withdrawal_never_waits_and_says_what_that_shows(known_twice: Stage) -> None:
    stage = known_twice
    document = stage.ask("wallet", "grant", "--wallet", stage.patient, *GRANT, "--everywhere", "--now")
    consent, *_ = (one["what"].split()[1] for one in document["acts"])

    answer = stage("wallet", "withdraw", "--wallet", stage.patient, "--consent", consent)

    assert "is withdrawn" in answer.out
    assert "It went at once, as what protects you must" in answer.out
    shown = stage.ask("wallet", "show", "--wallet", stage.patient)["consents"]
    assert sorted(one["status"] for one in shown) == ["active", "withdrawn"]


def test_narrowing_never_waits(known_twice: Stage) -> None:
    stage = known_twice
    document = stage.ask("wallet", "grant", "--wallet", stage.patient, *GRANT, "--everywhere", "--now")
    consent = ("--consent", document["consent"])

    answer = stage("wallet", "restrict", "--wallet", stage.patient, *consent, "--label", "R", "--yes")

    assert "is narrower from this moment on" in answer.out
    assert "It went at once" in answer.out


def test_what_waits_is_listed_and_can_be_called_off(known_twice: Stage) -> None:
    stage = known_twice
    acts = stage.ask("wallet", "grant", "--wallet", stage.patient, *GRANT, "--everywhere")["acts"]
    listed = stage("wallet", "outbox", "--wallet", stage.patient)
    assert listed.out.count(": goes on 20") == 2

    answer = stage("wallet", "outbox", "--wallet", stage.patient, "--cancel", acts[0]["act"])

    assert "Called off: consent" in answer.out
    assert acts[1]["act"] in answer.out
    again = stage("wallet", "outbox", "--wallet", stage.patient, "--cancel", acts[0]["act"])
    assert again.code == 4


def test_a_consent_that_waits_is_withdrawn_by_never_being_sent(known_twice: Stage) -> None:
    stage = known_twice
    document = stage.ask("wallet", "grant", "--wallet", stage.patient, *GRANT, "--everywhere")

    stage.ask("wallet", "withdraw", "--wallet", stage.patient, "--consent", document["consent"])

    assert [one.member for one in load_outbox(stage.patient).waiting] == ["south"]


def test_a_consent_that_would_end_before_it_is_sent_is_refused(known_twice: Stage) -> None:
    stage = known_twice
    today = stage.ask("ledger", "status")["time"][:10]

    assert grant(stage, "--everywhere", "--until", today).code == 6
    assert load_outbox(stage.patient).waiting == ()
    assert grant(stage, "--everywhere", "--until", today, "--now").code == 0


def test_a_refusal_when_its_time_has_come_is_said_and_kept(known_twice: Stage) -> None:
    stage = known_twice
    stage.ask(
        "wallet", "add-device", "--wallet", stage.patient, "--to", stage.folder / "phone", "--everywhere"
    )
    own = stage.ask("wallet", "devices", "--wallet", stage.patient, "--custodian", "north")["own"]
    spare = ("--to", stage.folder / "spare", "--custodian", "north", "--now")
    stage.ask("wallet", "add-device", "--wallet", stage.patient, *spare)
    spare_wallet = ("--wallet", stage.folder / "spare")
    stage.ask("wallet", "remove-device", *spare_wallet, "--custodian", "north", "--key", own)

    refused = 0
    for _ in range(2):
        let_the_day_come(stage)
        refused += stage("wallet", "send", "--wallet", stage.patient).code != 0

    assert refused == 1
    assert "refused, and not sent again" in stage("wallet", "outbox", "--wallet", stage.patient).out


def test_a_consent_says_which_custodian_it_does_not_reach_yet(stage: Stage) -> None:
    stage.ask("wallet", "enrol", "--wallet", stage.patient, "--custodian", "south")

    answer = grant(stage, "--everywhere")

    assert answer.code == 0
    assert "Your key for south waits in the outbox" in answer.err
    assert "Not sent yet: consent" in answer.out, "south's key goes tomorrow, and is a sibling"


def test_an_outbox_needs_its_wallet(stage: Stage) -> None:
    assert stage("wallet", "outbox", "--wallet", stage.folder / "nowhere").code == 4
    assert stage("wallet", "send", "--wallet", stage.folder / "nowhere").code == 4


def test_commands_with_one_wallet_wait_for_each_other(stage: Stage) -> None:
    """What one wrote while another asked a node was lost when that was refused: a key, it may be."""
    is_free = threading.Event()

    def work() -> None:
        with hold_folder(stage.patient):
            is_held.set()
            time.sleep(0.5)
            is_free.set()

    is_held = threading.Event()
    other = threading.Thread(target=work)
    other.start()
    is_held.wait()
    with pytest.raises(Refused, match="another process"), hold_folder(stage.patient, wait_s=0):
        pass
    assert grant(stage).code == 0
    assert is_free.is_set()
    other.join()
