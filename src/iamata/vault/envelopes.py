"""Envelopes: a nonce and what was sealed with it, in one blob; and the compression inside."""

import threading
from typing import Final

import zstandard

from iamata.crypto import aead
from iamata.model.reasons import Reason, Refused, require

COMPRESSION_LEVEL: Final = 3

_contexts = threading.local()
"""zstd's contexts are fast to use again, and may serve one thread at a time."""


def seal_envelope(key: aead.Key, plaintext: bytes, *, nonce: bytes, associated: bytes) -> bytes:
    """Seal bytes and put the nonce before them."""
    return nonce + key.seal(nonce, plaintext, associated=associated)


def open_envelope(key: aead.Key, envelope: bytes, *, associated: bytes) -> bytes:
    """Open what `seal_envelope` made, or refuse."""
    if len(envelope) < aead.NONCE_BYTES + aead.TAG_BYTES:
        raise Refused(Reason.CANNOT_OPEN)
    nonce, sealed = envelope[: aead.NONCE_BYTES], envelope[aead.NONCE_BYTES :]
    return key.open_sealed(nonce, sealed, associated=associated)


def compress(plain: bytes) -> bytes:
    """Compress bytes; the frame says how many they were."""
    if not hasattr(_contexts, "compressor"):
        _contexts.compressor = zstandard.ZstdCompressor(level=COMPRESSION_LEVEL)
    packed: bytes = _contexts.compressor.compress(plain)
    return packed


def decompress(packed: bytes, *, size_bytes_max: int) -> bytes:
    """Decompress bytes, or refuse what would become larger than it may or was never compressed."""
    if not hasattr(_contexts, "decompressor"):
        _contexts.decompressor = zstandard.ZstdDecompressor()
    try:
        size_bytes = zstandard.frame_content_size(packed)
        require(0 <= size_bytes <= size_bytes_max, Reason.INPUT_TOO_LARGE)
        plain: bytes = _contexts.decompressor.decompress(packed)
    except zstandard.ZstdError as error:
        raise Refused(Reason.CANNOT_OPEN) from error
    return plain
