"""What libsodium accepts and refuses, pinned: a node whose library differed would fork the ledger."""

import collections
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iamata.crypto.ed25519 import SigningKey, check_public_key, derive_key_id, is_valid, sign
from iamata.model.ids import KeyId, encode_digest
from iamata.model.reasons import Reason, Refused

PRIME = 2**255 - 19
SIGN_BIT = 1 << 255
# RFC 8032, 7.1, test 2
SEED = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
PUBLIC = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
SIGNATURE = bytes.fromhex(
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
)


def key_of(point: bytes) -> KeyId:
    return KeyId(encode_digest(point))


def is_weak(key: KeyId) -> bool:
    try:
        check_public_key(key)
    except Refused as refused:
        return refused.reason is Reason.WEAK_KEY
    return False


def test_keys_and_signatures_are_those_of_rfc_8032() -> None:
    assert derive_key_id(SEED) == key_of(PUBLIC)
    assert sign(SEED, b"\x72") == SIGNATURE
    assert SigningKey.from_seed(SEED).sign(b"\x72") == SIGNATURE


def test_every_wycheproof_signature_is_judged_as_it_should(shared_data: Path) -> None:
    vectors = json.loads((shared_data / "crypto/ed25519_test.json").read_text())
    verdicts = collections.Counter(
        (
            case["result"],
            is_valid(
                key_of(bytes.fromhex(group["publicKey"]["pk"])),
                bytes.fromhex(case["msg"]),
                bytes.fromhex(case["sig"]),
            ),
        )
        for group in vectors["testGroups"]
        for case in group["tests"]
    )

    assert verdicts == {("valid", True): 88, ("invalid", False): 63}


def test_libsodium_refuses_low_order_points_and_checks_without_cofactor(shared_data: Path) -> None:
    """Of the 617 edge cases it accepts exactly those with neither a low-order point nor a residue."""
    refused = {"low_order_A", "low_order_R", "low_order_residue"}
    accepted = 0
    for case in json.loads((shared_data / "crypto/cctv-ed25519.json").read_text()):
        verdict = is_valid(
            key_of(bytes.fromhex(case["key"])), case["msg"].encode(), bytes.fromhex(case["sig"])
        )
        accepted += verdict
        assert verdict == refused.isdisjoint(case["flags"] or []), case["number"]

    assert accepted == 34


def test_no_key_with_a_low_order_part_can_be_registered(shared_data: Path) -> None:
    """Signatures under 33 keys with such a part do verify: registration is what keeps those keys out."""
    strange = {"low_order_A", "non_canonical_A", "low_order_component_A"}
    for case in json.loads((shared_data / "crypto/cctv-ed25519.json").read_text()):
        expected = not strange.isdisjoint(case["flags"] or [])
        assert is_weak(key_of(bytes.fromhex(case["key"]))) == expected, case["number"]


@pytest.mark.parametrize("sign_bit", [0, SIGN_BIT])
@pytest.mark.parametrize("y", range(PRIME, 2**255))
def test_every_encoding_of_y_beyond_the_prime_is_weak(y: int, sign_bit: int) -> None:
    assert is_weak(key_of((y | sign_bit).to_bytes(32, "little")))


@pytest.mark.parametrize("y", [1, PRIME - 1])
def test_minus_zero_as_x_is_weak(y: int) -> None:
    assert is_weak(key_of((y | SIGN_BIT).to_bytes(32, "little")))


def test_what_is_no_point_of_the_curve_is_weak() -> None:
    assert is_weak(key_of((2).to_bytes(32, "little")))


@pytest.mark.parametrize("text", ["", "A", "AAAA", "A" * 42 + "B", "A" * 44, "!" * 43])
def test_what_is_no_spelling_of_32_bytes_is_malformed(text: str) -> None:
    with pytest.raises(Refused, match="MALFORMED"):
        check_public_key(KeyId(text))


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=200))
def test_an_honest_key_is_strong_and_its_signature_valid(seed: bytes, message: bytes) -> None:
    key = SigningKey.from_seed(seed)

    check_public_key(key.key_id)
    assert is_valid(key.key_id, message, key.sign(message))


@given(st.integers(min_value=0, max_value=511))
def test_a_signature_with_one_bit_changed_is_invalid(bit: int) -> None:
    changed = int.from_bytes(SIGNATURE, "big") ^ 1 << bit

    assert not is_valid(key_of(PUBLIC), b"\x72", changed.to_bytes(64, "big"))


@pytest.mark.parametrize("signature", [b"", SIGNATURE[:63], SIGNATURE + b"\x00"])
def test_a_signature_of_another_length_is_invalid(signature: bytes) -> None:
    assert not is_valid(key_of(PUBLIC), b"\x72", signature)


def test_a_key_of_another_length_signs_nothing() -> None:
    assert not is_valid(KeyId("AAAA"), b"\x72", SIGNATURE)
    assert not is_valid(KeyId("A"), b"\x72", SIGNATURE)


def test_a_signing_key_never_shows_its_secret() -> None:
    text = repr(SigningKey.from_seed(SEED))

    assert key_of(PUBLIC) in text
    assert repr(SEED)[2:12] not in text
    assert "secret" not in text


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_a_seed_has_32_bytes(size: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        SigningKey.from_seed(bytes(size))
