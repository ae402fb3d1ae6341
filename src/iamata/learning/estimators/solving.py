"""Solve small symmetric systems with the same bits on every machine.

Every site solves for itself, and all must ask the next query with the same coefficients. A product of
matrices adds in an order that the machine's libraries choose; here each step is one operation on each
element (multiply, subtract, divide, root), which IEEE 754 rounds in one way.
"""

from typing import Final

import numpy as np

from iamata.learning.tables import Floats

PIVOT_MIN: Final = 1e-9
"""A column of which less than this part is its own follows from the columns before it."""


def decompose(matrix: Floats) -> tuple[Floats, int | None]:
    """Return the Cholesky factor L of a symmetric matrix, and the first column that fails, or None."""
    rest = matrix.astype(np.float64, copy=True)
    size = len(rest)
    factor = np.zeros((size, size))
    for step in range(size):
        pivot = rest[step, step]
        if not pivot > PIVOT_MIN * matrix[step, step]:
            return factor, step
        column = rest[step:, step] / np.sqrt(pivot)
        factor[step:, step] = column
        rest[step:, step:] -= column[:, None] * column[None, :]
    return factor, None


def solve_factored(factor: Floats, right: Floats) -> Floats:
    """Solve L Lᵀ x = right, for one right side or for several as columns."""
    solution = right.astype(np.float64, copy=True)
    size = len(factor)
    for step in range(size):
        solution[step] = solution[step] / factor[step, step]
        solution[step + 1 :] -= _times(factor[step + 1 :, step], solution[step])
    for step in reversed(range(size)):
        solution[step] = solution[step] / factor[step, step]
        solution[:step] -= _times(factor[step, :step], solution[step])
    return solution


def invert_factored(factor: Floats) -> Floats:
    """Return the inverse of L Lᵀ."""
    return solve_factored(factor, np.eye(len(factor)))


def _times(column: Floats, row: Floats) -> Floats:
    return np.multiply.outer(column, row)
