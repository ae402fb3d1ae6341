"""Products of matrices that come out the same to the last bit, in whatever order they are added up.

A library of linear algebra adds in another order with another number of threads. A site that goes on after
a restart, and whoever audits it later, has to come to the very numbers that it once summed.
"""

import math
from typing import Final

import numpy as np

from iamata.learning.tables import Floats

_ROWS: Final = 2**13
_BITS: Final = 20
"""So many rows' products of numbers of so many bits add up below 2^53: exactly, whatever comes first."""

_UNIT_MIN: Final = -1_000
"""A column of smaller numbers is cut as if it had larger ones, whose inverse a float can hold."""


def multiply(left: Floats, right: Floats) -> Floats:
    """Compute left.T @ right; each number counts to 2^-40 of the largest in its column.

    Both are cut into a coarse and a fine part, whose products are exact (Ozaki et al. 2012).
    """
    total = np.zeros((left.shape[1], right.shape[1]))
    for begin in range(0, len(left), _ROWS):
        coarse, fine, unit = _cut(left[begin : begin + _ROWS])
        others_coarse, others_fine, others_unit = _cut(right[begin : begin + _ROWS])
        mixed = coarse.T @ others_fine + fine.T @ others_coarse
        whole = coarse.T @ others_coarse + mixed * 2.0**-_BITS
        total += np.ldexp(whole, unit[:, None] + others_unit - 2 * _BITS)
    return total


def weigh(matrix: Floats, coefficients: Floats) -> Floats:
    """Compute matrix @ coefficients, column by column."""
    total = np.zeros(len(matrix))
    for column, coefficient in zip(matrix.T, coefficients.tolist(), strict=True):
        total += column * coefficient
    return total


def add_up(values: Floats) -> float:
    """Add up numbers, rounded once; what is beyond a float's range comes to no number."""
    try:
        return math.fsum(values.tolist())
    except (OverflowError, ValueError):
        return math.nan


def _cut(values: Floats) -> tuple[Floats, Floats, np.ndarray]:
    """Cut columns into whole numbers of 20 bits, what is left of them in 2^-20, and each column's unit."""
    unit = np.maximum(np.frexp(np.abs(values).max(axis=0, initial=0.0))[1], _UNIT_MIN)
    scaled = values * np.ldexp(1.0, _BITS - unit)
    coarse = np.rint(scaled)
    return coarse, np.rint((scaled - coarse) * 2.0**_BITS), unit
