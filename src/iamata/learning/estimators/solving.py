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
    """Solve L Lᵀ x = right."""
    solution = _solve_lower(factor, right)
    for step in reversed(range(len(factor))):
        solution[step] = solution[step] / factor[step, step]
        solution[:step] -= _times(factor[step, :step], solution[step])
    return solution


def invert_roughly(factor: Floats, *, digits: int) -> Floats:
    """Return the inverse of L Lᵀ, made of the inverse of L to so many significant digits.

    So it stays symmetric, and no variance gets negative. Rounded itself it would not do: where a column
    nearly follows from others its large entries cancel, and what is left over would be rounding.
    """
    inverse = _solve_lower(factor, np.eye(len(factor)))
    rounded = np.array([float(f"{one:.{digits}g}") for one in inverse.ravel().tolist()])
    product = np.zeros_like(inverse)
    for row in rounded.reshape(inverse.shape):
        product += _times(row, row)
    return product


def _solve_lower(factor: Floats, right: Floats) -> Floats:
    """Solve L x = right, for one right side or for several as columns."""
    solution = right.astype(np.float64, copy=True)
    for step in range(len(factor)):
        solution[step] = solution[step] / factor[step, step]
        solution[step + 1 :] -= _times(factor[step + 1 :, step], solution[step])
    return solution


def _times(column: Floats, row: Floats) -> Floats:
    return np.multiply.outer(column, row)
