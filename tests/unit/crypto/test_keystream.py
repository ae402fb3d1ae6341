"""The stream is AES-256 over counters from zero, however it is cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iamata.crypto.keystream import KEY_BYTES, STREAM_BYTES_MAX, Keystream

# AES-256 under the zero key of the counters 0, 1 and 2: the hash key, the tag of nothing and the ciphertext
# of a zero block in test cases 13 and 14 of "The Galois/Counter Mode of Operation" (McGrew and Viega).
PUBLISHED = (
    "dc95c078a2408989ad48a21492842087530f8afbc74536b9a963b4f1c4cb738bcea7403d4d606b6e074ec5d3baf39d18"
)


def test_the_published_blocks_come_out() -> None:
    assert Keystream(bytes(KEY_BYTES)).read(48).hex() == PUBLISHED


@given(st.lists(st.integers(0, 100), max_size=10))
def test_a_stream_is_the_same_in_pieces(sizes: list[int]) -> None:
    stream = Keystream(b"k" * KEY_BYTES)

    pieces = b"".join(stream.read(size) for size in sizes)

    assert pieces == Keystream(b"k" * KEY_BYTES).read(sum(sizes))


def test_a_stream_ends() -> None:
    with pytest.raises(ValueError, match="bytes"):
        Keystream(bytes(KEY_BYTES)).read(STREAM_BYTES_MAX + 1)
    with pytest.raises(ValueError, match="key"):
        Keystream(b"short")


def test_a_stream_says_nothing_about_its_key() -> None:
    assert repr(Keystream(b"k" * KEY_BYTES)) == "Keystream()"
