"""As many pseudorandom bytes as one likes from one key: AES-256 in counter mode (NIST SP 800-38A, 6.5).

The counter begins at zero, so a key makes one stream: derive a key of its own (`hkdf`) for everything
that needs another. Chosen over ChaCha20 by measurement: five times as fast where the processor has AES.
"""

from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

KEY_BYTES: Final = 32
STREAM_BYTES_MAX: Final = 2**32
"""Far below the point at which 16-byte blocks that never repeat differ from chance (2^64 of them)."""

_COUNTER: Final = bytes(16)


class Keystream:
    """A stream that is read piece by piece. Its text form says nothing about it."""

    __slots__ = ("_cipher", "_left")

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            message = f"AES-256 takes a key of {KEY_BYTES} bytes"
            raise ValueError(message)
        self._cipher = Cipher(AES(key), CTR(_COUNTER)).encryptor()
        self._left = STREAM_BYTES_MAX

    def __repr__(self) -> str:
        return "Keystream()"

    def read(self, size_bytes: int) -> bytes:
        """Return the next bytes of the stream."""
        if not 0 <= size_bytes <= self._left:
            message = f"a stream has {STREAM_BYTES_MAX} bytes"
            raise ValueError(message)
        self._left -= size_bytes
        return self._cipher.update(bytes(size_bytes))
