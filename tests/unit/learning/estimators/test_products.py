"""Products that are the same to the last bit in any order, and as near to the truth as they say."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iamata.learning.estimators.products import add_up, multiply, weigh
from iamata.learning.tables import Floats

MANY = 20_000


def draw(seed: int, rows: int, columns: int, *, spread: float = 3.0) -> Floats:
    """Draw numbers of very different sizes, within a column and between columns."""
    chance = np.random.default_rng(seed)
    drawn: Floats = chance.normal(size=(rows, columns)) * np.exp(
        spread * chance.normal(size=(rows, 1)) + spread * chance.normal(size=columns)
    )
    return drawn


@given(seed=st.integers(0, 2**32), rows=st.integers(1, 40), columns=st.integers(1, 4))
def test_a_product_is_what_it_is_but_for_two_to_the_minus_40_of_the_largest(
    seed: int, rows: int, columns: int
) -> None:
    left, right = draw(seed, rows, columns), draw(seed + 1, rows, 2)

    found = multiply(left, right)

    for i in range(columns):
        for j in range(2):
            pairs = zip(left[:, i].tolist(), right[:, j].tolist(), strict=True)
            exact = sum(Fraction(one) * Fraction(other) for one, other in pairs)
            largest = float(np.abs(left[:, i]).max() * np.abs(right[:, j]).max())
            assert abs(float(exact) - found[i, j]) <= rows * largest * 2.0**-38


def test_no_order_of_the_rows_within_a_block_changes_a_bit() -> None:
    left, right = draw(1, 8_000, 6), draw(2, 8_000, 5)
    expected = multiply(left, right)

    for seed in range(5):
        order = np.random.default_rng(seed).permutation(len(left))
        assert np.array_equal(multiply(left[order], right[order]), expected)
    assert (left[::-1].T @ right[::-1] != left.T @ right).any()  # what a library of linear algebra does


def test_blocks_add_up_to_the_whole() -> None:
    left, right = draw(3, MANY, 3, spread=0.5), draw(4, MANY, 3, spread=0.5)

    found = multiply(left, right)

    assert np.allclose(found, left.T @ right, rtol=1e-9, atol=1e-9 * np.abs(found).max())


@pytest.mark.parametrize("bad", [math.inf, -math.inf, math.nan])
def test_what_is_no_number_comes_to_none(bad: float) -> None:
    left, right = np.ones((4, 2)), np.ones((4, 1))
    left[1, 0] = bad

    with np.errstate(invalid="ignore"):
        found = multiply(left, right)

    assert not np.isfinite(found[0, 0])
    assert found[1, 0] == 4.0
    assert not math.isfinite(add_up(left[:, 0]))


def test_columns_of_zeros_and_of_no_rows_come_to_zero() -> None:
    assert multiply(np.zeros((3, 2)), np.ones((3, 1))).tolist() == [[0.0], [0.0]]
    assert multiply(np.zeros((0, 2)), np.zeros((0, 1))).tolist() == [[0.0], [0.0]]
    assert multiply(np.full((3, 1), 5e-324), np.ones((3, 1)))[0, 0] in (0.0, 1.5e-323)
    assert math.isnan(add_up(np.array([1e308, 1e308])))


def test_rows_are_weighed_column_by_column() -> None:
    matrix, coefficients = draw(5, 50, 4), np.array([0.5, -2.0, 0.25, 8.0])

    found = weigh(matrix, coefficients)

    assert np.allclose(found, matrix @ coefficients, rtol=1e-12)
    assert weigh(matrix[7:8], coefficients).tolist() == found[7:8].tolist()
