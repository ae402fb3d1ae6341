"""Who has how much waiting in the mempool, so that no member can fill it.

CometBFT keeps the mempool; here stands which bundles it was allowed to take in, until they are final,
refused when they are looked at again, or gone with a restart of it.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable
from typing import Final

from iamata.ledger.entries import OwnerKind
from iamata.ledger.tables import KEYS, PATIENTS, PERSONS, Bytes
from iamata.model.ids import KeyId

MEMBER_BYTES_MAX: Final = 4 * 1024 * 1024
"""Of one member's transactions at a time: about two blocks full."""
MEMBER_BUNDLES_MAX: Final = 500
"""With lines of one member, at a time: a tenth of what CometBFT's mempool holds, however small they are."""
NOBODY: Final = ""
"""Whose keys the ledger does not know: all of them share one member's part."""


class WaitingBundles:
    """Bytes and bundles by member."""

    def __init__(self) -> None:
        self._bundles: dict[bytes, Counter[str]] = {}
        self._bytes: Counter[str] = Counter()
        self._counts: Counter[str] = Counter()

    def has_room(self, member: str, size: int, ahead: Counter[str]) -> bool:
        """Tell whether a member may have so much more waiting, besides what the same bundle brings."""
        has_bytes = self._bytes[member] + ahead[member] + size <= MEMBER_BYTES_MAX
        return has_bytes and self._counts[member] < MEMBER_BUNDLES_MAX

    def add(self, bundle: bytes, sizes: Counter[str]) -> None:
        """Count a bundle that waits from now on."""
        digest = hashlib.sha256(bundle).digest()
        if digest not in self._bundles:
            self._bundles[digest] = sizes
            self._bytes.update(sizes)
            self._counts.update(sizes.keys())

    def remove(self, bundles: Iterable[bytes]) -> None:
        """Count what waits no longer."""
        for bundle in bundles:
            sizes = self._bundles.pop(hashlib.sha256(bundle).digest(), None)
            if sizes is not None:
                self._bytes -= sizes  # a counter keeps no zeros
                self._counts -= Counter(sizes.keys())

    def clear(self) -> None:
        """Begin again with a mempool that is empty."""
        self._bundles.clear()
        self._bytes.clear()
        self._counts.clear()


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
