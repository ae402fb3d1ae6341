"""A model is checked with what a node shows only where its blocks, run again, come to that very state."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import msgspec
import pytest

from iamata.ledger.blocks import StoredBlock
from iamata.ledger.genesis import Genesis
from iamata.ledger.succession import Lineage
from iamata.model.reasons import Reason, Refused, require
from iamata.node.model_checks import replay_up_to
from iamata.node.places import RemotePlace
from iamata.testing.surface import read_blocks
from iamata.testing.world import World

Change = Callable[[list[StoredBlock]], list[StoredBlock]]


@dataclasses.dataclass
class Shown:
    """What a node shows: its blocks and its genesis, as it likes."""

    genesis: Genesis
    blocks: Sequence[StoredBlock]
    lineage_genesis: Genesis

    @property
    def engine(self) -> "Shown":
        """Show the ledger."""
        return self

    def read_blocks(self) -> Iterator[StoredBlock]:
        """Show the blocks, each in its place."""
        for height, block in enumerate(self.blocks, start=1):
            require(block.height == height, Reason.FAULT_FOUND, f"block {height} is missing")
            yield block

    def fetch_lineage(self) -> tuple[Lineage, Genesis]:
        """Show where the network comes from."""
        return Lineage(), self.lineage_genesis


@pytest.fixture(scope="module")
def world() -> World:
    """Found a network, and let something happen."""
    world = World.found()
    for name in ("anna", "ben", "carl"):
        world.enrol_patient(name, custodian="hospital-a")
    return world


def replay(world: World, change: Change, genesis: Genesis | None = None) -> dict[int, Any]:
    honest = world.engine.genesis
    shown = Shown(honest, change(list(read_blocks(world, 1))), genesis or honest)
    times_ms: dict[int, Any] = {}
    replay_up_to(cast("RemotePlace", shown), world.engine.snapshot(), times_ms)
    return times_ms


def tamper(blocks: list[StoredBlock]) -> list[StoredBlock]:
    last = blocks[-1]
    changed = last.leaves[0].replace(b"patient", b"parient", 1)
    assert changed != last.leaves[0]
    return [*blocks[:-1], msgspec.structs.replace(last, leaves=(changed, *last.leaves[1:]))]


def test_blocks_that_come_to_the_state_are_believed_and_later_ones_not_waited_for(world: World) -> None:
    honest = list(read_blocks(world, 1))
    later = msgspec.structs.replace(honest[-1], height=honest[-1].height + 1)

    times_ms = replay(world, lambda blocks: [*blocks, later])

    assert times_ms == {block.height: block.time_ms for block in honest}


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        (lambda blocks: blocks[:-1], "its blocks come to another state"),
        (lambda blocks: [*blocks[:1], *blocks[2:]], "block 2 is missing"),
        (tamper, "is not what its transactions do"),
    ],
    ids=["too few", "a gap", "a changed leaf"],
)
def test_blocks_that_come_to_anything_else_are_a_fault(world: World, change: Change, detail: str) -> None:
    with pytest.raises(Refused, match=detail) as refused:
        replay(world, change)

    assert refused.value.reason is Reason.FAULT_FOUND


def test_a_node_without_the_first_blocks_is_asked_in_vain_and_not_accused(world: World) -> None:
    with pytest.raises(Refused, match="ask a node that has them") as refused:
        replay(world, lambda blocks: blocks[1:])

    assert refused.value.reason is Reason.NOT_FOUND


def test_another_genesis_than_the_trusted_one_is_a_fault(world: World) -> None:
    other = msgspec.structs.replace(world.engine.genesis, name="another")

    with pytest.raises(Refused, match="another genesis"):
        replay(world, lambda blocks: blocks, other)
