"""An auditor who is shown a site's round can tell whether it summed what it says."""

import functools

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iamata.learning.secure_sum.auditing import check_contribution
from iamata.learning.secure_sum.encoding import Part
from iamata.learning.secure_sum.messages import Heard
from iamata.learning.secure_sum.plans import Plan
from iamata.learning.secure_sum.progress import Record
from iamata.learning.secure_sum.site import Sum, spell_vector
from iamata.model.ids import MemberId
from iamata.model.reasons import Reason, Refused
from iamata.testing.rounds import Round, enter, make_plan, make_seed

MEMBER = MemberId("site-001")
PART = Part(length=2, scale_bits=0, magnitude_max=100)
LOST = 4


@functools.cache
def finish() -> tuple[Plan, Sum, bytes]:
    plan = make_plan(5, parts=[PART])
    values = [np.array([at, 7]) for at in range(5)]
    opened = Round.open(enter(plan, values))
    opened.finish(lost={LOST: 2})
    total = opened.sites[1].find_sum()
    assert total is not None
    return plan, total, spell_vector(plan, rows=1, values=[values[1]], noise=None)


def audit(record: Record, *, member: MemberId = MEMBER, seed: bytes, vector: bytes) -> bytes:
    plan, *_ = finish()
    return check_contribution(plan, record, member, seed=seed, vector=vector)


def test_an_honest_sites_round_comes_to_the_transcript_that_all_attest() -> None:
    _, total, vector = finish()

    assert vector == b"".join(number.to_bytes(8, "little") for number in (1, 1, 7))  # rows, then values
    assert audit(total.record, seed=make_seed(1, label=2), vector=vector) == total.transcript


def test_another_vector_seed_or_member_is_found() -> None:
    _, total, vector = finish()
    seed = make_seed(1, label=2)

    for some_seed, some_vector in ((seed, bytes(len(vector))), (bytes(32), vector), (seed, vector[:-8])):
        with pytest.raises(Refused) as refusal:
            audit(total.record, seed=some_seed, vector=some_vector)
        assert refusal.value.reason is Reason.FAULT_FOUND
    for member, reason in (("site-002", Reason.FAULT_FOUND), ("nobody", Reason.UNKNOWN_MEMBER)):
        with pytest.raises(Refused) as refusal:
            audit(total.record, member=MemberId(member), seed=seed, vector=vector)
        assert refusal.value.reason is reason


@given(data=st.data())
def test_a_record_in_which_anything_was_changed_comes_to_no_attested_transcript(
    data: st.DataObject,
) -> None:
    _, total, vector = finish()
    keys, heard = total.record.keys, total.record.heard
    phase = data.draw(st.integers(min_value=-1, max_value=len(heard) - 1))
    if phase < 0:
        at = data.draw(st.integers(min_value=0, max_value=len(keys) - 1))
        changed = msgspec.structs.replace(keys[at], self_mask=bytes(32))
        record = Record((*keys[:at], changed, *keys[at + 1 :]), heard)
    else:
        record = Record(keys, (*heard[:phase], change(heard[phase], data), *heard[phase + 1 :]))

    try:
        transcript = audit(record, seed=make_seed(1, label=2), vector=vector)
    except Refused as refusal:
        assert refusal.reason is Reason.FAULT_FOUND
    else:
        assert transcript != total.transcript


def change(said: Heard, data: st.DataObject) -> Heard:
    """Leave one out, or put other words into a site's mouth."""
    at = data.draw(st.integers(min_value=0, max_value=len(said) - 1))
    others = [(said[at][0], bytes(32))] if data.draw(st.booleans()) else []
    return (*said[:at], *others, *said[at + 1 :])


def test_a_round_that_was_cut_short_is_none() -> None:
    _, total, vector = finish()

    with pytest.raises(Refused) as refusal:
        audit(Record(total.record.keys, total.record.heard[:-1]), seed=make_seed(1, label=2), vector=vector)
    assert refusal.value.reason is Reason.FAULT_FOUND
