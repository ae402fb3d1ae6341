"""Masks over Z_2^64: what hides a vector, and cancels in the sum.

Each pair of sites shares a stream, which the one before the other adds and the other subtracts. A
site's self-mask is a stream of its own: without it, whoever restored a late site's pair masks would
read its vector.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np

from iamata.crypto import agreement, hkdf
from iamata.crypto.keystream import KEY_BYTES, Keystream
from iamata.learning.secure_sum.encoding import VALUE_BYTES, Residues

_CHUNK: Final = 2**16
"""Values at a time: half a megabyte stays in the processor's cache."""


def derive_pair_key(private_key: bytes, public_key: bytes, *, seen: bytes, pair: tuple[int, int]) -> bytes:
    """Derive the key of a pair's stream, the same for both; refuse a public key that is none."""
    first, second = sorted(pair)
    info = b"iamata/1/secure-sum.pair\x00" + first.to_bytes(2, "big") + second.to_bytes(2, "big")
    shared = agreement.agree(private_key, public_key)
    return hkdf.derive(shared, salt=seen, info=info, size_bytes=KEY_BYTES)


def derive_self_key(secret: bytes, *, seen: bytes) -> bytes:
    """Derive the key of a site's own stream from the secret that its peers hold shares of."""
    return hkdf.derive(secret, salt=seen, info=b"iamata/1/secure-sum.self\x00", size_bytes=KEY_BYTES)


def add_mask(vector: Residues, key: bytes) -> None:
    """Add a stream to a vector, in place, modulo 2^64."""
    for chunk, mask in _walk(vector, key):
        np.add(chunk, mask, out=chunk)


def subtract_mask(vector: Residues, key: bytes) -> None:
    """Subtract a stream from a vector, in place, modulo 2^64."""
    for chunk, mask in _walk(vector, key):
        np.subtract(chunk, mask, out=chunk)


def _walk(vector: Residues, key: bytes) -> Iterator[tuple[Residues, Residues]]:
    stream = Keystream(key)
    for begin in range(0, len(vector), _CHUNK):
        chunk = vector[begin : begin + _CHUNK]
        yield chunk, np.frombuffer(stream.read(len(chunk) * VALUE_BYTES), dtype="<u8")
