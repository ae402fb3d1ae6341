"""Commitments fix a payload, its kind and its salt, and say nothing else."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iamata.crypto.commitments import commit, is_opening
from iamata.model.ids import Commitment, decode_digest

SALT = bytes(range(32))
kinds = st.from_regex(r"\A[a-z.-]{1,64}\Z")


def test_a_commitment_is_the_hash_that_the_design_names() -> None:
    expected = hashlib.sha256(b"iamata/1/" + b"consent-terms" + b"\x00" + SALT + b"{}").digest()

    assert decode_digest(commit("consent-terms", SALT, b"{}")) == expected


@given(kinds, st.binary(max_size=200))
def test_its_own_opening_opens_it(kind: str, payload: bytes) -> None:
    assert is_opening(commit(kind, SALT, payload), kind, SALT, payload)


@given(kinds, st.binary(max_size=100), kinds, st.binary(max_size=100))
def test_no_other_opening_does(kind: str, payload: bytes, other_kind: str, other_payload: bytes) -> None:
    opens = is_opening(commit(kind, SALT, payload), other_kind, SALT, other_payload)

    assert opens == ((kind, payload) == (other_kind, other_payload))
    assert not is_opening(commit(kind, SALT, payload), kind, SALT[::-1], payload)


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_a_salt_of_another_length_opens_nothing_and_commits_to_nothing(size: int) -> None:
    assert not is_opening(commit("record", SALT, b""), "record", bytes(size), b"")
    with pytest.raises(ValueError, match="32 bytes"):
        commit("record", bytes(size), b"")


@pytest.mark.parametrize("kind", ["", "Record", "record\x00", "record/1", "rec ord", "ä", "a" * 65, "a\n"])
def test_a_kind_is_a_plain_word(kind: str) -> None:
    with pytest.raises(ValueError, match="kind"):
        commit(kind, SALT, b"")


def test_a_strange_commitment_is_opened_by_nothing() -> None:
    assert not is_opening(Commitment("ä"), "record", SALT, b"")
