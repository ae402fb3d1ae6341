"""Either side dies at any step, and afterwards both stand where everybody else does."""

from pathlib import Path

import pytest

from iamata.engines.comet.engine import CometEngine
from iamata.engines.comet.protocol import abci_pb2 as abci
from iamata.model.reasons import Reason, Refused
from iamata.testing.comet import STEPS, CometDiedError, PlayedComet
from iamata.testing.town import Town
from iamata.testing.validator import ValidatorTown

TIMEOUT_S = 20


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("is_application_restarted", [False, True])
def test_consensus_killed_before_any_step_is_caught_up_with(
    town: ValidatorTown,
    step: str,
    *,
    is_application_restarted: bool,
) -> None:
    town.comet.connect()
    for raw in town.write_anchors(2):
        town.comet.broadcast(raw)
        town.comet.make_block()
    [raw] = town.write_anchors(1)
    town.comet.broadcast(raw)
    town.comet.dies_before = step
    with pytest.raises(CometDiedError, match="killed"):
        town.comet.make_block()
    if is_application_restarted:
        town.restart()

    town.comet.connect()
    town.comet.broadcast(raw)
    if town.comet.mempool:
        town.comet.make_block()

    assert [leaf.reason for _, leaf in town.engine.events(0)] == [0, 0, 0]
    assert town.engine.snapshot().height == len(town.comet.blocks) == 3


def test_what_was_finalized_and_not_committed_is_seen_by_nobody(town: ValidatorTown) -> None:
    town.comet.connect()
    town.comet.broadcast(town.write_anchors(1)[0])
    before = town.engine.snapshot().app_hash
    block = town.comet.propose()
    town.comet.finalize(block)

    view = town.engine.snapshot()
    info = town.comet["query"].ask(info=abci.RequestInfo())

    assert (view.height, view.app_hash) == (0, before)
    assert info.last_block_height == 0


def test_an_application_that_is_behind_runs_what_it_lacks(town: ValidatorTown) -> None:
    town.comet.connect()
    for raw in town.write_anchors(6):
        town.comet.broadcast(raw)
        town.comet.make_block()
    said, blocks, hashes = town.engine.snapshot().app_hash, town.comet.blocks, town.comet.app_hashes
    town.comet.hang_up()

    behind = town.open("behind")
    town.comet = town.play("behind")
    town.comet.blocks, town.comet.app_hashes = blocks, hashes
    town.comet.connect()

    assert behind.snapshot().app_hash == said
    assert behind.snapshot().height == 6


def test_an_application_that_is_ahead_is_seen_by_consensus(town: ValidatorTown) -> None:
    town.comet.connect()
    town.comet.make_block()
    town.comet.make_block()
    town.comet.blocks.pop()

    with pytest.raises(CometDiedError, match="ahead: block 2"):
        town.comet.connect()


def test_a_restart_of_consensus_sends_again_what_was_waiting(town: ValidatorTown) -> None:
    town.comet.connect()
    future = town.engine.submit(town.write_anchors(1)[0])
    while not town.comet.mempool:
        pass
    town.comet.hang_up()

    town.comet.connect()
    while not town.comet.mempool:
        pass
    town.comet.make_block()

    assert future.result(TIMEOUT_S).reason == 0


def test_who_waits_while_consensus_is_away_is_answered_when_it_is_back(town: ValidatorTown) -> None:
    future = town.engine.submit(town.write_anchors(1)[0])

    town.comet.connect()
    while not town.comet.mempool:
        pass
    town.comet.make_block()

    assert future.result(TIMEOUT_S).reason == 0


def test_what_no_block_took_in_before_its_end_is_refused(town: ValidatorTown) -> None:
    future = town.engine.submit(town.write_anchors(1)[0])
    town.clock.advance(11 * 60_000)

    with pytest.raises(Refused) as refused:
        future.result(TIMEOUT_S)

    assert refused.value.reason is Reason.EXPIRED


def test_closing_answers_everybody(town: ValidatorTown) -> None:
    [raw] = town.write_anchors(1)
    future = town.engine.submit(raw)

    town.engine.close()

    with pytest.raises(Refused, match="ENGINE_STOPPED"):
        future.result(TIMEOUT_S)
    with pytest.raises(Refused, match="ENGINE_STOPPED"):
        town.engine.submit(raw)


def test_a_ledger_of_one_signer_is_not_ordered_by_consensus(tmp_path: Path) -> None:
    (tmp_path / "single").mkdir()
    with pytest.raises(Refused, match="one signer orders this ledger"):
        CometEngine(
            tmp_path,
            Town(tmp_path / "single").genesis,
            address=f"unix://{tmp_path}/x.sock",
            broadcast=lambda _: None,
        )


def test_the_block_store_outlives_a_lost_application_file(town: ValidatorTown) -> None:
    """A crash before any block was durable finds InitChain asked again."""
    town.comet.connect()
    town.comet.init_chain()
    first = town.comet.init_chain().app_hash

    town.restart()
    town.comet.connect()

    assert town.comet.init_chain().app_hash == first
    assert isinstance(town.comet, PlayedComet)
