"""What readers see: the ledger after one block, held still while the writer goes on."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from iamata.crypto.authmap import FrozenMap
from iamata.crypto.merkle import prove_consistency, prove_inclusion
from iamata.crypto.tiles import Frontier, make_node_reader
from iamata.engines.keeping.faults import refuse_damage
from iamata.engines.keeping.storage import LedgerFile
from iamata.ledger.receipts import (
    Checkpoint,
    GrowthProof,
    Receipt,
    StateProof,
    write_checkpoint,
    write_state_proof,
)
from iamata.model.ids import Digest, encode_digest
from iamata.model.reasons import Reason, Refused, require

BorrowFile = Callable[[], AbstractContextManager[LedgerFile]]
Vouch = Callable[[int, Digest], tuple[bytes, Sequence[bytes]]]
"""Returns the signed header that names what the block of a height came to, and steps that lead to it."""


class KeptView:
    """One height of a kept ledger."""

    def __init__(  # noqa: PLR0913  what a height consists of
        self,
        *,
        entries: FrozenMap,
        frontier: Frontier,
        header: bytes | None,
        place: tuple[int, int, Digest],
        borrow_file: BorrowFile,
        vouch: Vouch | None = None,
    ) -> None:
        self._entries = entries
        self._frontier = frontier
        self._header = header
        self._borrow_file = borrow_file
        self._vouch = vouch
        self._leaves: tuple[int, Sequence[bytes]] = (0, ())
        """Where the leaves of the block begin that was read last, and they."""
        self._checkpoint: Checkpoint | None = None
        """Written once, as the view never changes; every proof carries it."""
        self.height, self.time_ms, self.app_hash = place
        self.log_size = frontier.size

    def get(self, key: bytes) -> bytes | None:
        """Return the value at a key of the map, or None."""
        return self._entries.get(key)

    def prove_entry(self, key: bytes) -> StateProof:
        """Prove what the map holds at a key, or that it holds nothing."""
        return write_state_proof(key, self._entries, self._write_checkpoint())

    def prove_leaf(self, index: int) -> Receipt:
        """Prove that the log holds a leaf."""
        require(0 <= index < self.log_size, Reason.NOT_FOUND, f"leaf {index}")
        with self._borrow_file() as file:
            leaf = self._read_leaf(index, file)
            try:
                path = prove_inclusion(index, self.log_size, make_node_reader(file.read_tile))
            except ValueError:
                refuse_damage(f"the tiles of the log around leaf {index}")
        return Receipt(
            leaf=leaf.decode("utf-8"),
            index=index,
            path=tuple(Digest(encode_digest(node)) for node in path),
            checkpoint=self._write_checkpoint(),
        )

    def prove_growth(self, earlier_size: int) -> GrowthProof:
        """Prove that the log begins with all that it held at an earlier size."""
        require(0 < earlier_size <= self.log_size, Reason.NOT_FOUND, f"a log of {earlier_size} leaves")
        with self._borrow_file() as file:
            try:
                path = prove_consistency(earlier_size, self.log_size, make_node_reader(file.read_tile))
            except ValueError:
                refuse_damage("the tiles of the log")
        return GrowthProof(
            earlier_size=earlier_size,
            path=tuple(Digest(encode_digest(node)) for node in path),
            checkpoint=self._write_checkpoint(),
        )

    def _read_leaf(self, index: int, file: LedgerFile) -> bytes:
        """Read a leaf; those of the same block need not be read again, as when a batch is answered."""
        first, leaves = self._leaves
        if not first <= index < first + len(leaves):
            block = file.find_block_of_leaf(index)
            if block is None and file.is_cut_off():
                raise Refused(Reason.NOT_FOUND, f"leaf {index} is older than what this node began with")
            if block is None or index - block.first_leaf >= len(block.leaves):
                refuse_damage(f"no block holds leaf {index}")
            self._leaves = first, leaves = block.first_leaf, block.leaves
        return leaves[index - first]

    def _write_checkpoint(self) -> Checkpoint:
        if self._checkpoint is None:
            self._checkpoint = self._vouch_for_checkpoint()
        return self._checkpoint

    def _vouch_for_checkpoint(self) -> Checkpoint:
        """Put a signature beside the roots: the block's own header or, where validators vouch, theirs."""
        header: bytes | None = self._header
        steps: Sequence[bytes] = ()
        if header is None and self.height:
            raise Refused(Reason.TOO_BUSY, "the network that goes on here has made no block yet")
        if header is not None and self._vouch is not None:
            header, steps = self._vouch(self.height, self.app_hash)
        return write_checkpoint(
            header,
            state_root=self._entries.root,
            log_root=self._frontier.root(),
            log_size=self.log_size,
            steps=steps,
        )
