"""Take a snapshot in chunk by chunk; each must be the one that was offered."""

import dataclasses
import hashlib
from typing import Final

from iamata.engines.keeping.beginning import Beginning, decode_beginning
from iamata.model.ids import DIGEST_BYTES, Digest, encode_digest
from iamata.model.reasons import Reason, require

CHUNK_BYTES_MAX: Final = 8 * 1024 * 1024
"""CometBFT takes chunks of up to 16 MB."""
SNAPSHOT_BYTES_MAX: Final = 4 * 1024 * 1024 * 1024
"""It is put together in memory, before anything in it can be believed."""
CHUNKS_MAX: Final = SNAPSHOT_BYTES_MAX // CHUNK_BYTES_MAX


@dataclasses.dataclass(frozen=True, slots=True)
class Offer:
    """A snapshot that others have: where it stands, what it must come to, and its chunks' hashes."""

    height: int
    app_hash: Digest
    """Found by a light client in a header that validators signed."""
    hashes: tuple[bytes, ...]

    @classmethod
    def read(cls, *, height: int, chunks: int, name: bytes, hashes: bytes, app_hash: bytes) -> "Offer":
        """Read what CometBFT has heard from a peer, or refuse it."""
        is_sized = chunks > 0 and len(hashes) == chunks * DIGEST_BYTES
        require(chunks <= CHUNKS_MAX, Reason.TOO_LARGE, f"{chunks} chunks; {CHUNKS_MAX} are taken")
        is_named = hashlib.sha256(hashes).digest() == name
        require(is_sized and is_named and len(app_hash) == DIGEST_BYTES, Reason.MALFORMED, "an offer")
        split = [hashes[at : at + DIGEST_BYTES] for at in range(0, len(hashes), DIGEST_BYTES)]
        return cls(height=height, app_hash=Digest(encode_digest(app_hash)), hashes=tuple(split))


class Taking:
    """The chunks of an offer as they arrive."""

    def __init__(self, offer: Offer) -> None:
        self.offer = offer
        self._chunks: dict[int, bytes] = {}

    @property
    def is_whole(self) -> bool:
        """Whether every chunk is there."""
        return len(self._chunks) == len(self.offer.hashes)

    def take(self, index: int, chunk: bytes) -> bool:
        """Take a chunk in, and tell whether it is the one that was offered; refuse an offered giant."""
        hashes = self.offer.hashes
        is_offered = index < len(hashes) and hashlib.sha256(chunk).digest() == hashes[index]
        if is_offered:
            require(len(chunk) <= CHUNK_BYTES_MAX, Reason.TOO_LARGE, f"chunk {index} of a snapshot")
            self._chunks[index] = chunk
        return is_offered

    def open(self) -> Beginning:
        """Read what the chunks hold together, or refuse it; nothing in it is checked yet."""
        return decode_beginning(b"".join(self._chunks[index] for index in range(len(self.offer.hashes))))
