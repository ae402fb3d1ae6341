"""What cannot be taken back is neither opened nor voted for by a slip of a finger."""

import pytest

from iamata.cli import proposal
from iamata.ledger.rules import NEWEST, RULES
from iamata.testing.stage import Stage


def test_rules_that_this_program_lacks_are_not_proposed(stage: Stage) -> None:
    wallet = next(stage.home.glob("wallets/*-administrator"))

    answer = stage("proposal", "open", "--wallet", wallet, "--upgrade", f"{NEWEST + 1}:1000000")

    assert answer.code != 0
    assert "RULES_UNKNOWN" in answer.err
    assert stage.ask("proposal", "list")["proposals"] == []


def test_rules_that_this_program_lacks_are_not_approved(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, *_ = sorted(stage.home.glob("wallets/*-administrator"))
    with monkeypatch.context() as newer:
        newer.setattr(proposal, "RULES", (*RULES, NEWEST + 1))
        opened = stage.ask("proposal", "open", "--wallet", first, "--upgrade", f"{NEWEST + 1}:1000000")
    vote = ("proposal", "vote", "--wallet", second, "--proposal", opened["proposal"])

    assert "RULES_UNKNOWN" in stage(*vote, "--approve").err
    assert stage.ask(*vote, "--reject")["rejections"] != []
