"""The discrete Gaussian, sampled exactly (Canonne, Kamath and Steinke 2020, algorithms 1 to 3).

Whole numbers all the way: floating-point noise has holes through which the value shows (Mironov 2012).
Chance comes from a keystream. How long a draw takes depends on what is drawn, so nobody may be told how
long it took.
"""

from fractions import Fraction
from math import isqrt
from typing import Final

import numpy as np

from iamata.crypto.keystream import Keystream
from iamata.learning.secure_sum.encoding import Integers
from iamata.model.reasons import Reason, require

DRAW_BITS_MAX: Final = 62
"""A draw beyond this is refused: for any variance allowed here, less likely than to guess a key."""
VARIANCE_MAX: Final = 2**108
"""A standard deviation of 2^54, so that a draw of 2^62 lies 256 of them out."""

_BUFFER_BYTES: Final = 4_096


class Chance:
    """Uniform numbers from a key. Its text form says nothing about it."""

    __slots__ = ("_bits", "_left", "_stream")

    def __init__(self, key: bytes) -> None:
        self._stream = Keystream(key)
        self._bits = 0
        self._left = 0

    def __repr__(self) -> str:
        return "Chance()"

    def draw_below(self, limit: int) -> int:
        """Draw a number from 0 to below a limit, each as likely as any."""
        size = (limit - 1).bit_length()
        while True:
            value = self._draw_bits(size)
            if value < limit:
                return value

    def _draw_bits(self, size: int) -> int:
        while self._left < size:
            self._bits |= int.from_bytes(self._stream.read(_BUFFER_BYTES), "little") << self._left
            self._left += 8 * _BUFFER_BYTES
        value = self._bits & ((1 << size) - 1)
        self._bits >>= size
        self._left -= size
        return value


def sample_gaussians(chance: Chance, variance: Fraction, count: int) -> Integers:
    """Draw whole numbers z with probabilities in proportion to exp(−z² / 2·variance)."""
    require(0 < variance <= VARIANCE_MAX, Reason.VALUE_NOT_ENCODABLE, "variance of noise")
    draws = [_draw_gaussian(chance, variance.numerator, variance.denominator) for _ in range(count)]
    is_bounded = all(abs(draw) < 1 << DRAW_BITS_MAX for draw in draws)
    require(is_bounded, Reason.VALUE_NOT_ENCODABLE, "noise")
    return np.array(draws, dtype=np.int64)


def is_drawn(chance: Chance, numerator: int, denominator: int) -> bool:
    """Say yes with probability exp(−numerator / denominator)."""
    while numerator > denominator:
        if not _is_drawn_within_one(chance, 1, 1):
            return False
        numerator -= denominator
    return _is_drawn_within_one(chance, numerator, denominator)


def _is_drawn_within_one(chance: Chance, numerator: int, denominator: int) -> bool:
    """Say yes with probability exp(−x) for x ≤ 1: the parity of how often ever rarer events go on."""
    turn = 1
    while chance.draw_below(denominator * turn) < numerator:
        turn += 1
    return turn % 2 == 1


def _draw_gaussian(chance: Chance, numerator: int, denominator: int) -> int:
    """Draw from a Laplace distribution that covers the Gaussian, and keep what fits (algorithm 3)."""
    scale = isqrt(numerator // denominator) + 1
    # (|z| − variance/scale)² / (2·variance), over one denominator
    below = 2 * numerator * denominator * scale * scale
    while True:
        draw = _draw_laplace(chance, scale)
        gap = abs(draw) * denominator * scale - numerator
        if is_drawn(chance, gap * gap, below):
            return draw


def _draw_laplace(chance: Chance, scale: int) -> int:
    """Draw whole numbers z with probabilities in proportion to exp(−|z| / scale) (algorithm 2)."""
    while True:
        low = chance.draw_below(scale)
        if not is_drawn(chance, low, scale):
            continue
        high = 0
        while _is_drawn_within_one(chance, 1, 1):
            high += 1
        magnitude = low + scale * high
        is_negative = chance.draw_below(2) == 1
        if magnitude or not is_negative:  # zero has one sign
            return -magnitude if is_negative else magnitude
