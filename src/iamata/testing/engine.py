"""The Engine port in memory: every transaction is final at once, in a block of its own."""

import dataclasses
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future

from iamata.crypto.ed25519 import SigningKey
from iamata.crypto.merkle import compute_root, hash_leaf, prove_consistency, prove_inclusion
from iamata.ledger.envelope import SignedTransaction, has_valid_signatures, read_transaction
from iamata.ledger.genesis import Genesis
from iamata.ledger.header import sign_header
from iamata.ledger.leaves import Leaf, decode_leaf
from iamata.ledger.receipts import (
    Checkpoint,
    GrowthProof,
    Receipt,
    StateProof,
    write_checkpoint,
    write_state_proof,
)
from iamata.ledger.state import Installed, LedgerState
from iamata.model.ids import Digest, encode_digest
from iamata.model.reasons import Reason, Refused, require
from iamata.ports import Finality, LedgerView


@dataclasses.dataclass(frozen=True, slots=True)
class MemoryBlock:
    """A block as it was ordered."""

    time_ms: int
    transactions: tuple[bytes, ...]
    results: tuple[int, ...]
    header: bytes


class MemoryEngine:
    """A ledger without a disk. `submit` is the port; `order` is for tests that choose their blocks."""

    def __init__(self, genesis: Genesis, *, orderer: SigningKey, clock: Callable[[], int]) -> None:
        self.genesis = genesis
        self.state = LedgerState(genesis)
        self.network = self.state.network
        self.blocks: list[MemoryBlock] = []
        self.leaves: list[bytes] = []
        self._orderer = orderer
        self._clock = clock
        self._lock = threading.RLock()

    def submit(self, raw: bytes) -> "Future[Finality]":
        """Admit one transaction and make a block of it."""
        transaction = read_transaction(raw)
        future: Future[Finality] = Future()
        with self._lock:
            try:
                require(has_valid_signatures(transaction), Reason.BAD_SIGNATURE)
                self.state.check(transaction, at_ms=self._clock())
            except Refused as refused:
                future.set_exception(refused)
                return future
            installed = self._install([transaction], self._clock())
            future.set_result(
                Finality(
                    id=transaction.id,
                    height=installed.header.height,
                    index=installed.first_leaf,
                    time_ms=installed.header.time_ms,
                    reason=installed.outcome.results[0],
                )
            )
        return future

    def order(self, raws: Sequence[bytes], *, at_ms: int | None = None) -> Installed:
        """Make a block of these transactions, admitted or not; their signatures are taken to hold."""
        with self._lock:
            transactions = [read_transaction(raw) for raw in raws]
            return self._install(transactions, self._clock() if at_ms is None else at_ms)

    def snapshot(self) -> LedgerView:
        """Return the newest state, which no later block changes."""
        with self._lock:
            return MemoryView(self)

    def events(self, after: int) -> Iterator[tuple[int, Leaf]]:
        """Read the log from a cursor."""
        for index in range(after, len(self.leaves)):
            yield index, decode_leaf(self.leaves[index])

    def close(self) -> None:
        """Do nothing: there is no file to close."""

    def _install(self, transactions: list[SignedTransaction], at_ms: int) -> Installed:
        position = self.state.place(at_ms)
        outcome = self.state.run(position, transactions)
        installed = self.state.install(position, transactions, outcome)
        self.leaves.extend(outcome.leaves)
        self.blocks.append(
            MemoryBlock(
                time_ms=position.time_ms,
                transactions=tuple(one.raw for one in transactions),
                results=outcome.results,
                header=sign_header(installed.header, self._orderer),
            )
        )
        return installed


class MemoryView:
    """One height of a ledger in memory."""

    def __init__(self, engine: MemoryEngine) -> None:
        state = engine.state
        self.height, self.time_ms, self.app_hash = state.height, state.time_ms, state.app_hash
        self.log_size = state.frontier.size
        self._entries = state.entries.freeze()
        self._log_root = state.frontier.root()
        self._leaves = engine.leaves
        self._header = engine.blocks[-1].header if engine.blocks else None

    def get(self, key: bytes) -> bytes | None:
        """Return the value at a key of the map, or None."""
        return self._entries.get(key)

    def prove_entry(self, key: bytes) -> StateProof:
        """Prove what the map holds at a key, or that it holds nothing."""
        return write_state_proof(key, self._entries, self._write_checkpoint())

    def prove_leaf(self, index: int) -> Receipt:
        """Prove that the log holds a leaf."""
        require(0 <= index < self.log_size, Reason.NOT_FOUND, f"leaf {index}")
        path = prove_inclusion(index, self.log_size, self._read_node)
        return Receipt(
            leaf=self._leaves[index].decode("utf-8"),
            index=index,
            path=tuple(Digest(encode_digest(node)) for node in path),
            checkpoint=self._write_checkpoint(),
        )

    def prove_growth(self, earlier_size: int) -> GrowthProof:
        """Prove that the log begins with all that it held at an earlier size."""
        require(0 < earlier_size <= self.log_size, Reason.NOT_FOUND, f"a log of {earlier_size} leaves")
        path = prove_consistency(earlier_size, self.log_size, self._read_node)
        return GrowthProof(
            earlier_size=earlier_size,
            path=tuple(Digest(encode_digest(node)) for node in path),
            checkpoint=self._write_checkpoint(),
        )

    def _read_node(self, level: int, index: int) -> bytes:
        leaves = self._leaves[index << level : (index + 1) << level]
        return compute_root([hash_leaf(leaf) for leaf in leaves])

    def _write_checkpoint(self) -> Checkpoint:
        return write_checkpoint(
            self._header,
            state_root=self._entries.root,
            log_root=self._log_root,
            log_size=self.log_size,
        )
