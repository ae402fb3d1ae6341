"""A relay or a site that lies gets nothing: honest sites refuse, and never take it back."""

import hashlib
from collections.abc import Sequence

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iamata.crypto import aead
from iamata.learning.secure_sum.encoding import Part, read_residues
from iamata.learning.secure_sum.messages import (
    MESSAGE_BYTES_MAX,
    PHASES,
    AnyMessage,
    Keys,
    Masked,
    Reveals,
    Sums,
    read_message,
    sign_message,
)
from iamata.learning.secure_sum.progress import Progress, open_progress, seal_progress
from iamata.learning.secure_sum.site import Site
from iamata.model.reasons import Reason, Refused
from iamata.testing.rounds import Round, enter, make_keys, make_plan

PART = Part(length=3, scale_bits=0, magnitude_max=100)
KEY = aead.Key(b"k" * aead.KEY_BYTES)
NONCE = bytes(aead.NONCE_BYTES)
KEYS, SHARES, MASKED, SURVIVORS, REVEALS, SUMS = range(6)


def open_round(sites: int = 4, *, phases: int = 0, nonce: int = 0, query: int = 0) -> Round:
    """Let sites go through some phases; what they hold are 1, 2, 3, … three times each."""
    plan = make_plan(sites, parts=[PART], nonce=nonce, query=query)
    values = [np.full(3, at + 1) for at in range(sites)]
    opened = Round.open(enter(plan, values))
    opened.advance(phases)
    return opened


def collect(opened: Round) -> list[bytes]:
    """Let the relay have the next phase's messages without delivering them."""
    opened.collect()
    return list(opened.relay.find_delivery(opened.relay.phase - 1) or ())


def refuse(site: Site, delivery: Sequence[bytes]) -> Reason:
    with pytest.raises(Refused) as refusal:
        site.receive(delivery)
    return refusal.value.reason


def read(opened: Round, raw: bytes) -> AnyMessage:
    return read_message(raw, opened.plan, plan_digest=opened.plan.compute_digest()).message


def resign(opened: Round, raw: bytes, **changes: object) -> bytes:
    """Let the sender of a message say something else, and sign that."""
    message = msgspec.structs.replace(read(opened, raw), **changes)
    return sign_message(make_keys(message.sender + 1)[message.sender], message)


def tamper(site: Site, at: int, **changes: object) -> Site:
    """Make a site dishonest: it goes on from a state that it has changed."""
    progress: Progress = open_progress(site.seal_state(KEY, nonce=NONCE), KEY)
    changed = seal_progress(msgspec.structs.replace(progress, **changes), KEY, nonce=NONCE)
    return Site.restore(changed, make_keys(at + 1)[at], sealing=KEY)


@pytest.mark.parametrize("phase", [KEYS, SHARES, MASKED, SURVIVORS, REVEALS])
def test_sites_that_were_shown_different_messages_part(phase: int) -> None:
    """SUM-MSG-4."""
    opened = open_round(phases=phase)
    delivery = collect(opened)
    opened.sites[0].receive(delivery[:3])
    for site in opened.sites[1:3]:
        site.receive(delivery)

    answers = [site.answer for site in opened.sites[:3]]

    for site in opened.sites[:3]:
        assert refuse(site, answers) is Reason.VIEWS_DIFFER
        assert refuse(site, answers) is Reason.ROUND_ABORTED
        assert site.find_sum() is None


def test_no_two_sets_of_survivors_are_unmasked() -> None:
    """SUM-PHASE-3."""
    opened = open_round(10, phases=MASKED)
    delivery = collect(opened)
    for at, site in enumerate(opened.sites):  # one half is told that the last has gone
        site.receive(delivery if at % 2 or at == 8 else delivery[:8] + delivery[9:])

    answers = [site.answer for site in opened.sites]
    shown_all = [at for at in range(10) if at % 2 or at == 8]
    shown_less = [at for at in range(10) if at not in shown_all]

    for at in shown_all:  # six, and four: fewer than the threshold of seven
        assert refuse(opened.sites[at], [answers[one] for one in shown_all]) is Reason.TOO_FEW_SITES
    for at in shown_less:
        assert refuse(opened.sites[at], answers) is Reason.VIEWS_DIFFER


def test_a_site_never_reveals_both_shares_of_a_peer() -> None:
    """SUM-PHASE-4, SUM-MSG-5."""
    opened = open_round(5, phases=MASKED)
    masked = collect(opened)
    site = opened.sites[0]
    opened.deliver()
    survivors = collect(opened)
    reveal = site.receive(survivors)
    assert reveal is not None
    assert isinstance(read(opened, reveal), Reveals)

    # The fifth was in the sum, so its self-mask was revealed. Now the relay says that it had left.
    assert refuse(site, masked[:4]) is Reason.VIEWS_DIFFER
    assert refuse(site, survivors) is Reason.ROUND_ABORTED
    with pytest.raises(Refused):
        _ = site.answer


@settings(max_examples=30, deadline=None)
@given(st.integers(4, 7), st.data())
def test_whatever_a_relay_shows_whom_one_set_is_unmasked_and_one_sum_believed(
    count: int, data: st.DataObject
) -> None:
    sites = open_round(count).sites
    living, revealing = dict(enumerate(sites)), {}
    for phase in range(len(PHASES)):
        answers = {at: site.answer for at, site in living.items()}
        hidden = data.draw(
            st.dictionaries(st.sampled_from(range(count)), st.integers(0, count - 1), max_size=3)
        )
        for at, site in list(living.items()):
            shown = [raw for sender, raw in answers.items() if hidden.get(at) != sender]
            if not _is_received(site, shown):
                del living[at]
            elif phase == SURVIVORS:
                revealing[at] = site.attempt.revealed

    assert len(set(revealing.values())) <= 1
    totals = [total for site in sites if (total := site.find_sum())]
    assert len({total.transcript for total in totals}) <= 1
    for total in totals:
        expected = sum(at + 1 for at, site in enumerate(sites) if site.member in total.sites)
        assert total.integers[0].tolist() == [expected] * 3
        assert len(total.sites) >= total.plan.threshold


def _is_received(site: Site, delivery: Sequence[bytes]) -> bool:
    try:
        site.receive(delivery)
    except Refused:
        return False
    return True


def test_deliveries_out_of_their_order_do_no_harm() -> None:
    """SUM-MSG-5."""
    opened = open_round(phases=SHARES)
    early = opened.sites[0]
    shares = collect(opened)
    for site in opened.sites[1:]:
        site.receive(shares)
    masked = [site.answer for site in opened.sites[1:]]

    assert refuse(early, masked) is Reason.OUT_OF_TURN
    assert refuse(early, [shares[0], masked[0]]) is Reason.OUT_OF_TURN

    early.receive(shares)
    assert len(opened.finish()) == 4


def test_senders_stand_in_order_and_once() -> None:
    for change in (
        lambda delivery: delivery[::-1],
        lambda delivery: [*delivery[:3], delivery[2]],
    ):
        opened = open_round(phases=MASKED)
        assert refuse(opened.sites[0], change(collect(opened))) is Reason.NOT_CANONICAL


@pytest.mark.parametrize("delivery", [[], [b""], [b"x" * 64], [b"x" * 200], [bytes(MESSAGE_BYTES_MAX + 1)]])
def test_noise_is_refused(delivery: list[bytes]) -> None:
    opened = open_round()

    assert refuse(opened.sites[0], delivery) in {Reason.TOO_FEW_SITES, Reason.MALFORMED, Reason.TOO_LARGE}


def test_a_changed_bit_is_refused() -> None:
    opened = open_round(phases=MASKED)
    delivery = collect(opened)
    changed = bytearray(delivery[1])
    changed[-1] ^= 1

    assert refuse(opened.sites[0], [delivery[0], bytes(changed), *delivery[2:]]) is Reason.BAD_SIGNATURE


def test_a_message_has_one_spelling() -> None:
    opened = open_round()
    payload = opened.sites[1].answer[64:]
    longer = b"\xdc\x00" + bytes([payload[0] & 0x0F]) + payload[1:]  # the same array with a longer head
    signing = b"iamata/1/secure-sum.message\x00" + hashlib.sha256(longer).digest()

    with pytest.raises(Refused) as refusal:
        read(opened, make_keys(2)[1].sign(signing) + longer)
    assert refusal.value.reason is Reason.NOT_CANONICAL


def test_messages_of_another_query_or_run_are_refused() -> None:
    for other in (open_round(query=1), open_round(nonce=1)):
        opened = open_round()
        delivery = [opened.sites[0].answer, *(site.answer for site in other.sites[1:])]

        assert refuse(opened.sites[0], delivery) is Reason.ANOTHER_ROUND
        with pytest.raises(Refused) as refusal:
            opened.relay.receive(other.sites[1].answer)
        assert refusal.value.reason is Reason.ANOTHER_ROUND


def test_a_site_that_was_left_out_leaves() -> None:
    opened = open_round(phases=MASKED)

    assert refuse(opened.sites[0], collect(opened)[1:]) is Reason.SITE_LEFT_OUT


def test_fewer_than_the_threshold_are_not_enough() -> None:
    opened = open_round(10, phases=MASKED)

    assert refuse(opened.sites[0], collect(opened)[:6]) is Reason.TOO_FEW_SITES


def test_who_has_left_does_not_come_back() -> None:
    opened = open_round(phases=SHARES)
    opened.advance(1, lost={3: SHARES})
    delivery = collect_from(opened, opened.sites[:3])
    late = resign(opened, delivery[2], sender=3)

    assert refuse(opened.sites[0], [*delivery, late]) is Reason.OUT_OF_TURN
    with pytest.raises(Refused):
        opened.relay.receive(late)


def collect_from(opened: Round, sites: Sequence[Site]) -> list[bytes]:
    for site in sites:
        opened.relay.receive(site.answer)
    return list(opened.relay.find_delivery(opened.relay.phase - 1) or ())


def test_a_site_cannot_say_two_things() -> None:
    opened = open_round(phases=MASKED)
    first = opened.sites[1].answer
    opened.relay.receive(first)

    with pytest.raises(Refused) as refusal:
        opened.relay.receive(resign(opened, first, vector=bytes(32)))
    assert refusal.value.reason is Reason.VIEWS_DIFFER


def test_another_sum_is_refused_by_all() -> None:
    opened = open_round(phases=SUMS)
    delivery = collect(opened)
    assert isinstance(read(opened, delivery[1]), Sums)
    delivery[1] = resign(opened, delivery[1], total=bytes(32))

    for at in (0, 2, 3):
        assert refuse(opened.sites[at], delivery) is Reason.VIEWS_DIFFER
        assert opened.sites[at].find_sum() is None


def test_a_point_that_would_make_masks_known_is_refused() -> None:
    opened = open_round()
    delivery = collect(opened)
    delivery[1] = resign(opened, delivery[1], channel=bytes(32))

    assert refuse(opened.sites[0], delivery) is Reason.WEAK_KEY

    opened = open_round()
    delivery = collect(opened)
    delivery[1] = resign(opened, delivery[1], masking=bytes(32))
    opened.sites[1] = tamper(opened.sites[1], 1, sent=delivery[1])
    for site in opened.sites:
        site.receive(delivery)
    assert refuse(opened.sites[0], [site.answer for site in opened.sites]) is Reason.WEAK_KEY


def let_one_lie(sites: int, share: bytes) -> Round:
    """Let the second site reveal something else of everybody's self-mask."""
    opened = open_round(sites, phases=SURVIVORS)
    liar = open_progress(opened.sites[1].seal_state(KEY, nonce=NONCE), KEY)
    swapped = {peer: msgspec.structs.replace(one, self_mask=share) for peer, one in liar.shares.items()}
    opened.sites[1] = tamper(opened.sites[1], 1, shares=swapped)
    opened.advance(1)
    return opened


LIES = [bytes(66), b"\xff" * 66]


@pytest.mark.parametrize("share", LIES)
def test_shares_that_do_not_restore_what_was_announced_are_refused(share: bytes) -> None:
    opened = let_one_lie(3, share)
    delivery = collect(opened)

    for site in opened.sites:
        assert refuse(site, delivery) is Reason.SHARES_DO_NOT_FIT


@pytest.mark.parametrize("share", LIES)
@pytest.mark.parametrize("sites", [4, 7])
def test_one_that_lies_is_left_out_where_more_than_enough_have_revealed(sites: int, share: bytes) -> None:
    totals = let_one_lie(sites, share).finish()

    assert [total.integers[0].tolist() for total in totals] == [[sites * (sites + 1) // 2] * 3] * sites


def test_what_does_not_open_is_left_out_too() -> None:
    opened = open_round(4, phases=REVEALS)
    opened.sites[1] = tamper(opened.sites[1], 1, sent=forge_reveals(opened))

    assert len(opened.finish()) == 4


def forge_reveals(opened: Round) -> bytes:
    raw = opened.sites[1].answer
    message = read(opened, raw)
    assert isinstance(message, Reveals)
    return resign(opened, raw, sealed=bytes(len(message.sealed)))


def test_shares_sealed_for_another_do_not_open() -> None:
    opened = open_round(phases=SHARES)
    delivery = collect(opened)
    sealed = read(opened, delivery[1]).sealed  # type: ignore[union-attr]
    delivery[1] = resign(opened, delivery[1], sealed=(sealed[2], sealed[1], sealed[0], sealed[3]))

    assert refuse(opened.sites[0], delivery) is Reason.CANNOT_OPEN


def test_the_relay_keeps_out_what_nobody_could_go_on_with() -> None:
    for phase, changes in (
        (SHARES, {"sealed": ()}),
        (MASKED, {"vector": bytes(8)}),
        (REVEALS, {"sealed": b""}),
        (MASKED, {"seen": bytes(32)}),
    ):
        opened = open_round(phases=phase)
        with pytest.raises(Refused) as refusal:
            opened.relay.receive(resign(opened, opened.sites[1].answer, **changes))
        assert refusal.value.reason in {Reason.MALFORMED, Reason.VIEWS_DIFFER}
        assert len(opened.finish()) == 4


def test_two_inputs_with_one_sum_give_the_relay_the_same_view_under_some_masks() -> None:
    """What the relay holds fits every input with this sum: masks that turn one into the other exist."""
    opened = open_round(phases=MASKED)
    views = [read(opened, raw) for raw in collect(opened)]
    seen = [read_residues(one.vector, 4) for one in views if isinstance(one, Masked)]
    ones = np.ones(1, dtype=np.uint64)
    inputs = [np.concatenate([ones, np.full(3, at + 1, dtype=np.uint64)]) for at in range(4)]
    others = [np.concatenate([ones, np.array(row, dtype=np.uint64)]) for row in ((10, 0, 3), (0, 5, 3))]
    others += [np.concatenate([ones, np.array(row, dtype=np.uint64)]) for row in ((0, 5, 2), (0, 0, 2))]

    masks = [view - own for view, own in zip(seen, inputs, strict=True)]
    other_masks = [view - own for view, own in zip(seen, others, strict=True)]

    # The views are equal by construction; what unmasking takes off, the sum of the masks, is equal too.
    assert np.sum(masks, axis=0).tolist() == np.sum(other_masks, axis=0).tolist()
    assert all((one != other).any() for one, other in zip(masks, other_masks, strict=True))


def test_the_relay_sees_sizes_and_nothing_else_of_a_vector() -> None:
    rounds = []
    for value in (0, 77):
        plan = make_plan(4, parts=[PART])
        rounds.append(Round.open(enter(plan, [np.full(3, value)] * 4, rows=[value] * 4)))
        rounds[-1].finish()
    exchanges = [[one.relay.find_delivery(phase) or () for phase in range(len(PHASES))] for one in rounds]

    sizes = [[[len(raw) for raw in delivery] for delivery in exchange] for exchange in exchanges]
    keys = [[read(rounds[0], raw) for raw in exchange[0]] for exchange in exchanges]
    vectors = [[read(rounds[0], raw) for raw in exchange[MASKED]] for exchange in exchanges]

    assert sizes[0] == sizes[1]
    for one, other in zip(*keys, strict=True):  # all but the commitment, which is salted
        assert isinstance(one, Keys)
        assert isinstance(other, Keys)
        assert msgspec.structs.replace(one, vector=b"") == msgspec.structs.replace(other, vector=b"")
    for one, other in zip(*vectors, strict=True):
        assert isinstance(one, Masked)
        assert isinstance(other, Masked)
        assert one.vector != other.vector
