"""Keys out of other keys: HKDF with SHA-256 (RFC 5869)."""

from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

OUTPUT_BYTES_MAX: Final = 255 * 32
"""RFC 5869, 2.3."""


def derive(secret: bytes, *, salt: bytes, info: bytes, size_bytes: int) -> bytes:
    """Derive bytes that tell nothing about the secret, nor about those for another `info`."""
    if not 0 < size_bytes <= OUTPUT_BYTES_MAX:
        message = f"HKDF-SHA256 derives 1 to {OUTPUT_BYTES_MAX} bytes, not {size_bytes}"
        raise ValueError(message)
    return HKDF(algorithm=SHA256(), length=size_bytes, salt=salt, info=info).derive(secret)
