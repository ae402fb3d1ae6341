"""Ed25519 (RFC 8032) by one library network-wide: libsodium, through PyNaCl.

Verifiers disagree about edge cases, and a ledger whose nodes disagree forks. What libsodium accepts and
refuses there is pinned by tests; weak keys are refused when they are registered.
"""

import binascii
import dataclasses
from typing import Final

from nacl import bindings
from nacl.exceptions import BadSignatureError

from iamata.model.ids import DIGEST_BYTES, KeyId, decode_digest, encode_digest
from iamata.model.reasons import Reason, Refused, require

SEED_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class SigningKey:
    """A private key, expanded once. Its text form says nothing about it."""

    key_id: KeyId
    _secret: bytes = dataclasses.field(repr=False)

    @classmethod
    def from_seed(cls, seed: bytes) -> "SigningKey":
        """Expand a 32-byte seed."""
        if len(seed) != SEED_BYTES:
            message = f"an Ed25519 seed has {SEED_BYTES} bytes, not {len(seed)}"
            raise ValueError(message)
        public, secret = bindings.crypto_sign_seed_keypair(seed)
        return cls(key_id=KeyId(encode_digest(public)), _secret=secret)

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte signature of a message, always the same for the same message."""
        return bindings.crypto_sign(message, self._secret)[:SIGNATURE_BYTES]


def derive_key_id(seed: bytes) -> KeyId:
    """Name the key that a seed stands for."""
    return SigningKey.from_seed(seed).key_id


def sign(seed: bytes, message: bytes) -> bytes:
    """Sign one message; who signs many expands the seed once, into a `SigningKey`."""
    return SigningKey.from_seed(seed).sign(message)


def is_valid(key: KeyId, message: bytes, signature: bytes) -> bool:
    """Tell whether a signature over a message was made with a key."""
    if len(signature) != SIGNATURE_BYTES:
        return False
    try:
        bindings.crypto_sign_open(signature + message, decode_digest(key))
    except (BadSignatureError, ValueError):
        return False
    return True


def check_public_key(key: KeyId) -> None:
    """Refuse a key under which a signature would not bind one signer to one message.

    Such are the points of low order (one signature holds for many messages), second spellings of a point
    (y ≥ p, or a negative zero as x), encodings of no point, and points outside the prime-order group.
    """
    try:
        point = decode_digest(key)
    except binascii.Error as error:
        raise Refused(Reason.MALFORMED, "a public key") from error
    is_one_spelling = len(point) == DIGEST_BYTES and encode_digest(point) == key
    require(is_one_spelling, Reason.MALFORMED, "a public key")
    require(bindings.crypto_core_ed25519_is_valid_point(point), Reason.WEAK_KEY)
