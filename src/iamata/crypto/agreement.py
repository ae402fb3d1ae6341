"""A secret that two keys share and nobody else can compute: X25519 (RFC 7748).

What comes out is not uniform and is no key: derive one from it (`hkdf`), bound to what it is for.
"""

from typing import Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from iamata.model.reasons import Reason, Refused

KEY_BYTES: Final = 32
"""Of a private key, of a public key, and of what they agree on."""


def derive_public_key(private_key: bytes) -> bytes:
    """Compute the public key that belongs to a private one."""
    return X25519PrivateKey.from_private_bytes(private_key).public_key().public_bytes_raw()


def agree(private_key: bytes, public_key: bytes) -> bytes:
    """Compute the shared secret, or refuse a public key that would make it known to everyone."""
    try:
        peer = X25519PublicKey.from_public_bytes(public_key)
        return X25519PrivateKey.from_private_bytes(private_key).exchange(peer)
    except ValueError as error:  # a low-order point makes an all-zero secret (RFC 7748, 6.1)
        raise Refused(Reason.WEAK_KEY, "an agreement key") from error
