"""Masks are the streams that they are said to be, and cancel."""

import hashlib
import hmac

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iamata.crypto.agreement import agree, derive_public_key
from iamata.crypto.keystream import Keystream
from iamata.learning.secure_sum.masks import add_mask, derive_pair_key, derive_self_key, subtract_mask

SEEN = b"t" * 32
ANN, BEN = b"a" * 32, b"b" * 32


def expand(secret: bytes, info: bytes) -> bytes:
    """HKDF for one block, from RFC 5869 alone."""
    extracted = hmac.digest(SEEN, secret, hashlib.sha256)
    return hmac.digest(extracted, info + b"\x01", hashlib.sha256)


def test_a_pair_derives_one_key_from_both_sides() -> None:
    ours = derive_pair_key(ANN, derive_public_key(BEN), seen=SEEN, pair=(3, 7))
    theirs = derive_pair_key(BEN, derive_public_key(ANN), seen=SEEN, pair=(7, 3))

    shared = agree(ANN, derive_public_key(BEN))
    assert ours == theirs == expand(shared, b"iamata/1/secure-sum.pair\x00\x00\x03\x00\x07")


def test_another_pair_or_transcript_has_another_key() -> None:
    public = derive_public_key(BEN)
    keys = {
        derive_pair_key(ANN, public, seen=seen, pair=pair)
        for seen in (SEEN, b"u" * 32)
        for pair in ((3, 7), (3, 8))
    }

    assert len(keys) == 4
    assert derive_self_key(ANN, seen=SEEN) == expand(ANN, b"iamata/1/secure-sum.self\x00")


# AES-256 under the zero key of the counters 0 and 1, as four little-endian numbers: see test_keystream.
def test_a_mask_is_the_stream_in_little_endian_numbers() -> None:
    vector = np.zeros(4, dtype=np.uint64)

    add_mask(vector, bytes(32))

    words = ["dc95c078a2408989", "ad48a21492842087", "530f8afbc74536b9", "a963b4f1c4cb738b"]
    assert vector.tolist() == [int.from_bytes(bytes.fromhex(word), "little") for word in words]


@pytest.mark.parametrize("length", [1, 65_535, 65_536, 65_537, 200_000])
def test_a_long_mask_is_one_stream(length: int) -> None:
    vector = np.arange(length, dtype=np.uint64)

    add_mask(vector, ANN)

    stream = np.frombuffer(Keystream(ANN).read(8 * length), dtype="<u8")
    assert (vector - stream == np.arange(length, dtype=np.uint64)).all()


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=50), st.binary(min_size=32, max_size=32))
def test_what_is_added_can_be_taken_off(values: list[int], key: bytes) -> None:
    vector = np.array(values, dtype=np.uint64)

    add_mask(vector, key)
    subtract_mask(vector, key)

    assert vector.tolist() == values
