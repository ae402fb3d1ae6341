"""Encryption under a shared key: AES-256-GCM (NIST SP 800-38D), for records and for wrapped keys.

A nonce must never be used twice under one key; it arrives as an argument, so that its source is in sight.
"""

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from iamata.model.reasons import Reason, Refused, require

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
PLAINTEXT_BYTES_MAX: Final = 256 * 1024 * 1024
"""Larger objects are sealed in chunks."""


def seal(key: bytes, nonce: bytes, plaintext: bytes, *, associated: bytes) -> bytes:
    """Encrypt, and bind the ciphertext to `associated`, which must be given again to open it."""
    _check_sizes(key, nonce)
    require(len(plaintext) <= PLAINTEXT_BYTES_MAX, Reason.TOO_LARGE)
    return AESGCM(key).encrypt(nonce, plaintext, associated)


def open_sealed(key: bytes, nonce: bytes, sealed: bytes, *, associated: bytes) -> bytes:
    """Decrypt, or refuse what was changed, belongs elsewhere or was sealed under another key."""
    _check_sizes(key, nonce)
    require(len(sealed) <= PLAINTEXT_BYTES_MAX + TAG_BYTES, Reason.TOO_LARGE)
    try:
        return AESGCM(key).decrypt(nonce, sealed, associated)
    except InvalidTag as error:
        raise Refused(Reason.CANNOT_OPEN) from error


def _check_sizes(key: bytes, nonce: bytes) -> None:
    if len(key) != KEY_BYTES or len(nonce) != NONCE_BYTES:
        message = f"AES-256-GCM takes a key of {KEY_BYTES} bytes and a nonce of {NONCE_BYTES}"
        raise ValueError(message)
