"""Cells of scores: where rows are counted by their probability, narrow where many of them lie.

A first sum says in which steps of log-odds there are rows. Steps are even in the inverse hyperbolic sine of
log-odds, so they are narrow around even odds and reach to whatever a number can be. Each step with enough
patients is then cut into more cells the more rows it has, so a model whose scores hardly differ is ranked
as finely as any. Steps with fewer are not cut, and what is cut is cut evenly: no cell begins or ends at
anybody's score.
"""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from iamata.learning.holders import compute_least
from iamata.learning.tables import Floats, Integers

LOG_ODDS_MAX: Final = 745.0
"""The smallest number above 0 has log-odds of -744.4."""
REACH: Final = math.asinh(LOG_ODDS_MAX)
PROBABILITY_MIN: Final = math.nextafter(0.0, 1.0)
PROBABILITY_MAX: Final = math.nextafter(1.0, 0.0)
PLACES: Final = 2**16
"""Into so many places a cell is divided, to tell rows of one score from rows of several.

Squares of places add up within a share, over as many rows as a site may have.
"""


def find_steps(probability: Floats, steps: int) -> Floats:
    """Return where each probability lies: its step, and as a fraction how far into it."""
    inside = np.clip(probability, PROBABILITY_MIN, PROBABILITY_MAX)
    risen = np.arcsinh(np.log(inside / (1.0 - inside))) / REACH
    return np.clip((risen + 1.0) * 0.5 * steps, 0.0, math.nextafter(steps, 0.0))


def divide_steps(rows: Floats, patients: Floats, *, patients_min: int) -> Integers:
    """Return into how many cells each step is cut: together into no more than there are steps.

    `rows` and `patients` count what lies in each step. One without rows has no cell.
    """
    is_held = rows > 0
    many = np.where(patients >= compute_least(patients_min), rows, 0.0)
    spare = len(rows) - int(is_held.sum())
    more = np.floor(spare * many / max(1.0, float(many.sum())))
    return is_held.astype(np.int64) + more.astype(np.int64)


def find_cells(place: Floats, widths: Integers) -> tuple[Integers, Integers]:
    """Return of each row its cell and, as a whole number, its place within.

    `place` is where rows lie among the steps, `widths` into how many cells each step is cut.
    """
    step = np.floor(place).astype(np.int64)
    width = np.maximum(1, widths[step])
    inside = (place - step) * width
    number = np.minimum(np.floor(inside), width - 1)
    within = np.minimum(np.floor((inside - number) * PLACES), PLACES - 1)
    first = np.cumsum(widths)[step] - widths[step]
    return (first + number).astype(np.int64), within.astype(np.int64)


def list_edges(widths: Integers) -> Floats:
    """Return the log-odds at which each cell ends."""
    step = np.repeat(np.arange(len(widths)), widths)
    number = np.arange(len(step)) - np.repeat(np.cumsum(widths) - widths, widths)
    place = step + (number + 1.0) / widths[step]
    return np.sinh((2.0 * place / len(widths) - 1.0) * REACH)


def find_ties(rows: Floats, places: Floats, squares: Floats) -> NDArray[np.bool_]:
    """Tell in which cells all rows have one score; `places` and `squares` add up their places within.

    Then the mean square is the square of the mean, to the last bit, as all of these are whole numbers.
    """
    count = np.maximum(1.0, rows)
    mean = places / count
    return np.equal(squares / count, mean * mean)
