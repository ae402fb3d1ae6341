"""The prepared HMAC is the standard library's, message by message."""

import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iamata.crypto.mac import KEY_BYTES, Mac


@given(key=st.binary(min_size=KEY_BYTES, max_size=KEY_BYTES), messages=st.lists(st.binary(max_size=300)))
def test_a_code_is_hmac_sha_256(key: bytes, messages: list[bytes]) -> None:
    mac = Mac(key)

    assert [mac.compute(one) for one in messages] == [hmac.digest(key, one, "sha256") for one in messages]


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_another_size_of_key_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Mac(bytes(size))


def test_the_text_form_says_nothing() -> None:
    assert repr(Mac(b"k" * KEY_BYTES)) == "Mac()"
