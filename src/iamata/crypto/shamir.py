"""Sharing a secret: a threshold of its holders can restore it, and fewer learn nothing (Shamir 1979).

A secret of 32 bytes is the value at 0 of a random polynomial over the field of 2^521 − 1 elements;
holder x has its value at x. Fewer shares than the threshold fit every secret equally well, whoever
computes for however long.
"""

from collections.abc import Sequence
from typing import Final

from iamata.model.reasons import Reason, require

SECRET_BYTES: Final = 32
SHARE_BYTES: Final = 66
HOLDERS_MAX: Final = 1_000
PRIME: Final = 2**521 - 1
"""A Mersenne prime with room for a secret of 256 bits."""


def compute_entropy_bytes(threshold: int) -> int:
    """Say how many random bytes `split` takes."""
    return (threshold - 1) * SHARE_BYTES


def split(secret: bytes, *, threshold: int, holders: int, entropy: bytes) -> tuple[bytes, ...]:
    """Make the shares of holders 1, 2, …; `entropy` is uniform, and never used for another secret."""
    if not 1 <= threshold <= holders <= HOLDERS_MAX:
        message = f"{threshold} of {holders} holders cannot share a secret"
        raise ValueError(message)
    if len(secret) != SECRET_BYTES or len(entropy) != compute_entropy_bytes(threshold):
        message = "a secret has 32 bytes, and takes 66 random ones for each share below the threshold"
        raise ValueError(message)
    # 528 random bits modulo 2^521 − 1: every residue has 128 preimages, and the first 128 have one more.
    coefficients = [
        int.from_bytes(entropy[begin : begin + SHARE_BYTES], "big") % PRIME
        for begin in range(0, len(entropy), SHARE_BYTES)
    ]
    value = int.from_bytes(secret, "big")
    return tuple(_evaluate(coefficients, value, x) for x in range(1, holders + 1))


class Restorer:
    """Restores secrets that the same holders share: what depends on them alone is computed once."""

    __slots__ = ("_weights",)

    def __init__(self, holders: Sequence[int]) -> None:
        """Name the holders, of whom there must be exactly as many as the threshold says."""
        is_distinct = len(dict.fromkeys(holders)) == len(holders)
        if not holders or not is_distinct or min(holders) < 1 or max(holders) > HOLDERS_MAX:
            message = "holders are distinct numbers from 1"
            raise ValueError(message)
        self._weights = tuple(_compute_weight(holders, one) for one in holders)

    def restore(self, shares: Sequence[bytes]) -> bytes:
        """Restore a secret from its shares in the order of the holders, or refuse shares of none."""
        total = sum(
            weight * _read_share(share) for weight, share in zip(self._weights, shares, strict=True)
        )
        value = total % PRIME
        require(value < 1 << (8 * SECRET_BYTES), Reason.SHARES_DO_NOT_FIT)
        return value.to_bytes(SECRET_BYTES, "big")


def _evaluate(coefficients: Sequence[int], secret: int, x: int) -> bytes:
    value = 0
    for coefficient in reversed(coefficients):
        value = (value * x + coefficient) % PRIME
    return ((value * x + secret) % PRIME).to_bytes(SHARE_BYTES, "big")


def _compute_weight(holders: Sequence[int], one: int) -> int:
    """Compute Lagrange's basis polynomial of one holder at 0."""
    numerator, denominator = 1, 1
    for other in holders:
        if other != one:
            numerator = numerator * other % PRIME
            denominator = denominator * (other - one) % PRIME
    return numerator * pow(denominator, -1, PRIME) % PRIME


def _read_share(share: bytes) -> int:
    value = int.from_bytes(share, "big")
    require(len(share) == SHARE_BYTES and value < PRIME, Reason.MALFORMED, "a share of a secret")
    return value
