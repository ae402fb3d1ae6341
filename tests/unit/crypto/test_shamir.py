"""A threshold of holders restores a secret, and fewer have shares that fit any secret."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iamata.crypto.shamir import (
    PRIME,
    SECRET_BYTES,
    SHARE_BYTES,
    Restorer,
    compute_entropy_bytes,
    split,
)
from iamata.model.reasons import Reason, Refused

SECRET = (1_234).to_bytes(SECRET_BYTES, "big")


def spell(number: int) -> bytes:
    return number.to_bytes(SHARE_BYTES, "big")


def test_shares_are_the_values_of_the_polynomial() -> None:
    # The example of Shamir's scheme that is worked out everywhere: 1234 + 166x + 94x².
    shares = split(SECRET, threshold=3, holders=6, entropy=spell(166) + spell(94))

    assert [int.from_bytes(share, "big") for share in shares] == [1_494, 1_942, 2_578, 3_402, 4_414, 5_614]


def test_any_three_of_six_restore_it() -> None:
    shares = split(SECRET, threshold=3, holders=6, entropy=spell(166) + spell(94))

    for holders in itertools.permutations(range(1, 7), 3):
        assert Restorer(holders).restore([shares[holder - 1] for holder in holders]) == SECRET


@given(
    secret=st.binary(min_size=SECRET_BYTES, max_size=SECRET_BYTES),
    entropy=st.binary(min_size=6 * SHARE_BYTES, max_size=6 * SHARE_BYTES),
    chance=st.randoms(use_true_random=False),
)
def test_seven_of_ten_restore_any_secret(secret: bytes, entropy: bytes, chance: "object") -> None:
    shares = split(secret, threshold=7, holders=10, entropy=entropy)
    holders = chance.sample(range(1, 11), 7)  # type: ignore[attr-defined]

    assert Restorer(holders).restore([shares[holder - 1] for holder in holders]) == secret


@given(
    first=st.binary(min_size=SECRET_BYTES, max_size=SECRET_BYTES),
    second=st.binary(min_size=SECRET_BYTES, max_size=SECRET_BYTES),
    share=st.integers(0, PRIME - 1),
)
def test_fewer_shares_fit_every_secret(first: bytes, second: bytes, share: int) -> None:
    for secret in (first, second):  # the one line through the secret and this share
        coefficient = (share - int.from_bytes(secret, "big")) % PRIME
        assert split(secret, threshold=2, holders=3, entropy=spell(coefficient))[0] == spell(share)


def test_shares_of_nothing_are_refused() -> None:
    shares = list(split(SECRET, threshold=3, holders=3, entropy=spell(PRIME - 1) + spell(94)))
    shares[0] = spell(7)

    with pytest.raises(Refused) as refusal:
        Restorer([1, 2, 3]).restore(shares)
    assert refusal.value.reason is Reason.SHARES_DO_NOT_FIT


@pytest.mark.parametrize("share", [b"", bytes(65), spell(PRIME), b"\xff" * SHARE_BYTES])
def test_what_is_no_element_of_the_field_is_no_share(share: bytes) -> None:
    with pytest.raises(Refused) as refusal:
        Restorer([1]).restore([share])
    assert refusal.value.reason is Reason.MALFORMED


@pytest.mark.parametrize(("threshold", "holders"), [(0, 3), (4, 3), (2, 1_001)])
def test_a_threshold_that_cannot_be_is_a_fault(threshold: int, holders: int) -> None:
    with pytest.raises(ValueError, match="holders"):
        split(SECRET, threshold=threshold, holders=holders, entropy=b"")


@pytest.mark.parametrize("holders", [[], [0, 1], [1, 1]])
def test_holders_are_distinct_numbers_from_1(holders: list[int]) -> None:
    with pytest.raises(ValueError, match="holders"):
        Restorer(holders)


def test_entropy_is_given_whole() -> None:
    with pytest.raises(ValueError, match="random"):
        split(SECRET, threshold=3, holders=3, entropy=bytes(compute_entropy_bytes(2)))
