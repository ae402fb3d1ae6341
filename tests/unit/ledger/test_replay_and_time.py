"""A replay is refused for as long as it could come, and time is the block's (LED-REPLAY, LED-TIME)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iamata.crypto.authmap import AuthMap
from iamata.ledger.leaves import decode_leaf
from iamata.ledger.state import LedgerState
from iamata.ledger.transactions.records import AnchorRecords
from iamata.ledger.window import WINDOW_MS, Window
from iamata.model.ids import TxId
from iamata.model.reasons import ACCEPTED, Reason, Refused
from iamata.testing.clock import FIRST_MS
from iamata.testing.world import World
from iamata.workflows.author import VALID_MS


def write_anchor(world: World, name: str = "anchor") -> bytes:
    return world.node("hospital-a").author.write(
        AnchorRecords, anchor=world.derive_id(name), root=world.derive_commitment("root"), count=1
    )


def test_a_block_is_later_than_the_one_before_whatever_the_clock_says() -> None:
    """LED-TIME-1."""
    world = World.found()
    first = world.memory.order([], at_ms=FIRST_MS + 1000).header
    second = world.memory.order([], at_ms=FIRST_MS - 1000).header

    assert (first.time_ms, second.time_ms) == (FIRST_MS + 1000, FIRST_MS + 1001)


@pytest.mark.parametrize(
    ("expires_in_ms", "reason"),
    [(0, Reason.EXPIRED), (1, ACCEPTED), (WINDOW_MS, ACCEPTED), (WINDOW_MS + 1, Reason.EXPIRES_TOO_LATE)],
)
def test_a_transaction_lives_from_one_to_six_hundred_thousand_milliseconds(
    expires_in_ms: int, reason: int
) -> None:
    """LED-TIME-2, LED-TIME-3."""
    world = World.found()
    block_ms = FIRST_MS + 2 * WINDOW_MS
    world.clock.now_ms = block_ms + expires_in_ms - VALID_MS

    assert world.memory.order([write_anchor(world)], at_ms=block_ms).outcome.results == (reason,)


def test_the_second_of_two_in_one_block_is_a_replay() -> None:
    """LED-REPLAY-2."""
    world = World.found()
    raw = write_anchor(world)

    assert world.memory.order([raw, raw]).outcome.results == (ACCEPTED, Reason.REPLAYED)


def test_a_restored_ledger_refuses_the_same_replay() -> None:
    """LED-REPLAY-3."""
    world = World.found()
    raw = write_anchor(world)
    installed = world.memory.order([raw])
    restored = LedgerState(world.engine.genesis)
    state = world.memory.state
    restored.restore(
        entries=AuthMap.load(state.entries.items()),
        frontier=state.frontier,
        header=installed.header,
        recent=[(installed.header.time_ms, [decode_leaf(leaf).id for leaf in installed.outcome.leaves])],
    )
    world.memory.state = restored

    assert world.memory.order([raw]).outcome.results == (Reason.REPLAYED,)


def test_a_block_taken_back_may_come_again() -> None:
    """LED-REPLAY-4."""
    world = World.found()
    state, before = world.memory.state, world.memory.state.app_hash
    raw = write_anchor(world)

    state.revert(world.memory.order([raw]))

    assert state.app_hash == before
    assert world.memory.order([raw]).outcome.results == (ACCEPTED,)


def test_taking_back_a_block_of_the_far_future_forgets_nothing_that_could_still_be_replayed() -> None:
    """LED-REPLAY-4: a clock that jumped ahead, a full disk, and a clock put right."""
    world = World.found()
    raw = write_anchor(world)
    world.memory.order([raw])

    world.memory.state.revert(world.memory.order([], at_ms=FIRST_MS + 10 * WINDOW_MS))

    assert world.memory.order([raw], at_ms=FIRST_MS + 2).outcome.results == (Reason.REPLAYED,)


def test_taking_back_a_block_that_repeats_an_id_keeps_the_first_one() -> None:
    """LED-REPLAY-4."""
    world = World.found()
    raw = write_anchor(world)
    world.memory.order([raw])

    world.memory.state.revert(world.memory.order([raw]))

    assert world.memory.order([raw]).outcome.results == (Reason.REPLAYED,)


def test_admission_refuses_what_the_next_block_would_not_take() -> None:
    world = World.found()
    raw = write_anchor(world)
    world.memory.order([raw])

    with pytest.raises(Refused, match="REPLAYED"):
        world.engine.submit(raw).result()


@given(st.lists(st.tuples(st.integers(1, WINDOW_MS), st.integers(0, 3)), min_size=1, max_size=30))
def test_the_window_holds_just_what_could_be_replayed_and_does_not_grow(
    steps: list[tuple[int, int]],
) -> None:
    """Against a model that never forgets: no id whose transaction could still be alive is missing."""
    window, model, time_ms = Window(), dict[TxId, list[int]](), 0
    for number, (gap_ms, count) in enumerate(steps):
        time_ms += gap_ms
        ids = [TxId(f"{number % 5}-{index}") for index in range(count)]
        window.extend(time_ms, ids)
        for tx_id in ids:
            model.setdefault(tx_id, []).append(time_ms)
        later_ms = time_ms + 1
        for tx_id, times in model.items():
            assert window.holds(tx_id, at_ms=later_ms) == (times[-1] >= later_ms - WINDOW_MS)

    assert len(window) <= sum(times[-1] >= time_ms - 2 * WINDOW_MS for times in model.values())
