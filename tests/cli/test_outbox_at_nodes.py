"""The outbox where custodians are asked over HTTP: each node hears what is for its own member, no more."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from iamata.model.instants import Instant
from iamata.stores.outboxes import load_outbox, save_outbox
from iamata.stores.wallets import load_wallet, save_wallet
from iamata.testing.nodes import RunningNode, take_any_port
from iamata.testing.stage import Answer, Stage, call
from iamata.workflows.outbox import EnrolAct
from iamata.workflows.wallets import add_identity

GRANT = ("--to", "member:state", "--purpose", "TREAT", "--yes")


@pytest.fixture
def invited(stage: Stage) -> Stage:
    """Let south's staff write a code for Ada, who is known to north alone."""
    take_any_port(stage.home)
    code = stage.ask("patient", "invite", "--member", "south")["code"]
    (stage.folder / "code").write_text(code)
    return stage


@pytest.fixture
def known_twice(stage: Stage) -> Stage:
    """Let Ada hold keys at both hospitals, and let that be long ago."""
    take_any_port(stage.home)
    stage.ask("wallet", "enrol", "--wallet", stage.patient, "--custodian", "south", "--now")
    let_the_day_come(stage.patient)
    return stage


def let_the_day_come(wallet: Path) -> None:
    """Make all that waits due, and let what was sent be long ago."""
    box = load_outbox(wallet)
    waiting = tuple(msgspec.structs.replace(one, due_ms=Instant(1)) for one in box.waiting)
    save_outbox(wallet, msgspec.structs.replace(box, waiting=waiting, sent=()))


def serve(stage: Stage, member: str) -> RunningNode:
    """Serve one member of the stage."""
    return RunningNode(stage.home, "--member", member)


def use(stage: Stage, node: RunningNode, command: str, *options: object) -> Answer:
    """Use Ada's wallet at a node."""
    return call("wallet", command, "--node", node.url, "--wallet", stage.patient, *options)


def ask(stage: Stage, node: RunningNode, command: str, *options: object) -> dict[str, Any]:
    """Use Ada's wallet at a node, where it must succeed."""
    answer = use(stage, node, command, *options, "--json")
    assert answer.code == 0, answer
    return answer.document


def list_sent(document: dict[str, Any]) -> Iterator[tuple[str, bool, bool]]:
    """List of each act whom it is for, whether it was sent, and whether it is another node's."""
    for one in document["acts"]:
        yield one["custodian"], one["is_sent"], one["is_elsewhere"]


def test_an_enrolment_with_a_code_waits_and_goes_to_that_custodians_node_alone(invited: Stage) -> None:
    stage = invited
    with serve(stage, "south") as south:
        answer = use(stage, south, "enrol", "--code", f"@{stage.folder / 'code'}")
        assert "Not sent yet: your own key" in answer.out, answer
        assert ask(stage, south, "send") == {"acts": [], "waiting": 1}
    let_the_day_come(stage.patient)
    before = load_outbox(stage.patient)

    with serve(stage, "north") as north:
        document = ask(stage, north, "send")
        assert list(list_sent(document)) == [("south", False, True)]
        assert document["waiting"] == 1
        assert "not from here" in use(stage, north, "send").out
        refused = use(stage, north, "outbox", "--cancel", before.waiting[0].id)
        assert (refused.code, refused.out) == (4, "")
        assert load_outbox(stage.patient) == before

    with serve(stage, "south") as south:
        assert list(list_sent(ask(stage, south, "send"))) == [("south", True, False)]
        save_outbox(stage.patient, before)  # as if the process had been killed before it could forget
        assert list(list_sent(ask(stage, south, "send"))) == [("south", True, False)]
        assert len(ask(stage, south, "devices", "--custodian", "south")["keys"]) == 1
    assert load_outbox(stage.patient).waiting == ()


def test_an_enrolment_that_nobody_answered_is_sent_again(invited: Stage) -> None:
    stage = invited
    with serve(stage, "south") as south:
        use(stage, south, "enrol", "--code", f"@{stage.folder / 'code'}")
        let_the_day_come(stage.patient)
        (waiting,) = load_outbox(stage.patient).waiting
        assert isinstance(waiting.act, EnrolAct)
        # The wallet keeps a key before it is sent; no ledger knows it yet.
        save_wallet(stage.patient, add_identity(load_wallet(stage.patient), waiting.act.identity))
        assert list(list_sent(ask(stage, south, "send"))) == [("south", True, False)]
    assert [one.member for one in load_wallet(stage.patient).identities] == ["north", "south"]


def test_an_enrolment_now_is_not_kept_waiting(invited: Stage) -> None:
    with serve(invited, "south") as south:
        answer = use(invited, south, "enrol", "--now", "--code", f"@{invited.folder / 'code'}")

    assert "Only" in answer.out
    assert "one patient" in answer.err
    assert load_outbox(invited.patient).waiting == ()


def test_what_is_for_another_node_waits_even_where_nobody_wants_to_wait(known_twice: Stage) -> None:
    stage = known_twice
    with serve(stage, "south") as south:
        document = ask(stage, south, "grant", *GRANT, "--everywhere", "--now")
    assert sorted(list_sent(document)) == [("north", False, True), ("south", True, False)]
    let_the_day_come(stage.patient)

    with serve(stage, "north") as north:
        assert list(list_sent(ask(stage, north, "send"))) == [("north", True, False)]

    shown = stage.ask("wallet", "show", "--wallet", stage.patient)["consents"]
    assert sorted((one["custodian"], one["status"]) for one in shown) == [
        ("north", "active"),
        ("south", "active"),
    ]


def test_where_no_node_answers_what_is_due_stays(known_twice: Stage) -> None:
    stage = known_twice
    stage.ask("wallet", "grant", "--wallet", stage.patient, *GRANT, "--everywhere")
    let_the_day_come(stage.patient)
    before = load_outbox(stage.patient)
    with serve(stage, "north") as north:
        url = north.url
        ask(stage, north, "devices", "--custodian", "north")

    answer = call("wallet", "send", "--node", url, "--wallet", stage.patient)

    assert answer.code == 7
    assert load_outbox(stage.patient) == before


def test_no_node_is_asked_for_the_keys_at_another_custodian(known_twice: Stage) -> None:
    with serve(known_twice, "north") as north:
        answer = use(known_twice, north, "devices", "--custodian", "south")

    assert (answer.code, answer.out) == (4, "")
    assert "ask where south is served" in answer.err
