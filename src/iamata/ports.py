"""The few places where the outside is plugged in; each has two or more implementations."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from concurrent.futures import Future
from typing import Final, Protocol, TypeVar

import msgspec

from iamata.ledger.blocks import StoredBlock
from iamata.ledger.genesis import Genesis
from iamata.ledger.leaves import Leaf
from iamata.ledger.receipts import GrowthProof, Receipt, StateProof
from iamata.model.ids import AccessId, AnchorId, Digest, NetworkId, PatientId, TxId

QuestionT = TypeVar("QuestionT", bound=Sized)
AnswerT = TypeVar("AnswerT")


class Finality(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Where a transaction came to stand, and what came of it: 0, or the number of a reason."""

    id: TxId
    height: int
    index: int
    time_ms: int
    reason: int


class LedgerView(Protocol):
    """The ledger after one block, as it stays for whoever holds it."""

    height: int
    time_ms: int
    log_size: int
    app_hash: Digest

    def get(self, key: bytes) -> bytes | None:
        """Return the value at a key of the map, or None."""
        ...

    def prove_entry(self, key: bytes) -> StateProof:
        """Prove what the map holds at a key, or that it holds nothing."""
        ...

    def prove_leaf(self, index: int) -> Receipt:
        """Prove that the log holds a leaf."""
        ...

    def prove_growth(self, earlier_size: int) -> GrowthProof:
        """Prove that the log begins with all that it held at an earlier size."""
        ...


class Engine(Protocol):
    """What puts transactions in order. `workflows` and above cannot tell which one runs."""

    genesis: Genesis
    network: NetworkId

    def submit(self, raw: bytes) -> "Future[Finality]":
        """Hand a signed transaction in; the future ends when it is final, or is refused.

        Callbacks of the future run on the thread that writes blocks, so a slow one delays everybody.
        """
        ...

    def snapshot(self) -> LedgerView:
        """Return the newest final state, which no later block changes."""
        ...

    def events(self, after: int) -> Iterator[tuple[int, Leaf]]:
        """Read the log from a cursor: the leaves whose index is at least `after`."""
        ...


class Leader(Protocol):
    """Another node, whose ledger one follows: it orders, and is believed in nothing."""

    def submit(self, raw: bytes) -> "Future[Finality]":
        """Hand a signed transaction on; the future ends with what the leader says of it."""
        ...

    def read_blocks(self, *, first_height: int, wait_s: float) -> Sequence[StoredBlock]:
        """Return the next blocks from a height on, a few at most; none where none came in time.

        Refuse with NODE_UNREACHABLE where the leader does not answer.
        """
        ...

    def close(self) -> None:
        """Let go: a question that is open ends."""
        ...


class KeptLedger(Engine, Protocol):
    """An engine that somebody opened, and that shows whole blocks."""

    def read_blocks(self, *, first_height: int = 1) -> Iterator[StoredBlock]:
        """Read every final block in order."""
        ...

    def close(self) -> None:
        """Finish what was submitted, then stop."""
        ...


NO_PATIENT: Final = PatientId("")
"""The owner of the member's own records: its practitioners, organisations and places."""


class KeyHolder(Protocol):
    """What holds a node's key-encryption key, so that no other part ever sees it."""

    def wrap(self, data_key: bytes, *, patient: str, nonce: bytes) -> bytes:
        """Seal a patient's data key for storage."""
        ...

    def unwrap(self, wrapped: bytes, *, patient: str) -> bytes:
        """Open what `wrap` sealed for this patient, or refuse."""
        ...

    def derive(self, purpose: str) -> bytes:
        """Derive 32 bytes that serve one purpose only."""
        ...


class HeadedStore(Protocol):
    """A store whose every change comes with a new head, in the same durable transaction.

    The head is opaque here: the vault writes into it, under a MAC, what the store must hold.
    """

    def read_head(self) -> bytes | None:
        """Return the newest head, None in a store that was never written."""
        ...

    def close(self) -> None:
        """Let go of files."""
        ...


class WrappedKeyStore(HeadedStore, Protocol):
    """One wrapped data key a patient. What is erased leaves no copy in the store's files."""

    def add(self, keys: Mapping[str, bytes], *, head: bytes) -> None:
        """Make new wrapped keys durable, all or none."""
        ...

    def find(self, patient: str) -> bytes | None:
        """Return a patient's wrapped key, or None."""
        ...

    def erase(self, patient: str, *, head: bytes) -> None:
        """Destroy a patient's wrapped key."""
        ...

    def read_all(self) -> Iterator[tuple[str, bytes]]:
        """Read every wrapped key with its patient."""
        ...


class SequencedCommitment(msgspec.Struct, frozen=True, array_like=True):
    """A commitment and its place in the order in which a store took things in."""

    sequence: int
    commitment: bytes


class Anchor(msgspec.Struct, frozen=True, array_like=True):
    """A Merkle root over the commitments of one stretch of a store, `after < sequence <= last`."""

    id: AnchorId
    after: int
    last: int
    root: bytes
    count: int


class AnchoredStore(HeadedStore, Protocol):
    """A store whose rows are committed to on the ledger, stretch by stretch."""

    def read_commitments(self, *, after: int, last: int) -> Iterator[SequencedCommitment]:
        """Read the commitments of a stretch in order, of what was erased since too."""
        ...

    def add_anchor(self, anchor: Anchor, *, head: bytes) -> None:
        """Write down which stretch an anchor covers, before the ledger hears of it."""
        ...

    def write_head(self, head: bytes) -> None:
        """Replace the head."""
        ...

    def find_anchor(self, sequence: int) -> Anchor | None:
        """Return the anchor that covers a row, or None."""
        ...

    def read_anchors(self, *, after: int = 0) -> Iterator[Anchor]:
        """Read the anchors of what comes after a row, oldest first."""
        ...


class RecordRow(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One version of one record as it is stored, but for its body. Nothing here says what it is about."""

    sequence: int
    patient: str
    lookup: bytes
    version: int
    fingerprint: bytes
    commitment: bytes
    facts: bytes


class KnownRecord(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What must be known of a record before another version of it goes in."""

    patients: tuple[str, ...]
    """Whose record it is: all of its versions are."""
    version: int
    """Of the newest."""
    fingerprints: tuple[bytes, ...]
    """Of every version, oldest first."""


class RecordStore(AnchoredStore, Protocol):
    """Sealed records, found by keyed hashes only. Each patient of a record has rows of their own."""

    def add(
        self, rows: Sequence[tuple[RecordRow, bytes]], tokens: Sequence[tuple[bytes, int]], *, head: bytes
    ) -> None:
        """Make rows with their bodies, and identifiers' tokens with their rows, durable: all or nothing."""
        ...

    def find_newest(self, lookup: bytes, patient: str) -> RecordRow | None:
        """Return a patient's row of a record's newest version, or None."""
        ...

    def read_known(self, lookups: Sequence[bytes]) -> dict[bytes, KnownRecord]:
        """Return owners, newest version and all fingerprints of each record that is there."""
        ...

    def find_version(self, lookup: bytes, version: int, patient: str) -> RecordRow | None:
        """Return a patient's row of one version of a record, or None."""
        ...

    def find_by_token(self, token: bytes) -> list[RecordRow]:
        """Return the rows of records whose newest version carries an identifier."""
        ...

    def read_body(self, sequence: int) -> bytes:
        """Return the sealed body of a row that is there."""
        ...

    def read_bodies(self, sequences: Sequence[int]) -> dict[int, bytes]:
        """Return the sealed bodies of rows that are there, by row."""
        ...

    def read_of_patient(self, patient: str) -> Iterator[RecordRow]:
        """Read every version of a patient's records in order."""
        ...

    def read_all(self) -> Iterator[tuple[RecordRow, bytes]]:
        """Read every row with its body in order."""
        ...

    def read_tokens(self) -> Iterator[tuple[bytes, int]]:
        """Read every identifier's token, by row."""
        ...

    def read_erased(self) -> Iterator[SequencedCommitment]:
        """Read the commitments that stay behind because anchors are built on them."""
        ...

    def erase(self, patient: str, *, head: bytes) -> None:
        """Remove a patient's rows and tokens; keep the commitments that anchors need."""
        ...


class JournalRow(msgspec.Struct, frozen=True, array_like=True):
    """One entry of the journal as it is stored; what it says is sealed."""

    sequence: int
    kind: str
    patient: str
    id: AccessId
    commitment: bytes
    sealed: bytes


class JournalStore(AnchoredStore, Protocol):
    """What happened to records, appended only, durable before anyone is answered."""

    def append(self, rows: Sequence[JournalRow], *, head: bytes) -> None:
        """Make entries durable, all or none."""
        ...

    def find(self, entry_id: AccessId) -> list[JournalRow]:
        """Return the entries about one access, in order."""
        ...

    def read_of_patient(self, patient: str) -> Iterator[JournalRow]:
        """Read the entries about a patient in order."""
        ...

    def read_late(self) -> Iterator[JournalRow]:
        """Read the entries of the kind `late` in order, without looking at the others."""
        ...

    def read_all(self) -> Iterator[JournalRow]:
        """Read every entry in order."""
        ...


class OpeningRow(msgspec.Struct, frozen=True, array_like=True):
    """A sealed opening: what a commitment on the ledger commits to, and its salt."""

    name: str
    patient: str
    sealed: bytes


class OpeningStore(HeadedStore, Protocol):
    """Openings by name: the id of a consent or an access, or a commitment."""

    def add(self, rows: Sequence[OpeningRow], *, head: bytes) -> None:
        """Make openings durable, all or none."""
        ...

    def find(self, name: str) -> OpeningRow | None:
        """Return an opening, or None."""
        ...

    def read_of_patient(self, patient: str) -> Iterator[OpeningRow]:
        """Read the openings about a patient."""
        ...

    def read_all(self) -> Iterator[OpeningRow]:
        """Read every opening."""
        ...

    def erase(self, patient: str, *, head: bytes) -> None:
        """Remove the openings about a patient."""
        ...


class Workers(Protocol):
    """Who answers questions that can be answered anywhere: here, or in another process too."""

    def map(
        self, work: Callable[[QuestionT], Sequence[AnswerT]], questions: Iterable[QuestionT]
    ) -> Iterator[tuple[QuestionT, Sequence[AnswerT]]]:
        """Give each question back with its answers, one for each thing asked, in order.

        `work` is a function of a module and of its question alone; its annotations say how both are spelt.
        Some questions are read ahead of the answers. Where reading them ends in a refusal, it is raised
        after the answers to those before it.
        """
        ...

    def close(self) -> None:
        """Let go of processes."""
        ...
