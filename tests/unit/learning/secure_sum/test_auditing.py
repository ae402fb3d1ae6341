"""An auditor who is shown a site's round can tell whether it summed what it says."""

import numpy as np
import pytest

from iamata.learning.secure_sum.auditing import check_commitment, check_contribution
from iamata.learning.secure_sum.encoding import Part
from iamata.model.ids import MemberId
from iamata.model.reasons import Reason, Refused
from iamata.testing.rounds import Round, enter, make_plan, make_seed

MEMBER = MemberId("site-001")
PART = Part(length=2, scale_bits=0, magnitude_max=100)


def finish() -> tuple[Round, bytes, bytes, list[list[bytes]]]:
    plan = make_plan(5, parts=[PART])
    opened = Round.open(enter(plan, [np.array([at, 7]) for at in range(5)]))
    opened.finish(lost={4: 2})
    salt, vector = opened.sites[1].opening
    return opened, salt, vector, [list(opened.relay.find_delivery(phase) or ()) for phase in range(3)]


def test_an_honest_site_passes() -> None:
    opened, salt, vector, deliveries = finish()

    assert vector == b"".join(number.to_bytes(8, "little") for number in (1, 1, 7))  # rows, then values
    check_commitment(opened.plan, deliveries[0], MEMBER, salt=salt, vector=vector)
    check_contribution(opened.plan, deliveries, MEMBER, seed=make_seed(1, label=2), vector=vector)


def test_another_vector_salt_seed_or_member_is_found() -> None:
    opened, salt, vector, deliveries = finish()
    other = bytes(len(vector))
    seed = make_seed(1, label=2)
    swapped = [deliveries[0], deliveries[1], deliveries[2][:1]]

    commitments = [(deliveries[0], salt, other), (deliveries[0], bytes(32), vector), ([], salt, vector)]
    for keys, some_salt, some_vector in commitments:
        with pytest.raises(Refused) as refusal:
            check_commitment(opened.plan, keys, MEMBER, salt=some_salt, vector=some_vector)
        assert refusal.value.reason is Reason.FAULT_FOUND
    contributions = [(deliveries, seed, other), (deliveries, bytes(32), vector), (swapped, seed, vector)]
    for some, some_seed, some_vector in contributions:
        with pytest.raises(Refused) as refusal:
            check_contribution(opened.plan, some, MEMBER, seed=some_seed, vector=some_vector)
        assert refusal.value.reason is Reason.FAULT_FOUND
    with pytest.raises(Refused) as refusal:
        check_contribution(opened.plan, deliveries, MemberId("nobody"), seed=seed, vector=vector)
    assert refusal.value.reason is Reason.UNKNOWN_MEMBER
