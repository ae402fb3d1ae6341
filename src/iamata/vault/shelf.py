"""A store with its head: what the store must hold, in a few numbers under a MAC.

Each row is authenticated by itself. The head says how many there are and sums up which, so that a row that
vanishes, returns or moves is noticed too; it changes in the same transaction as the rows.
"""

import dataclasses
import hmac
import threading
from collections.abc import Iterable
from typing import Final, Generic, TypeVar

import msgspec

from iamata.model.reasons import Reason, Refused, require
from iamata.ports import HeadedStore

MAC_BYTES: Final = 32
DIGEST_BYTES: Final = 32

_MODULUS: Final = 1 << 8 * DIGEST_BYTES

StoreT_co = TypeVar("StoreT_co", bound=HeadedStore, covariant=True)


class Head(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a store holds: its last sequence number, its number of rows, and a digest of them."""

    last: int = 0
    count: int = 0
    digest: bytes = bytes(DIGEST_BYTES)
    settled: int = 0
    """Up to this row the store's anchors are known to be on the ledger."""


@dataclasses.dataclass(frozen=True)
class Shelf(Generic[StoreT_co]):
    """A store, the key that authenticates its head, and the lock under which it changes."""

    name: str
    store: StoreT_co
    key: bytes = dataclasses.field(repr=False)
    lock: threading.RLock = dataclasses.field(default_factory=threading.RLock, repr=False)

    def read_head(self) -> Head:
        """Read the head, or refuse one that the vault did not write."""
        raw = self.store.read_head()
        if raw is None:
            return Head()
        mac, content = raw[:MAC_BYTES], raw[MAC_BYTES:]
        require(
            hmac.compare_digest(mac, self._compute_mac(content)),
            Reason.HOME_CORRUPT,
            f"the head of {self.name}",
        )
        try:
            return msgspec.msgpack.decode(content, type=Head)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise Refused(Reason.HOME_CORRUPT, f"the head of {self.name}") from error

    def encode_head(self, head: Head) -> bytes:
        """Spell a head under its MAC."""
        content = msgspec.msgpack.encode(head)
        return self._compute_mac(content) + content

    def _compute_mac(self, content: bytes) -> bytes:
        return hmac.digest(self.key, self.name.encode("ascii") + b"\x00" + content, "sha256")


def add_to_digest(digest: bytes, rows: Iterable[tuple[int, bytes]], *, sign: int = 1) -> bytes:
    """Add rows, each a number and a commitment or tag, to a digest that no order changes, or take away."""
    total = int.from_bytes(digest, "big") + sign * sum(compute_weight(*row) for row in rows)
    return encode_total(total)


def compute_weight(number: int, commitment: bytes) -> int:
    """Compute what a row adds to a digest; an odd factor ties the commitment to its number."""
    return (2 * number + 1) * int.from_bytes(commitment, "big")


def encode_total(total: int) -> bytes:
    """Spell a sum of weights as a digest."""
    return (total % _MODULUS).to_bytes(DIGEST_BYTES, "big")
