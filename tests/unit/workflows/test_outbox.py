"""What waits, and until when: as values, with the clock and chance in hand."""

import itertools
from collections.abc import Sequence
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iamata.model.ids import (
    RANDOM_ID_BYTES,
    ConsentId,
    MemberId,
    NetworkId,
    compute_random_id,
    encode_digest,
)
from iamata.model.instants import MS_PER_DAY, MS_PER_HOUR, MS_PER_MINUTE, Instant
from iamata.model.reasons import Reason, Refused
from iamata.testing.clock import FIRST_MS
from iamata.testing.entropy import SeededEntropy
from iamata.workflows import outbox as outboxes
from iamata.workflows.outbox import WAITING_MAX, ActId, LiftAct, Outbox, Waiting
from iamata.workflows.siblings import RECENT_MS, SPACING_MS

NETWORK: Final = NetworkId(encode_digest(bytes(32)))
NORTH, SOUTH, EAST = MemberId("north"), MemberId("south"), MemberId("east")
NOON: Final = FIRST_MS + 12 * MS_PER_HOUR


def make(*members: str, first: int = 1) -> list[Waiting]:
    """Make acts at some members."""
    return [
        Waiting(
            id=ActId(compute_random_id(number.to_bytes(RANDOM_ID_BYTES))),
            network=NETWORK,
            member=MemberId(member),
            due_ms=Instant(0),
            act=LiftAct(consent=ConsentId(compute_random_id(bytes(RANDOM_ID_BYTES))), restrictions=()),
        )
        for number, member in enumerate(members, first)
    ]


def put_in(
    box: Outbox, *members: str, now_ms: int = NOON, seed: str = "chance", is_now: bool = False
) -> Outbox:
    """Decide on acts at some members."""
    acts = make(*members, first=1 + len(box.waiting))
    return outboxes.put_in(box, acts, now_ms=now_ms, entropy=SeededEntropy(seed), is_now=is_now)


def list_waits(box: Outbox, now_ms: int = NOON) -> list[int]:
    """List how long each act waits."""
    return [one.due_ms - now_ms for one in box.waiting]


def went(*sent: tuple[str, int]) -> Outbox:
    """Remember what went to whom."""
    box = Outbox()
    for member, at_ms in sent:
        box = outboxes.mark_sent(box, network=NETWORK, member=MemberId(member), now_ms=at_ms)
    return box


def test_the_first_act_of_a_wallet_goes_at_once() -> None:
    assert list_waits(put_in(Outbox(), NORTH)) == [0]


def test_several_acts_at_one_custodian_are_no_siblings() -> None:
    assert list_waits(put_in(went((NORTH, NOON - 1)), NORTH, NORTH)) == [0, 0]


def test_one_decision_at_several_custodians_waits_for_the_next_day() -> None:
    waits = list_waits(put_in(Outbox(), NORTH, SOUTH, EAST))

    assert all(12 * MS_PER_HOUR <= wait < 36 * MS_PER_HOUR for wait in waits)


def test_acts_of_one_decision_at_one_custodian_go_together() -> None:
    first, second, other = list_waits(put_in(Outbox(), NORTH, NORTH, SOUTH))

    assert first == second
    assert abs(first - other) >= SPACING_MS


@pytest.mark.parametrize("ago_ms", [1, RECENT_MS - 1])
def test_an_act_that_follows_another_custodians_within_a_day_is_its_sibling(ago_ms: int) -> None:
    box = went((NORTH, NOON - ago_ms))

    assert list_waits(put_in(box, SOUTH)) != [0]
    assert outboxes.list_siblings(box, (SOUTH,), now_ms=NOON) == (SOUTH, NORTH)


def test_an_act_a_day_later_stands_alone() -> None:
    box = went((NORTH, NOON - RECENT_MS))

    assert list_waits(put_in(box, SOUTH)) == [0]
    assert outboxes.list_siblings(box, (SOUTH,), now_ms=NOON) == ()


def test_what_waits_elsewhere_makes_the_next_act_wait_too() -> None:
    box = put_in(put_in(went((NORTH, NOON)), SOUTH), NORTH, now_ms=NOON + 1)

    assert all(wait > 0 for wait in list_waits(box))


def test_who_will_not_wait_need_not() -> None:
    assert list_waits(put_in(went((EAST, NOON)), NORTH, SOUTH, is_now=True)) == [0, 0]


@given(
    groups=st.lists(st.lists(st.sampled_from([NORTH, SOUTH, EAST]), min_size=1, max_size=4), max_size=12),
    seed=st.text(max_size=3),
    now_ms=st.integers(FIRST_MS, FIRST_MS + MS_PER_DAY),
)
def test_what_goes_to_different_custodians_keeps_its_distance(
    groups: list[list[MemberId]], seed: str, now_ms: int
) -> None:
    box = went((NORTH, now_ms - 1))
    for group in groups:
        box = put_in(box, *group, now_ms=now_ms, seed=seed)

    instants = sorted(
        [(one.due_ms, one.member) for one in box.waiting if one.due_ms > now_ms] + [(now_ms - 1, NORTH)]
    )
    for (earlier, one), (later, other) in itertools.pairwise(instants):
        assert one == other or later - earlier >= SPACING_MS
    assert all(
        one.due_ms == now_ms or one.due_ms // MS_PER_DAY > now_ms // MS_PER_DAY for one in box.waiting
    )


def test_a_full_day_runs_over_into_the_next() -> None:
    box = Outbox()
    for at in range(70):
        box = put_in(box, NORTH, SOUTH, seed=str(at))

    days = {one.due_ms // MS_PER_DAY - NOON // MS_PER_DAY for one in box.waiting}
    assert days == {1, 2}


def test_what_is_due_together_after_a_pause_is_put_off_all_but_the_first() -> None:
    box = put_in(Outbox(), NORTH, SOUTH)
    later_ms = NOON + 10 * MS_PER_DAY
    first, second = outboxes.list_due(box, network=NETWORK, now_ms=later_ms)
    box = outboxes.mark_sent(
        outboxes.take_out(box, first.id), network=NETWORK, member=first.member, now_ms=later_ms
    )

    assert outboxes.is_crowded(box, second, now_ms=later_ms + SPACING_MS - 1)
    assert not outboxes.is_crowded(box, second, now_ms=later_ms + SPACING_MS)

    box, moved = outboxes.put_off(box, second, now_ms=later_ms, entropy=SeededEntropy("again"))
    assert box.waiting == (moved,)
    assert moved.due_ms // MS_PER_DAY == later_ms // MS_PER_DAY + 1


def test_what_was_refused_is_kept_and_never_due() -> None:
    box = put_in(Outbox(), NORTH)
    box = outboxes.mark_refused(box, box.waiting[0], Reason.UNKNOWN_CONSENT)

    assert [one.refused for one in box.waiting] == [Reason.UNKNOWN_CONSENT]
    assert outboxes.list_due(box, network=NETWORK, now_ms=NOON) == ()


def test_what_waits_for_another_network_is_not_due_here() -> None:
    other = NetworkId(encode_digest(bytes([1] * 32)))

    assert outboxes.list_due(put_in(Outbox(), NORTH), network=other, now_ms=NOON) == ()


def test_what_was_sent_is_forgotten_after_a_day_but_the_last() -> None:
    box = went((NORTH, NOON), (SOUTH, NOON + MS_PER_MINUTE), (EAST, NOON + RECENT_MS))

    assert [one.member for one in box.sent] == [SOUTH, EAST]


@pytest.mark.parametrize(
    ("members", "waiting"), [([f"m{at}x" for at in range(49)], 0), ([NORTH], WAITING_MAX)]
)
def test_an_outbox_has_its_limits(members: Sequence[str], waiting: int) -> None:
    box = Outbox(waiting=tuple(make(*[NORTH] * waiting)))

    with pytest.raises(Refused, match="TOO_LARGE"):
        outboxes.put_in(box, make(*members), now_ms=NOON, entropy=SeededEntropy("limit"))
