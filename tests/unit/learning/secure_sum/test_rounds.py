"""Honest sites come to the sum of those who stayed, whoever leaves in whichever phase, or to nothing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from iamata.crypto import aead
from iamata.learning.secure_sum.encoding import Part
from iamata.learning.secure_sum.messages import PHASES
from iamata.learning.secure_sum.plans import Plan
from iamata.learning.secure_sum.rehearsal import rehearse
from iamata.learning.secure_sum.relay import Relay
from iamata.learning.secure_sum.site import Site, spell_vector
from iamata.model.reasons import Reason, Refused
from iamata.testing.rounds import Round, enter, make_keys, make_plan

MASKED = PHASES.index("masked")
KEY = aead.Key(b"k" * aead.KEY_BYTES)
UNITS = Part(length=3, scale_bits=0, magnitude_max=2**40)


def make_units(plan: Plan, seed: int) -> list[NDArray[np.int64]]:
    chance = np.random.default_rng(seed)
    return [chance.integers(-(2**40), 2**40, 3) for _ in plan.seats]


def add_units(values: list[NDArray[np.int64]], sites: list[int]) -> list[int]:
    return [int(one) for one in np.sum([values[at] for at in sites], axis=0)]


@st.composite
def losses(draw: st.DrawFn) -> tuple[int, dict[int, int]]:
    """Draw a number of sites, and of those who may leave some, each in a phase of its own."""
    sites = draw(st.integers(3, 10))
    count = draw(st.integers(0, sites - make_plan(sites).threshold))
    leavers = draw(st.lists(st.integers(0, sites - 1), min_size=count, max_size=count, unique=True))
    return sites, {leaver: draw(st.integers(0, len(PHASES) - 1)) for leaver in leavers}


@settings(max_examples=30, deadline=None)
@given(losses(), st.integers(0, 2**32))
def test_the_sum_is_that_of_those_who_sent_a_masked_vector(
    case: tuple[int, dict[int, int]], seed: int
) -> None:
    count, lost = case
    plan = make_plan(count, parts=[UNITS])
    values = make_units(plan, seed)
    rows = [seed % 97 + at for at in range(count)]

    totals = Round.open(enter(plan, values, rows=rows)).finish(lost=lost)

    present = [at for at in range(count) if lost.get(at, len(PHASES)) > MASKED]
    assert len(totals) == count - len(lost)
    for total in totals:
        assert total.integers[0].tolist() == add_units(values, present)
        assert total.rows == sum(rows[at] for at in present)
        assert total.sites == tuple(plan.seats[at].member for at in present)
        assert total.transcript == totals[0].transcript


@pytest.mark.parametrize("phase", range(len(PHASES)))
@pytest.mark.parametrize(("sites", "lost"), [(3, 1), (4, 2), (10, 4)])
def test_a_round_ends_without_a_sum_when_too_many_leave(sites: int, lost: int, phase: int) -> None:
    plan = make_plan(sites, parts=[UNITS])
    one = Round.open(enter(plan, make_units(plan, 1)))

    with pytest.raises(Refused) as refusal:
        one.finish(lost=dict.fromkeys(range(lost), phase))

    assert refusal.value.reason is Reason.TOO_FEW_SITES
    assert [site.find_sum() for site in one.sites] == [None] * sites


def test_numbers_come_back_as_numbers() -> None:
    plan = make_plan(4, parts=[Part(length=2, scale_bits=30, magnitude_max=10), UNITS])
    keys = make_keys(4)
    sites = [
        Site.start(
            plan,
            key,
            seed=bytes([at]) * 32,
            rows=at,
            values=[np.array([0.1, -2.5]) * at, np.array([at, 0, -at])],
        )
        for at, key in enumerate(keys)
    ]

    total = rehearse(plan, sites)

    assert total.rows == 6
    assert total.values[0] == pytest.approx([0.6, -15], abs=2e-9)
    assert total.integers[1].tolist() == [6, 0, -6]
    assert total.values[1].tolist() == [6, 0, -6]


@pytest.mark.parametrize("phase", range(len(PHASES)))
def test_everybody_dies_in_a_phase_and_goes_on(phase: int) -> None:
    plan = make_plan(5, parts=[UNITS])
    values = make_units(plan, 2)
    undisturbed = Round.open(enter(plan, values)).finish()[0]
    one = Round.open(enter(plan, values))
    one.advance(phase)
    answers = [site.answer for site in one.sites]

    sealed = [site.seal_state(KEY, nonce=bytes([at]) * 12) for at, site in enumerate(one.sites)]
    one.sites = [
        Site.restore(state, key, sealing=KEY) for state, key in zip(sealed, make_keys(5), strict=True)
    ]
    one.relay = Relay.restore(one.relay.spell_state())

    assert [site.answer for site in one.sites] == answers
    assert one.finish()[0].transcript == undisturbed.transcript


def test_a_relay_that_dies_amid_a_phase_keeps_what_it_has_or_is_told_again() -> None:
    plan = make_plan(4, parts=[UNITS])
    one = Round.open(enter(plan, make_units(plan, 3)))
    one.advance(2)
    before = one.relay.spell_state()
    for site in one.sites[:2]:
        one.relay.receive(site.answer)

    one.relay = Relay.restore(before)  # what came since is lost

    assert len(one.finish()) == 4


def test_what_was_said_may_be_said_again() -> None:
    plan = make_plan(4, parts=[UNITS])
    one = Round.open(enter(plan, make_units(plan, 4)))
    for phase in range(len(PHASES)):
        said = [site.answer for site in one.sites]
        for raw in said * 2:
            one.relay.receive(raw)
        delivery = one.relay.find_delivery(phase) or ()
        answers = [[site.receive(delivery) for site in one.sites] for _ in range(2)]
        assert answers[0] == answers[1]

    assert {site.phase for site in one.sites} == {len(PHASES)}


def test_a_state_at_rest_shows_nothing_and_belongs_to_one_member() -> None:
    plan = make_plan(3, parts=[UNITS])
    one = Round.open(enter(plan, make_units(plan, 5)))
    one.advance(2)
    site = one.sites[0]
    vector = spell_vector(plan, rows=1, values=[make_units(plan, 5)[0]], noise=None)
    sealed = site.seal_state(KEY, nonce=bytes(12))

    assert vector not in sealed
    for changed in (b"", sealed[:-1], sealed[:20] + bytes([sealed[20] ^ 1]) + sealed[21:]):
        with pytest.raises(Refused) as refusal:
            Site.restore(changed, make_keys(3)[0], sealing=KEY)
        assert refusal.value.reason is Reason.CANNOT_OPEN
    with pytest.raises(Refused) as refusal:
        Site.restore(sealed, make_keys(3)[1], sealing=KEY)
    assert refusal.value.reason is Reason.ANOTHER_ROUND


def test_a_site_remembers_over_whom_it_helped_to_unmask() -> None:
    plan = make_plan(5, parts=[UNITS])
    one = Round.open(enter(plan, make_units(plan, 6)))
    one.advance(MASKED)
    assert {site.attempt.revealed for site in one.sites} == {()}

    one.advance(1, lost={4: MASKED})

    members = tuple(seat.member for seat in plan.seats[:4])
    assert one.sites[0].attempt.revealed == members
    with pytest.raises(Refused) as refusal:
        enter(
            make_plan(5, parts=[UNITS], nonce=1), make_units(plan, 6), earlier={0: [one.sites[0].attempt]}
        )
    assert refusal.value.reason is Reason.QUERY_ALREADY_ANSWERED


def test_a_site_without_a_seat_or_with_other_parts_is_refused() -> None:
    plan = make_plan(3, parts=[UNITS])
    stranger = make_keys(4)[3]

    for key, values, reason in (
        (stranger, [np.zeros(3)], Reason.ANOTHER_ROUND),
        (make_keys(3)[0], [], Reason.VALUE_NOT_ENCODABLE),
        (make_keys(3)[0], [np.array([np.nan, 0, 0])], Reason.VALUE_NOT_ENCODABLE),
    ):
        with pytest.raises(Refused) as refusal:
            Site.start(plan, key, seed=bytes(32), rows=1, values=values)
        assert refusal.value.reason is reason


def test_the_wire_is_what_it_was() -> None:
    """One digest stands for every byte that three sites exchange."""
    plan = make_plan(3, parts=[UNITS])

    total = rehearse(plan, enter(plan, [np.array([1, 2, 3])] * 3))

    assert total.transcript.hex() == "b4d6e1103eb162079216aa2e0ab42d0ac8abd711953a83cc903a0c46252dfd86"
