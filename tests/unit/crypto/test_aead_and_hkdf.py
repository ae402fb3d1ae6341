"""The envelope and the key derivation against Wycheproof, and the limits that we add."""

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from iamata.crypto import aead, hkdf
from iamata.model.reasons import Reason, Refused

KEY = bytes(range(32))
NONCE = bytes(12)


def read_cases(path: Path) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    groups = json.loads(path.read_text())["testGroups"]
    return [(group, case) for group in groups for case in group["tests"]]


def is_ours(group: dict[str, Any]) -> bool:
    return (group["keySize"], group["ivSize"], group["tagSize"]) == (256, 96, 128)


def test_every_wycheproof_case_of_our_form_is_sealed_and_opened(shared_data: Path) -> None:
    cases = [case for group, case in read_cases(shared_data / "crypto/aes_gcm_test.json") if is_ours(group)]
    assert len(cases) == 66
    for case in cases:
        key, nonce, aad, plaintext, ciphertext, tag = (
            bytes.fromhex(case[name]) for name in ("key", "iv", "aad", "msg", "ct", "tag")
        )
        if case["result"] == "valid":
            assert aead.seal(key, nonce, plaintext, associated=aad) == ciphertext + tag
            assert aead.open_sealed(key, nonce, ciphertext + tag, associated=aad) == plaintext
        else:
            with pytest.raises(Refused) as refusal:
                aead.open_sealed(key, nonce, ciphertext + tag, associated=aad)
            assert refusal.value.reason is Reason.CANNOT_OPEN


def test_every_wycheproof_case_of_another_form_is_a_mistake_to_us_and_right_in_the_library(
    shared_data: Path,
) -> None:
    cases = [
        case for group, case in read_cases(shared_data / "crypto/aes_gcm_test.json") if not is_ours(group)
    ]
    assert len(cases) == 250
    for case in cases:
        key, nonce, aad, plaintext, ciphertext, tag = (
            bytes.fromhex(case[name]) for name in ("key", "iv", "aad", "msg", "ct", "tag")
        )
        with pytest.raises(ValueError, match="AES-256-GCM takes"):
            aead.seal(key, nonce, plaintext, associated=aad)
        if case["result"] == "valid" and 8 <= len(nonce) <= 128:
            assert AESGCM(key).encrypt(nonce, plaintext, aad) == ciphertext + tag
        elif case["result"] == "invalid":
            with pytest.raises((InvalidTag, ValueError)):
                AESGCM(key).decrypt(nonce, ciphertext + tag, aad)


@given(st.binary(max_size=500), st.binary(max_size=50), st.data())
def test_one_changed_bit_anywhere_makes_it_unopenable(
    plaintext: bytes, associated: bytes, data: st.DataObject
) -> None:
    sealed = aead.seal(KEY, NONCE, plaintext, associated=associated)
    at = data.draw(st.integers(0, len(sealed) - 1))
    changed = sealed[:at] + bytes([sealed[at] ^ 1 << data.draw(st.integers(0, 7))]) + sealed[at + 1 :]

    assert aead.open_sealed(KEY, NONCE, sealed, associated=associated) == plaintext
    for arguments in (
        (KEY, changed, associated),
        (KEY, sealed, associated + b"x"),
        (KEY[::-1], sealed, associated),
    ):
        with pytest.raises(Refused) as refusal:
            aead.open_sealed(arguments[0], NONCE, arguments[1], associated=arguments[2])
        assert refusal.value.reason is Reason.CANNOT_OPEN


@pytest.mark.parametrize("size", [0, 1, 15])
def test_what_is_shorter_than_a_tag_cannot_be_opened(size: int) -> None:
    with pytest.raises(Refused, match="CANNOT_OPEN"):
        aead.open_sealed(KEY, NONCE, bytes(size), associated=b"")


def test_every_wycheproof_derivation_is_right(shared_data: Path) -> None:
    cases = read_cases(shared_data / "crypto/hkdf_sha256_test.json")
    assert len(cases) == 86
    for _, case in cases:
        secret, salt, info = (bytes.fromhex(case[name]) for name in ("ikm", "salt", "info"))
        if case["result"] == "valid":
            derived = hkdf.derive(secret, salt=salt, info=info, size_bytes=case["size"])
            assert derived == bytes.fromhex(case["okm"])
        else:
            with pytest.raises(ValueError, match="8160"):
                hkdf.derive(secret, salt=salt, info=info, size_bytes=case["size"])
