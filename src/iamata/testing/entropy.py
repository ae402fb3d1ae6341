"""Chance that a seed decides: the same seed draws the same keys, ids and nonces for ever."""

import hashlib
from typing import Final

from iamata.crypto.ed25519 import SEED_BYTES, SigningKey

_PREFIX: Final = "iamata/testing"


def derive_bytes(*words: str, length: int) -> bytes:
    """Derive bytes from words."""
    return hashlib.shake_256("\x00".join((_PREFIX, *words)).encode("utf-8")).digest(length)


def derive_key(*words: str) -> SigningKey:
    """Derive a signing key from words."""
    return SigningKey.from_seed(derive_bytes(*words, length=SEED_BYTES))


class SeededEntropy:
    """Draw bytes as `os.urandom` does, but the same ones each time."""

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._draws = 0

    def __call__(self, length: int) -> bytes:
        """Draw the next bytes."""
        self._draws += 1
        return derive_bytes(self._seed, str(self._draws), length=length)
