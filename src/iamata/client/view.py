"""The ledger at one height as a node shows it: every answer is proven against one signed checkpoint."""

from collections.abc import Iterator
from typing import Final

from iamata.client.connection import Connection
from iamata.crypto.merkle import hash_leaf, verify_consistency
from iamata.crypto.tiles import Frontier
from iamata.ledger.genesis import Genesis, compute_first_entries
from iamata.ledger.leaves import Leaf, decode_leaf
from iamata.ledger.receipts import (
    Checkpoint,
    GrowthProof,
    Receipt,
    StateProof,
    check_checkpoint,
    check_growth,
    check_receipt,
    check_state_proof,
)
from iamata.ledger.state import LedgerState
from iamata.model.ids import decode_digest
from iamata.model.reasons import Reason, Refused, require
from iamata.wire import bodies

PAGE: Final = 500


class RemoteView:
    """One height of a ledger behind a URL. What the node cannot prove is a fault of its own.

    `held` is the height by which the node holds it: blocks that changed nothing may have followed.
    """

    def __init__(
        self, connection: Connection, genesis: Genesis, checkpoint: Checkpoint, *, held: int
    ) -> None:
        header = check_checkpoint(checkpoint, genesis)
        self._held = held
        self.height = header.height
        self.time_ms: int = header.time_ms
        self.log_size = checkpoint.log_size
        self.app_hash = header.app_hash
        self.checkpoint = checkpoint
        self._connection = connection
        self._genesis = genesis
        self._known: dict[bytes, StateProof] = {}

    def get(self, key: bytes) -> bytes | None:
        """Return the value at a key of the map, or None; either is proven."""
        value = self.prove_entry(key).value
        return None if value is None else value.encode("utf-8")

    def prove_entry(self, key: bytes) -> StateProof:
        """Return the proof of what the map holds at a key, once it was checked."""
        known = self._known.get(key)
        if known is not None:
            return known
        query = bodies.StateQuery(key=key.decode("ascii"), height=self._held)
        proof = self._connection.get("/v1/ledger/state", StateProof, query)
        require(proof.key == query.key, Reason.FAULT_FOUND, "a proof of something else")
        self._check_place(proof.checkpoint)
        check_state_proof(proof, self._genesis)
        self._known[key] = proof
        return proof

    def prove_leaf(self, index: int) -> Receipt:
        """Return the proof that the log holds a leaf, once it was checked."""
        query = bodies.LeafQuery(index=index, height=self._held)
        receipt = self._connection.get("/v1/ledger/leaf", Receipt, query)
        require(receipt.index == index, Reason.FAULT_FOUND, "a proof of something else")
        self._check_place(receipt.checkpoint)
        check_receipt(receipt, self._genesis)
        return receipt

    def prove_growth(self, earlier_size: int) -> GrowthProof:
        """Return a proof of growth; whoever kept the earlier checkpoint checks it."""
        query = bodies.GrowthQuery(since=earlier_size, height=self._held)
        growth = self._connection.get("/v1/ledger/growth", GrowthProof, query)
        self._check_place(growth.checkpoint)
        return growth

    def read_events(self, after: int) -> Iterator[tuple[int, Leaf]]:
        """Read the log from a cursor, each page proven to stand where it is shown."""
        index = max(after, 0)
        while index < self.log_size:
            query = bodies.EventsQuery(after=index, limit=PAGE, height=self._held)
            page = self._connection.get("/v1/ledger/events", bodies.EventPage, query)
            leaves = [leaf.encode("utf-8") for leaf in page.leaves]
            self._check_page(page, leaves, index)
            for leaf in leaves:
                yield index, decode_leaf(leaf)
                index += 1

    def _check_page(self, page: bodies.EventPage, leaves: list[bytes], index: int) -> None:
        """Refuse leaves unless what lies before them and they themselves grew into this very log."""
        is_whole = page.growth is not None and page.after == index and 0 < len(leaves) <= PAGE
        is_whole = is_whole and len(page.left) == index.bit_count()
        if page.growth is None or not is_whole:
            raise Refused(Reason.FAULT_FOUND, "a page of the log")
        self._check_place(page.growth.checkpoint)
        left = Frontier(index, tuple(decode_digest(node) for node in page.left))
        grown = left.extend(map(hash_leaf, leaves))
        is_here = verify_consistency(
            first=grown.size,
            second=self.log_size,
            first_root=grown.root(),
            second_root=decode_digest(self.checkpoint.log_root),
            proof=[decode_digest(node) for node in page.growth.path],
        )
        require(is_here, Reason.FAULT_FOUND, f"the log from leaf {index} on")

    def _check_place(self, checkpoint: Checkpoint) -> None:
        require(checkpoint == self.checkpoint, Reason.FAULT_FOUND, "a proof of another height")


class FirstView:
    """A ledger without blocks: what the genesis says, and nothing that anybody could prove."""

    def __init__(self, genesis: Genesis) -> None:
        state = LedgerState(genesis)
        self.height, self.time_ms, self.log_size = 0, state.time_ms, 0
        self.app_hash = state.app_hash
        self._entries = compute_first_entries(genesis)

    def get(self, key: bytes) -> bytes | None:
        """Return what the genesis says."""
        return self._entries.get(key)

    def prove_entry(self, key: bytes) -> StateProof:
        """Refuse: nothing was signed yet."""
        raise Refused(Reason.NOT_FOUND, f"{key!a}: a ledger without blocks has no signed header yet")

    def prove_leaf(self, index: int) -> Receipt:
        """Refuse: there is no leaf."""
        raise Refused(Reason.NOT_FOUND, f"leaf {index}")

    def prove_growth(self, earlier_size: int) -> GrowthProof:
        """Refuse: there is no log."""
        raise Refused(Reason.NOT_FOUND, f"a log of {earlier_size} leaves")

    def read_events(self, _: int) -> Iterator[tuple[int, Leaf]]:
        """Read nothing."""
        return iter(())


def check_follows(
    newer: Checkpoint, growth: GrowthProof | None, *, earlier: Checkpoint, genesis: Genesis
) -> None:
    """Refuse unless a checkpoint is a later one of the ledger whose earlier one was checked before."""
    before, after = check_checkpoint(earlier, genesis), check_checkpoint(newer, genesis)
    require(after.height >= before.height, Reason.FAULT_FOUND, "the node shows an older ledger than before")
    # Of validators' votes for one block two nodes may have seen different ones: what they say is the same.
    is_same = after == before and (newer == earlier or bool(genesis.validators))
    require(is_same or after.height > before.height, Reason.FAULT_FOUND, "two blocks of one height")
    if earlier.log_size:
        is_shown = growth is not None and growth.checkpoint == newer
        if growth is None or not is_shown:
            raise Refused(Reason.FAULT_FOUND, "no proof that the log only grew")
        check_growth(growth, earlier, genesis)
