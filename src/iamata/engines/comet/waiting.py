"""Who has how much waiting in the mempool, so that no member can fill it.

CometBFT keeps the mempool; here stands which bundles it was allowed to take in, until they are final,
refused when they are looked at again, or gone with a restart of it.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable
from typing import Final

import msgspec

from iamata.ledger.entries import OwnerKind
from iamata.ledger.tables import KEYS, PATIENTS, PERSONS, Bytes
from iamata.model.ids import KeyId

MEMBER_BYTES_MAX: Final = 4 * 1024 * 1024
"""Of one member's transactions at a time: about two blocks full."""
MEMBER_BUNDLES_MAX: Final = 500
"""With lines of one member, at a time: a tenth of what CometBFT's mempool holds, however small they are."""
BLOCKS_UNSEEN_MAX: Final = 2
"""CometBFT shows what waits again after every block; what it does not show is not there."""
NOBODY: Final = ""
"""Whose keys the ledger does not know: all of them share one member's part."""


class Waiting(msgspec.Struct, gc=False):
    """A bundle that waits: whose bytes, which lines are its own, and when CometBFT showed it last."""

    sizes: Counter[str]
    lines: tuple[bytes, ...]
    seen: int


class WaitingBundles:
    """Bytes and bundles by member, over the bundles that wait."""

    def __init__(self) -> None:
        self._bundles: dict[bytes, Waiting] = {}
        self._lines: set[bytes] = set()
        self._bytes: Counter[str] = Counter()
        self._counts: Counter[str] = Counter()
        self._blocks = 0

    def __contains__(self, bundle: bytes) -> bool:
        """Tell whether a bundle waits."""
        return _hash(bundle) in self._bundles

    def has_line(self, line: bytes) -> bool:
        """Tell whether a line waits in some bundle: in another one it is nobody's twice."""
        return _hash(line) in self._lines

    def has_room(self, member: str, size: int, ahead: Counter[str]) -> bool:
        """Tell whether a member may have so much more waiting, besides what the same bundle brings."""
        has_bytes = self._bytes[member] + ahead[member] + size <= MEMBER_BYTES_MAX
        return has_bytes and self._counts[member] < MEMBER_BUNDLES_MAX

    def add(self, bundle: bytes, sizes: Counter[str], lines: Iterable[bytes]) -> None:
        """Count a bundle that waits from now on, by the lines that it brings."""
        fresh = Waiting(sizes, tuple(map(_hash, lines)), self._blocks)
        self._bundles[_hash(bundle)] = fresh
        self._lines.update(fresh.lines)
        self._bytes.update(sizes)
        self._counts.update(sizes.keys())

    def notice(self, bundle: bytes) -> None:
        """Take note that a bundle still waits."""
        waiting = self._bundles.get(_hash(bundle))
        if waiting is not None:
            waiting.seen = self._blocks

    def remove(self, bundles: Iterable[bytes]) -> None:
        """Count what waits no longer."""
        for bundle in bundles:
            self._forget(_hash(bundle))

    def begin_block(self) -> None:
        """Let go of what CometBFT has not shown again for some blocks: its mempool had no room for it."""
        lost = [name for name, one in self._bundles.items() if one.seen + BLOCKS_UNSEEN_MAX <= self._blocks]
        for name in lost:
            self._forget(name)
        self._blocks += 1

    def clear(self) -> None:
        """Begin again with a mempool that is empty."""
        self._bundles.clear()
        self._lines.clear()
        self._bytes.clear()
        self._counts.clear()

    def _forget(self, name: bytes) -> None:
        waiting = self._bundles.pop(name, None)
        if waiting is not None:
            self._lines.difference_update(waiting.lines)
            self._bytes -= waiting.sizes  # a counter keeps no zeros
            self._counts -= Counter(waiting.sizes.keys())


def find_member(entries: Bytes, key: KeyId) -> str:
    """Return to whose account a signer's transactions go: its member's, or a patient's custodian's."""
    owner = KEYS.find(entries, key)
    if owner is None:
        return NOBODY
    if owner.kind is OwnerKind.PERSON:
        person = PERSONS.find(entries, owner.owner)
        return NOBODY if person is None else person.member
    if owner.kind is OwnerKind.PATIENT:
        patient = PATIENTS.find(entries, owner.owner)
        return NOBODY if patient is None else patient.custodian
    return owner.owner if owner.kind is OwnerKind.MEMBER else NOBODY


def _hash(raw: bytes) -> bytes:
    return hashlib.sha256(raw).digest()
