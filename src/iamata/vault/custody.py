"""What a member's vault works with: its stores, the keys it has derived, and the data keys in use."""

import dataclasses
from collections.abc import Callable, Iterable
from typing import Final

from iamata.crypto import aead, hkdf
from iamata.crypto.mac import Mac
from iamata.model.ids import MemberId
from iamata.model.reasons import Reason, Refused
from iamata.ports import JournalStore, KeyHolder, OpeningStore, RecordStore, WrappedKeyStore
from iamata.vault.shelf import Head, Shelf, add_to_digest

DATA_KEYS_CACHED_MAX: Final = 10_000

Entropy = Callable[[int], bytes]
"""Returns so many random bytes: `os.urandom` in a node, a seeded source in tests."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class MemberStores:
    """The four stores of one member."""

    records: RecordStore
    keys: WrappedKeyStore
    journal: JournalStore
    openings: OpeningStore

    def close(self) -> None:
        """Close all four."""
        for store in (self.records, self.keys, self.journal, self.openings):
            store.close()


class Custody:
    """One member's stores and keys. Who needs several locks takes records, then keys, then openings."""

    def __init__(
        self, stores: MemberStores, holder: KeyHolder, *, member: MemberId, entropy: Entropy
    ) -> None:
        self.member = member
        self.entropy = entropy
        self.records = Shelf("records", stores.records, holder.derive("head"))
        self.keys = Shelf("keys", stores.keys, holder.derive("head"))
        self.journal = Shelf("journal", stores.journal, holder.derive("head"))
        self.openings = Shelf("openings", stores.openings, holder.derive("head"))
        self.index_key = holder.derive("index")
        self.index = Mac(self.index_key)
        self._journal_secret = holder.derive("journal")
        self.opening_key = aead.Key(holder.derive("opening"))
        self._holder = holder
        self._data_keys: dict[str, aead.Key] = {}
        self._journal_keys: dict[int, aead.Key] = {}

    def __repr__(self) -> str:
        return f"Custody({self.member})"

    def close(self) -> None:
        """Close the stores."""
        for shelf in (self.records, self.keys, self.journal, self.openings):
            shelf.store.close()

    def get_data_key(self, patient: str) -> aead.Key:
        """Return a patient's data key, or refuse where it was destroyed or never made."""
        key = self.find_data_key(patient)
        if key is None:
            raise Refused(Reason.ERASED, f"the key of {patient or 'the member'}")
        return key

    def find_data_key(self, patient: str) -> aead.Key | None:
        """Return a patient's data key, or None."""
        key = self._data_keys.get(patient)
        if key is None:
            with self.keys.lock:  # or a key that is destroyed meanwhile would be remembered
                wrapped = self.keys.store.find(patient)
                if wrapped is None:
                    return None
                key = aead.Key(self._holder.unwrap(wrapped, patient=patient))
                self._remember(patient, key)
        return key

    def get_journal_key(self, block: int) -> aead.Key:
        """Return the key of one block of the journal; a key may seal only so many entries."""
        key = self._journal_keys.get(block)
        if key is None:
            secret = hkdf.derive(
                self._journal_secret, salt=b"", info=str(block).encode("ascii"), size_bytes=aead.KEY_BYTES
            )
            key = self._journal_keys[block] = aead.Key(secret)
        return key

    def make_data_keys(self, patients: Iterable[str]) -> None:
        """Make a data key durable for each patient that has none."""
        with self.keys.lock:
            missing = [
                patient for patient in dict.fromkeys(patients) if self.find_data_key(patient) is None
            ]
            if not missing:
                return
            fresh = {patient: self.entropy(aead.KEY_BYTES) for patient in missing}
            wrapped = {
                patient: self._holder.wrap(key, patient=patient, nonce=self.entropy(aead.NONCE_BYTES))
                for patient, key in fresh.items()
            }
            head = self.keys.read_head()
            digest = add_to_digest(head.digest, [(0, read_tag(blob)) for blob in wrapped.values()])
            self.keys.store.add(
                wrapped, head=self.keys.encode_head(Head(count=head.count + len(wrapped), digest=digest))
            )
            for patient, key in fresh.items():
                self._remember(patient, aead.Key(key))

    def destroy_data_key(self, patient: str) -> bool:
        """Destroy a patient's data key here and in its file; tell whether there was one."""
        with self.keys.lock:
            self._data_keys.pop(patient, None)
            wrapped = self.keys.store.find(patient)
            if wrapped is None:
                return False
            head = self.keys.read_head()
            digest = add_to_digest(head.digest, [(0, read_tag(wrapped))], sign=-1)
            self.keys.store.erase(
                patient, head=self.keys.encode_head(Head(count=head.count - 1, digest=digest))
            )
            return True

    def check_data_key(self, patient: str, wrapped: bytes) -> None:
        """Refuse a wrapped key that this custody's key holder cannot open for this patient."""
        self._holder.unwrap(wrapped, patient=patient)

    def _remember(self, patient: str, key: aead.Key) -> None:
        if len(self._data_keys) >= DATA_KEYS_CACHED_MAX:
            self._data_keys.pop(next(iter(self._data_keys)))
        self._data_keys[patient] = key


def read_tag(envelope: bytes) -> bytes:
    """Return the authentication tag at the end of an envelope: it stands for all that was sealed."""
    return envelope[-aead.TAG_BYTES :]
