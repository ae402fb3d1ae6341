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


class Key:
    """A key, set up once for many envelopes. Its text form says nothing about it."""

    __slots__ = ("_cipher", "_key")

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            message = f"AES-256-GCM takes a key of {KEY_BYTES} bytes"
            raise ValueError(message)
        self._cipher = AESGCM(key)
        self._key = key

    def __repr__(self) -> str:
        return "Key()"

    def reveal(self) -> bytes:
        """Return the key itself, for a process of ours that works with it."""
        return self._key

    def seal(self, nonce: bytes, plaintext: bytes, *, associated: bytes) -> bytes:
        """Encrypt, and bind the ciphertext to `associated`, which must be given again to open it."""
        _check_nonce(nonce)
        require(len(plaintext) <= PLAINTEXT_BYTES_MAX, Reason.TOO_LARGE)
        return self._cipher.encrypt(nonce, plaintext, associated)

    def open_sealed(self, nonce: bytes, sealed: bytes, *, associated: bytes) -> bytes:
        """Decrypt, or refuse what was changed, belongs elsewhere or was sealed under another key."""
        if len(nonce) != NONCE_BYTES or len(sealed) > PLAINTEXT_BYTES_MAX + TAG_BYTES:
            _check_nonce(nonce)
            raise Refused(Reason.TOO_LARGE)
        try:
            return self._cipher.decrypt(nonce, sealed, associated)
        except InvalidTag as error:
            raise Refused(Reason.CANNOT_OPEN) from error


def seal(key: bytes, nonce: bytes, plaintext: bytes, *, associated: bytes) -> bytes:
    """Encrypt one thing under a key that is not used again."""
    return Key(key).seal(nonce, plaintext, associated=associated)


def open_sealed(key: bytes, nonce: bytes, sealed: bytes, *, associated: bytes) -> bytes:
    """Decrypt one thing under a key that is not used again, or refuse."""
    return Key(key).open_sealed(nonce, sealed, associated=associated)


def _check_nonce(nonce: bytes) -> None:
    if len(nonce) != NONCE_BYTES:
        message = f"AES-256-GCM takes a nonce of {NONCE_BYTES} bytes"
        raise ValueError(message)
