"""Chance that can be repeated: every stream of numbers is named by the seed and a path.

A stream depends on its own path alone, never on what was drawn before, so patient 7 is the same among
ten patients and among a million, and one more draw in a patient's names does not change the illness.
"""

import hashlib
from random import Random


def make_random(seed: int, *path: int | str) -> Random:
    """Open the stream of chance that belongs to a seed and a path."""
    return Random(int.from_bytes(_hash(seed, *path)))  # noqa: S311  a sample keeps no secrets


def compute_uuid(seed: int, *path: int | str) -> str:
    """Compute the id that belongs to a seed and a path, spelled as a UUID (RFC 9562, version 8)."""
    text = _hash(seed, *path).hex()
    return f"{text[:8]}-{text[8:12]}-8{text[13:16]}-a{text[17:20]}-{text[20:32]}"


def _hash(seed: int, *path: int | str) -> bytes:
    return hashlib.sha256("/".join(map(str, ("iamata.sample", seed, *path))).encode()).digest()
