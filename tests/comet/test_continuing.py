"""A network that goes on under validators: heights, app hash, snapshots, under a played CometBFT."""

import pytest

from iamata.engines.comet.protocol import abci_pb2 as abci
from iamata.ledger.entries import OwnerKind
from iamata.ledger.tables import KEYS
from iamata.model.ids import decode_digest
from iamata.model.reasons import Reason, Refused
from iamata.testing.comet import CometDiedError
from iamata.testing.validator import ValidatorTown


@pytest.fixture
def followed(town: ValidatorTown) -> ValidatorTown:
    """Let the town's network go on after three blocks."""
    town.comet.connect()
    for _ in range(3):
        for raw in town.write_anchors(5):
            town.comet.broadcast(raw)
        town.comet.make_block()
    town.go_on()
    return town


def submit(town: ValidatorTown) -> int:
    town.comet.broadcast(town.write_anchors(1)[0])
    town.comet.make_block()
    return town.engine.snapshot().height


def test_consensus_begins_at_the_next_height_with_what_was_inherited(followed: ValidatorTown) -> None:
    """LED-SUC-9."""
    before = followed.engine.snapshot()
    followed.comet.connect()
    answer = followed.comet.init_chain()

    assert (before.height, before.log_size) == (3, 15)
    assert answer.app_hash == decode_digest(before.app_hash)
    assert followed.comet["query"].ask(info=abci.RequestInfo()).last_block_height == 0
    assert submit(followed) == 4
    assert followed.comet["query"].ask(info=abci.RequestInfo()).last_block_height == 4


def test_another_first_height_is_refused(followed: ValidatorTown) -> None:
    """LED-SUC-9."""
    followed.comet.connect()

    with pytest.raises(CometDiedError):
        followed.comet.init_chain(initial_height=1)


@pytest.mark.parametrize("step", ["finalize", "commit", "recheck"])
def test_a_death_at_the_first_block_loses_nothing(followed: ValidatorTown, step: str) -> None:
    followed.comet.connect()
    followed.comet.dies_before = step
    with pytest.raises(CometDiedError):
        followed.comet.make_block()

    followed.restart()
    followed.comet.connect()
    while followed.engine.snapshot().height < 4:
        followed.comet.make_block()

    assert submit(followed) == 5
    followed.restart()
    followed.comet.connect()
    assert followed.engine.snapshot().height == 5


def test_the_old_consensus_key_is_retired_and_the_new_one_known(followed: ValidatorTown) -> None:
    followed.comet.connect()
    submit(followed)
    followed.restart()

    view = followed.engine.snapshot()

    owner = KEYS.find(view, followed.validator.key_id)
    assert owner is not None
    assert (owner.kind, owner.is_retired) == (OwnerKind.VALIDATOR, False)


def test_what_was_signed_before_is_for_another_network(followed: ValidatorTown) -> None:
    """LED-SUC-6."""
    followed.comet.connect()
    (first, *_) = followed.engine.read_blocks()

    assert followed.comet.check(first.transactions[0]) == Reason.FOREIGN_NETWORK


def test_a_node_that_comes_late_begins_with_a_snapshot_of_the_new_network(followed: ValidatorTown) -> None:
    followed.restart(snapshot_blocks=1)
    followed.comet.connect()
    submit(followed)
    submit(followed)
    followed.engine._store.wait()  # noqa: SLF001  until it is on the disk
    snapshot = followed.comet["snapshot"].ask(list_snapshots=abci.RequestListSnapshots()).snapshots[0]
    asked = abci.RequestLoadSnapshotChunk(height=snapshot.height, format=snapshot.format, chunk=0)
    chunk = followed.comet["snapshot"].ask(load_snapshot_chunk=asked).chunk
    late, comet = followed.open("late"), followed.play("late")
    comet.connect(is_syncing=True)

    app_hash = followed.comet.app_hashes[snapshot.height - followed.comet.first_height]
    offer = abci.RequestOfferSnapshot(snapshot=snapshot, app_hash=app_hash)
    assert comet["snapshot"].ask(offer_snapshot=offer).result == abci.ResponseOfferSnapshot.ACCEPT
    applied = comet["snapshot"].ask(
        apply_snapshot_chunk=abci.RequestApplySnapshotChunk(index=0, chunk=chunk, sender="first")
    )

    assert applied.result == abci.ResponseApplySnapshotChunk.ACCEPT
    assert late.snapshot().app_hash == followed.engine.snapshot().app_hash
    assert [block.height for block in late.read_blocks()] == [4, 5]


def test_without_the_blocks_of_before_consensus_does_not_begin(followed: ValidatorTown) -> None:
    followed.open("late")
    comet = followed.play("late")

    with pytest.raises((CometDiedError, Refused)):
        comet.connect()
