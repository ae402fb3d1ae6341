"""Sealing to someone's public key: HPKE (RFC 9180) in base mode.

DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM. The single-shot form has no associated data: what a
ciphertext belongs to is bound through `info`. Base mode says nothing about who sealed: sign what must have
a sender. The ephemeral key is the library's own, the one piece of chance in the pure packages.
"""

import binascii
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from iamata.model.ids import DIGEST_BYTES, SealingKey, decode_digest, encode_digest
from iamata.model.reasons import Reason, Refused, require

PRIVATE_KEY_BYTES: Final = 32
OVERHEAD_BYTES: Final = 32 + 16
"""The encapsulated key before the ciphertext, and the tag behind it."""
PLAINTEXT_BYTES_MAX: Final = 256 * 1024 * 1024

_SUITE: Final = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


def derive_sealing_key(private_key: bytes) -> SealingKey:
    """Name the public key that belongs to a private one."""
    public = X25519PrivateKey.from_private_bytes(private_key).public_key()
    return SealingKey(encode_digest(public.public_bytes_raw()))


def check_sealing_key(key: SealingKey) -> None:
    """Refuse a key that is not the canonical encoding of a point outside the small subgroup."""
    point = _decode_key(key)
    is_canonical = int.from_bytes(point, "little") < _FIELD
    try:
        _PROBE.exchange(X25519PublicKey.from_public_bytes(point))
    except ValueError as error:  # a low-order point makes an all-zero secret (RFC 7748, 6.1)
        raise Refused(Reason.WEAK_KEY, "a sealing key") from error
    require(is_canonical, Reason.WEAK_KEY, "a sealing key")


def seal(recipient: SealingKey, plaintext: bytes, *, info: bytes) -> bytes:
    """Encrypt for the holder of a key, bound to `info`; refuse a key that is none."""
    require(len(plaintext) <= PLAINTEXT_BYTES_MAX, Reason.TOO_LARGE)
    point = _decode_key(recipient)
    try:
        return _SUITE.encrypt(plaintext, X25519PublicKey.from_public_bytes(point), info)
    except ValueError as error:  # a low-order point makes an all-zero secret (RFC 7748, 6.1)
        raise Refused(Reason.WEAK_KEY, "a sealing key") from error


def open_sealed(private_key: bytes, sealed: bytes, *, info: bytes) -> bytes:
    """Decrypt, or refuse what was changed, is for another key or was bound to other `info`."""
    require(len(sealed) <= PLAINTEXT_BYTES_MAX + OVERHEAD_BYTES, Reason.TOO_LARGE)
    try:
        return _SUITE.decrypt(sealed, X25519PrivateKey.from_private_bytes(private_key), info)
    except (InvalidTag, ValueError) as error:
        raise Refused(Reason.CANNOT_OPEN) from error


def _decode_key(key: SealingKey) -> bytes:
    try:
        point = decode_digest(key)
    except binascii.Error as error:
        raise Refused(Reason.MALFORMED, "a sealing key") from error
    require(len(point) == DIGEST_BYTES and encode_digest(point) == key, Reason.MALFORMED, "a sealing key")
    return point


_FIELD: Final = 2**255 - 19
_PROBE: Final = X25519PrivateKey.from_private_bytes(bytes(range(PRIVATE_KEY_BYTES)))
"""Protects nothing: any private key tells a low-order point."""
