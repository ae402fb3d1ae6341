"""Numbers come back from residues as they were, and what could overflow never becomes one."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iamata.learning.secure_sum.encoding import (
    SUM_MAX,
    VALUES_MAX,
    Part,
    Residues,
    choose_scale_bits,
    decode_floats,
    decode_integers,
    encode_values,
    read_residues,
    spell_residues,
    split_parts,
)
from iamata.model.reasons import Reason, Refused

PART = Part(length=1, scale_bits=20, magnitude_max=1_000)
SITES = 10


def refuse(part: Part, values: Any) -> Reason:
    with pytest.raises(Refused) as refusal:
        encode_values(part, values)
    return refusal.value.reason


@given(st.floats(-1_000, 1_000))
def test_a_value_comes_back_within_half_a_unit(value: float) -> None:
    [decoded] = decode_floats(PART, encode_values(PART, np.array([value])))

    assert abs(Fraction(float(decoded)) - Fraction(value)) <= Fraction(1, 2**21)


@given(st.lists(st.integers(-(2**30), 2**30), min_size=1, max_size=20))
def test_multiples_of_the_unit_add_up_exactly(units: list[int]) -> None:
    values = [np.array([unit * 2.0**-20]) for unit in units]
    part = Part(length=1, scale_bits=20, magnitude_max=1_024)
    total: Residues = np.sum([encode_values(part, value) for value in values], axis=0, dtype=np.uint64)

    assert decode_integers(total).tolist() == [sum(units)]
    assert decode_floats(part, total).tolist() == [sum(units) * 2.0**-20]


@given(st.integers(1, 2**40), st.integers(3, 256))
def test_the_finest_scale_is_the_last_that_cannot_overflow(magnitude: int, sites: int) -> None:
    bits = choose_scale_bits(magnitude, sites)

    assert (magnitude << bits) * sites <= SUM_MAX
    assert (magnitude << (bits + 1)) * sites > SUM_MAX


def test_the_largest_sum_of_all_sites_does_not_wrap() -> None:
    bits = choose_scale_bits(1_000, SITES)
    part = Part(length=2, scale_bits=bits, magnitude_max=1_000)
    share = encode_values(part, np.array([1_000.0, -1_000.0]))

    total: Residues = np.sum([share] * SITES, axis=0, dtype=np.uint64)

    assert decode_floats(part, total).tolist() == [10_000.0, -10_000.0]


@pytest.mark.parametrize(
    "value", [np.nan, np.inf, -np.inf, 1_000.001, -1_000.001, 1e300, -1e300, 2.0**43, -(2.0**43)]
)
def test_what_is_no_number_or_beyond_the_bound_is_refused(value: float) -> None:
    """SUM-VEC-2."""
    assert refuse(PART, np.array([value])) is Reason.VALUE_NOT_ENCODABLE


def test_whole_numbers_pass_as_they_are() -> None:
    part = Part(length=3, scale_bits=0, magnitude_max=2**53 - 1)
    values = np.array([2**53 - 1, -(2**53 - 1), 0])

    assert decode_integers(encode_values(part, values)).tolist() == values.tolist()
    assert refuse(part, values + 1) is Reason.VALUE_NOT_ENCODABLE
    assert refuse(part, np.array([0, 0, -(2**63)])) is Reason.VALUE_NOT_ENCODABLE
    assert refuse(part, np.array([0, 0, 2**64 - 1], dtype=np.uint64)) is Reason.VALUE_NOT_ENCODABLE


def test_whole_numbers_take_a_scale_too() -> None:
    [decoded] = decode_floats(PART, encode_values(PART, np.array([-7])))

    assert decoded == -7


@pytest.mark.parametrize(
    "values",
    [np.zeros(2), np.zeros((1, 1)), np.zeros(1, dtype=np.float32), np.zeros(1, dtype=bool), np.zeros(0)],
)
def test_another_shape_or_kind_is_refused(values: Any) -> None:
    assert refuse(PART, values) is Reason.VALUE_NOT_ENCODABLE


def test_a_magnitude_for_which_no_scale_is_left_is_refused() -> None:
    with pytest.raises(Refused):
        choose_scale_bits(2**62, 3)


def test_residues_are_little_endian_and_have_one_length() -> None:
    residues = np.array([1, 2**64 - 1], dtype=np.uint64)

    assert spell_residues(residues) == b"\x01" + bytes(7) + b"\xff" * 8
    assert read_residues(spell_residues(residues), 2).tolist() == residues.tolist()
    for data in (b"", bytes(15), bytes(24)):
        with pytest.raises(Refused):
            read_residues(data, 2)


def test_a_vector_is_cut_into_its_parts() -> None:
    parts = [Part(length=length, scale_bits=0, magnitude_max=1) for length in (1, 3, 2)]

    pieces = split_parts(parts, np.arange(6, dtype=np.uint64))

    assert [piece.tolist() for piece in pieces] == [[0], [1, 2, 3], [4, 5]]
    assert VALUES_MAX >= 1_000_000
