"""The journal: who looked, what left, what arrived. Appended, chained, durable before answered."""

import enum
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import msgspec

from iamata.crypto import aead
from iamata.crypto.commitments import SALT_BYTES, commit
from iamata.model.canonical import encode_struct
from iamata.model.ids import AccessId, Commitment, PatientId, decode_digest, encode_digest
from iamata.model.instants import Instant
from iamata.model.reasons import Reason, Refused, require
from iamata.ports import JournalRow
from iamata.vault.custody import Custody
from iamata.vault.envelopes import compress, decompress, open_envelope, seal_envelope
from iamata.vault.shelf import Head

JOURNAL_COMMITMENT: Final = "journal"
PAYLOAD_BYTES_MAX: Final = 32 * 1024 * 1024
"""The list of the largest release; a row holds it compressed."""
HEADER_BYTES_MAX: Final = 4_096
ENTRIES_PER_KEY: Final = 1 << 20
"""Nonces are random, so a key may serve only so many entries (NIST SP 800-38D, 8.3)."""

_LABEL: Final = b"iamata/1/journal-entry"
_CHANCE_BYTES: Final = SALT_BYTES + aead.NONCE_BYTES


class JournalKind(enum.StrEnum):
    """What an entry is about."""

    READ = "read"
    """Somebody inside the custodian was shown records; or they left as those of another, too."""
    REFUSAL = "refusal"
    DISCLOSURE = "disclosure"
    """Records are about to leave; the ledger was told."""
    RELEASE = "release"
    """Records left."""
    RECEIPT = "receipt"
    """The recipient confirmed them."""
    EMERGENCY = "emergency"
    SERVE = "serve"
    """The recipient's node showed to its own person what it had received."""
    LATE = "late"
    """Records are about to leave in an emergency before the ledger is told: on whose two signatures."""


class JournalEntry(msgspec.Struct, frozen=True, kw_only=True):
    """What happened; the payload is the workflow's."""

    kind: JournalKind
    patient: PatientId
    id: AccessId
    time_ms: Instant
    payload: bytes


class EntryHeader(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an entry's commitment binds beside the payload. `previous` makes the journal a chain."""

    sequence: int
    previous: Commitment
    kind: JournalKind
    patient: str
    id: AccessId
    time_ms: Instant


class OpenedEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An entry in the clear. Header, payload and salt open its commitment to whoever it is about."""

    header: EntryHeader
    payload: bytes
    salt: bytes
    commitment: Commitment


def append_entries(custody: Custody, entries: Sequence[JournalEntry]) -> list[OpenedEntry]:
    """Make entries durable, all in one transaction, and return them as they stand in the chain."""
    for entry in entries:
        require(len(entry.payload) <= PAYLOAD_BYTES_MAX, Reason.INPUT_TOO_LARGE, "a journal entry")
    shelf = custody.journal
    chance = custody.entropy(_CHANCE_BYTES * len(entries))
    with shelf.lock:
        head = shelf.read_head()
        opened: list[OpenedEntry] = []
        rows: list[JournalRow] = []
        for at, entry in enumerate(entries):
            salt = chance[at * _CHANCE_BYTES :][:SALT_BYTES]
            nonce = chance[at * _CHANCE_BYTES + SALT_BYTES :][: aead.NONCE_BYTES]
            opened.append(_chain(entry, head, salt))
            rows.append(_seal_entry(custody, opened[-1], nonce))
            head = Head(
                last=head.last + 1, count=head.count + 1, digest=rows[-1].commitment, settled=head.settled
            )
        if rows:
            shelf.store.append(rows, head=shelf.encode_head(head))
    return opened


def read_entries(custody: Custody, patient: PatientId) -> Iterator[OpenedEntry]:
    """Read what the journal says about a patient, oldest first."""
    return (open_entry(custody, row) for row in custody.journal.store.read_of_patient(patient))


def find_entries(custody: Custody, entry_id: AccessId) -> list[OpenedEntry]:
    """Return the entries about one access, in order."""
    return [open_entry(custody, row) for row in custody.journal.store.find(entry_id)]


def read_late(custody: Custody, *, is_settled: Callable[[AccessId], bool]) -> Iterator[OpenedEntry]:
    """Read what left before the ledger was told, oldest first, but for accesses that are settled."""
    return (open_entry(custody, row) for row in custody.journal.store.read_late() if not is_settled(row.id))


def open_entry(custody: Custody, row: JournalRow) -> OpenedEntry:
    """Open an entry, or refuse a row that was changed."""
    name = f"journal entry {row.sequence}"
    try:
        plain = open_envelope(
            custody.get_journal_key(row.sequence // ENTRIES_PER_KEY), row.sealed, associated=_bind(row)
        )
        said = decompress(plain[SALT_BYTES:], size_bytes_max=HEADER_BYTES_MAX + PAYLOAD_BYTES_MAX)
        salt, (header, _, payload) = plain[:SALT_BYTES], said.partition(b"\n")
        decoded = _HEADERS.decode(header)
    except (Refused, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Refused(Reason.CANNOT_OPEN, name) from error
    entry = OpenedEntry(
        header=decoded, payload=payload, salt=salt, commitment=Commitment(encode_digest(row.commitment))
    )
    require(commit_entry(entry) == entry.commitment, Reason.CANNOT_OPEN, f"the commitment of {name}")
    return entry


def commit_entry(entry: OpenedEntry) -> Commitment:
    """Commit to an entry: its header, a newline, and its payload."""
    return commit(JOURNAL_COMMITMENT, entry.salt, _spell(entry))


def _chain(entry: JournalEntry, head: Head, salt: bytes) -> OpenedEntry:
    header = EntryHeader(
        sequence=head.last + 1,
        previous=Commitment(encode_digest(head.digest)),
        kind=entry.kind,
        patient=entry.patient,
        id=entry.id,
        time_ms=entry.time_ms,
    )
    opened = OpenedEntry(header=header, payload=entry.payload, salt=salt, commitment=Commitment(""))
    return msgspec.structs.replace(opened, commitment=commit_entry(opened))


def _seal_entry(custody: Custody, entry: OpenedEntry, nonce: bytes) -> JournalRow:
    header = entry.header
    row = JournalRow(
        header.sequence, header.kind, header.patient, header.id, decode_digest(entry.commitment), b""
    )
    key = custody.get_journal_key(header.sequence // ENTRIES_PER_KEY)
    sealed = seal_envelope(key, entry.salt + compress(_spell(entry)), nonce=nonce, associated=_bind(row))
    return msgspec.structs.replace(row, sealed=sealed)


def _spell(entry: OpenedEntry) -> bytes:
    return encode_struct(entry.header) + b"\n" + entry.payload


def _bind(row: JournalRow) -> bytes:
    place = f"\x00{row.sequence}\x00{row.kind}\x00{row.patient}\x00{row.id}"
    return _LABEL + place.encode("utf-8", "replace")


_HEADERS: Final = msgspec.json.Decoder(EntryHeader)
