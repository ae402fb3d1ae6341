"""Shares are whole numbers that add up in any order, and a query has one name."""

import random
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iamata.learning.programmes import (
    SHARE_MAX,
    Noise,
    Part,
    Query,
    Site,
    add_plainly,
    choose_bits,
    decode_sum,
    encode_share,
    run,
)
from iamata.model.reasons import Reason, Refused


def ask(bits: int = 20, length: int = 2, **given: object) -> Query:
    return Query("test", (Part("x", length, bits),), lambda _, __: {}, given)


@given(
    st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)), min_size=1, max_size=8), st.randoms()
)
def test_shares_add_up_to_the_same_sum_in_any_order(
    rows: list[tuple[float, float]], chance: random.Random
) -> None:
    shares = [encode_share(ask(), {"x": np.array(row)}) for row in rows]
    total = decode_sum(ask(), add_plainly(ask(), shares))["x"]

    chance.shuffle(shares)

    np.testing.assert_array_equal(decode_sum(ask(), add_plainly(ask(), shares))["x"], total)
    np.testing.assert_allclose(total, np.sum(rows, axis=0), atol=len(rows) * 2.0**-21)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), SHARE_MAX * 2.0])
def test_a_value_that_does_not_fit_is_refused(value: float) -> None:
    with pytest.raises(Refused) as refused:
        encode_share(ask(bits=0, length=1), {"x": np.array([value])})

    assert refused.value.reason is Reason.VALUE_OUT_OF_BOUNDS


def test_a_share_of_another_length_is_refused() -> None:
    with pytest.raises(Refused) as refused:
        encode_share(ask(length=3), {"x": np.zeros(2)})

    assert refused.value.reason is Reason.TABLE_CLASHES


def test_the_scale_leaves_room_for_every_row() -> None:
    for rows in (1, 740, 100_000, 2**20):
        bits = choose_bits(rows, largest=64.0)
        assert rows * 64.0 * 2**bits <= SHARE_MAX


@pytest.mark.parametrize(
    "other",
    [
        ask(point=np.array([1.0, 2.5])),
        ask(point=np.array([1.0, np.nextafter(2.0, 3.0)])),
        ask(bits=21, point=np.array([1.0, 2.0])),
        ask(length=1, point=np.array([1.0, 2.0])),
        Query("other", ask().parts, ask().compute, {"point": np.array([1.0, 2.0])}),
        Query("test", ask().parts, ask().compute, {"point": np.array([1.0, 2.0])}, Noise(1.0, 0.5)),
    ],
)
def test_two_queries_that_differ_have_two_digests(other: Query) -> None:
    query = ask(point=np.array([1.0, 2.0]))

    assert query.digest() == ask(point=[1.0, 2.0]).digest()
    assert query.digest() != other.digest()


def test_sites_whose_schemas_clash_are_refused(make_table: object) -> None:
    tables: Sequence[object] = [make_table("binary"), make_table("count")]  # type: ignore[operator]

    with pytest.raises(Refused) as refused:
        run(lambda: iter(()), [Site(one) for one in tables])  # type: ignore[arg-type, return-value]

    assert refused.value.reason is Reason.TABLE_CLASHES
