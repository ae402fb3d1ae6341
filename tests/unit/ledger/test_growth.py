"""A log that was checked once begins every later one, or its rewriting is noticed (LED-LOG-8)."""

import msgspec
import pytest

from iamata.ledger.receipts import check_growth, check_receipt
from iamata.ledger.transactions.records import AnchorRecords
from iamata.model.ids import Digest, encode_digest
from iamata.model.reasons import Refused
from iamata.testing.world import World


def grow(world: World, *names: str) -> None:
    """Add a leaf for each name."""
    for name in names:
        world.node("hospital-a").author.submit(
            AnchorRecords, anchor=world.derive_id(name), root=world.derive_commitment(name), count=1
        )


def test_a_later_log_is_shown_to_begin_with_an_earlier_one() -> None:
    """LED-LOG-8."""
    world = World.found()
    grow(world, *"abc")
    view = world.engine.snapshot()
    earlier = view.prove_leaf(0).checkpoint
    grow(world, *"defghij")

    proof = world.engine.snapshot().prove_growth(earlier.log_size)

    check_growth(proof, earlier, world.engine.genesis)
    assert proof.checkpoint.log_size == 10


def test_a_rewritten_log_is_noticed() -> None:
    """LED-LOG-8: the orderer signs another history of the same length."""
    honest, rewritten = World.found(), World.found()
    grow(honest, "a", "b", "c")
    earlier = honest.engine.snapshot().prove_leaf(0).checkpoint
    grow(rewritten, "a", "x", "c", "d")

    proof = rewritten.engine.snapshot().prove_growth(3)

    check_receipt(rewritten.engine.snapshot().prove_leaf(1), rewritten.engine.genesis)
    with pytest.raises(Refused, match="rewritten"):
        check_growth(proof, earlier, honest.engine.genesis)


def test_a_forged_or_mismatched_proof_of_growth_is_refused() -> None:
    """LED-LOG-8."""
    world = World.found()
    grow(world, *"abc")
    earlier = world.engine.snapshot().prove_leaf(0).checkpoint
    grow(world, *"defg")
    proof = world.engine.snapshot().prove_growth(3)
    other = Digest(encode_digest(bytes(32)))

    for changes in (
        {"earlier_size": 2},
        {"path": proof.path[:-1]},
        {"path": (*proof.path, other)},
        {"path": (other, *proof.path[1:])},
        {"checkpoint": earlier},
    ):
        with pytest.raises(Refused, match="rewritten"):
            check_growth(msgspec.structs.replace(proof, **changes), earlier, world.engine.genesis)


@pytest.mark.parametrize("size", [0, 4, -1])
def test_growth_from_a_size_that_never_was_is_refused(size: int) -> None:
    world = World.found()
    grow(world, *"abc")

    with pytest.raises(Refused, match="NOT_FOUND"):
        world.engine.snapshot().prove_growth(size)
