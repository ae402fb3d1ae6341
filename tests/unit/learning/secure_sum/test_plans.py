"""Nobody follows a plan that would show a vector, overflow, or ask twice."""

from base64 import b64encode

import msgspec
import pytest

from iamata.client.connection import ANSWER_BYTES_MAX
from iamata.learning.secure_sum.encoding import VALUE_BYTES, VALUES_MAX, Part
from iamata.learning.secure_sum.plans import (
    DELIVERY_VALUES_MAX,
    SITES_MAX,
    Attempt,
    Plan,
    check_attempt,
    check_plan,
    compute_threshold,
)
from iamata.model.reasons import Reason, Refused
from iamata.testing.rounds import make_plan, rewrite


def refuse(plan: Plan) -> Reason:
    with pytest.raises(Refused) as refusal:
        check_plan(plan)
    return refusal.value.reason


def test_the_threshold_is_two_thirds_and_one() -> None:
    assert [compute_threshold(sites) for sites in range(3, 11)] == [3, 3, 4, 5, 5, 6, 7, 7]


@pytest.mark.parametrize("sites", [3, 4, 10, 256])
def test_a_plan_among_three_or_more_is_fine(sites: int) -> None:
    check_plan(make_plan(sites))


def test_a_plan_among_two_is_refused() -> None:
    """SUM-PLAN-2."""
    plan = make_plan(3)

    assert refuse(rewrite(plan, seats=plan.seats[:2], threshold=2)) is Reason.TOO_FEW_SITES


@pytest.mark.parametrize("threshold", [0, 6, 11])
def test_a_threshold_out_of_range_is_refused(threshold: int) -> None:
    """SUM-PLAN-3."""
    assert refuse(rewrite(make_plan(10), threshold=threshold)) is Reason.TOO_FEW_SITES


def test_seats_stand_in_order_once() -> None:
    """SUM-PLAN-2."""
    plan = make_plan(4)

    assert refuse(rewrite(plan, seats=plan.seats[::-1])) is Reason.NOT_CANONICAL
    assert refuse(rewrite(plan, seats=(*plan.seats[:3], plan.seats[2]))) is Reason.NOT_CANONICAL
    twin = msgspec.structs.replace(plan.seats[3], key=plan.seats[0].key)
    assert refuse(rewrite(plan, seats=(*plan.seats[:3], twin))) is Reason.KEY_ALREADY_USED


def test_a_sum_that_could_overflow_is_refused() -> None:
    """SUM-PLAN-4."""
    part = Part(length=1, scale_bits=41, magnitude_max=2**20)

    check_plan(make_plan(3, parts=[part]))
    assert refuse(make_plan(4, parts=[part])) is Reason.VALUE_NOT_ENCODABLE


def test_a_vector_has_a_limit() -> None:
    part = Part(length=VALUES_MAX, scale_bits=0, magnitude_max=1)

    assert refuse(make_plan(3, parts=[part])) is Reason.TOO_LARGE
    assert refuse(make_plan(3, parts=[])) is Reason.TOO_LARGE


def test_what_one_delivery_brings_has_a_limit_that_a_node_reads() -> None:
    """SUM-PLAN-6."""
    per_site = DELIVERY_VALUES_MAX // 10
    part = Part(length=per_site - 1, scale_bits=0, magnitude_max=1)

    check_plan(make_plan(10, parts=[part]))
    assert refuse(make_plan(11, parts=[part])) is Reason.TOO_LARGE
    longest = 10 * (per_site * VALUE_BYTES + SITES_MAX)  # and what stands around a vector
    assert len(b64encode(bytes(longest))) + SITES_MAX < ANSWER_BYTES_MAX


def test_everything_in_a_plan_changes_its_digest() -> None:
    plan = make_plan(4)
    others = [
        make_plan(4, nonce=1),
        make_plan(4, query=1),
        make_plan(5),
        rewrite(plan, threshold=4),
        rewrite(plan, run="b" * 25 + "a"),
        rewrite(plan, network="B" * 42 + "A"),
        make_plan(4, parts=[Part(length=4, scale_bits=21, magnitude_max=1_000)]),
    ]

    assert len({one.compute_digest() for one in [plan, *others]}) == 8


def test_a_nonce_is_good_once() -> None:
    """SUM-PLAN-5."""
    plan = make_plan(4)
    earlier = [Attempt(nonce=plan.nonce, query=make_plan(4, query=1).query)]

    with pytest.raises(Refused) as refusal:
        check_attempt(plan, earlier)
    assert refusal.value.reason is Reason.QUERY_ALREADY_ANSWERED


def test_a_query_is_asked_again_only_over_the_same_sites_all_of_them() -> None:
    """SUM-PLAN-5."""
    members = tuple(seat.member for seat in make_plan(4).seats)
    again = make_plan(4, nonce=1)
    whole = Attempt(nonce=make_plan(4).nonce, query=again.query, revealed=members)

    check_attempt(rewrite(again, threshold=4), [whole])
    for plan, earlier in (
        (again, whole),  # one might drop out, and the difference would be its vector
        (rewrite(again, threshold=4), msgspec.structs.replace(whole, revealed=members[:3])),
        (make_plan(5, nonce=1), whole),
    ):
        with pytest.raises(Refused) as refusal:
            check_attempt(plan, [earlier])
        assert refusal.value.reason is Reason.QUERY_ALREADY_ANSWERED


def test_a_query_that_nobody_unmasked_may_be_asked_again() -> None:
    check_attempt(make_plan(4, nonce=1), [Attempt(nonce=make_plan(4).nonce, query=make_plan(4).query)])
