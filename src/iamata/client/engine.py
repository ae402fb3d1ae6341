"""The engine port over a node that one does not trust: every read is proven, every answer checked."""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from iamata.client.connection import Connection
from iamata.client.view import FirstView, RemoteView, check_follows
from iamata.ledger.blocks import StoredBlock
from iamata.ledger.envelope import SignedTransaction, read_transaction
from iamata.ledger.genesis import Genesis, check_genesis, compute_network_id
from iamata.ledger.leaves import Leaf
from iamata.ledger.receipts import Checkpoint, check_checkpoint, check_receipt
from iamata.ledger.succession import Lineage, check_lineage
from iamata.model.ids import NetworkId
from iamata.model.reasons import Reason, Refused, require
from iamata.ports import Finality
from iamata.wire import bodies
from iamata.wire.refusals import read_refusal

SENDERS: Final = 4
"""Batches of transactions under way at once."""
WAITING_MAX: Final = 20_000
BATCH_BYTES_MAX: Final = 4 * 1_024 * 1_024

Waiting = tuple[SignedTransaction, "Future[Finality]"]


class RemoteEngine:
    """A ledger behind a URL. What it shows has to grow out of the last checkpoint that was checked."""

    def __init__(
        self,
        connection: Connection,
        genesis: Genesis,
        *,
        pinned: Checkpoint | None = None,
        keep: Callable[[Checkpoint], None] = lambda _: None,
    ) -> None:
        self.genesis = genesis
        self.network: NetworkId = compute_network_id(genesis)
        self._connection = connection
        self._pinned = pinned
        self._keep = keep
        self._looking = threading.Lock()
        self._view: RemoteView | FirstView | None = None
        self._waiting: deque[Waiting] = deque()
        self._senders = ThreadPoolExecutor(max_workers=SENDERS, thread_name_prefix="iamata-submit")

    def submit(self, raw: bytes) -> "Future[Finality]":
        """Hand a signed transaction in; the future ends when the node has proven what became of it."""
        transaction = read_transaction(raw)
        require(len(self._waiting) < WAITING_MAX, Reason.TOO_BUSY)
        future: Future[Finality] = Future()
        self._waiting.append((transaction, future))
        try:
            self._senders.submit(self._send_some)
        except RuntimeError as error:
            raise Refused(Reason.ENGINE_STOPPED) from error
        return future

    def snapshot(self) -> RemoteView | FirstView:
        """Return the node's newest state, once it is proven to have grown from the last one."""
        with self._looking:
            earlier = self._pinned
            query = bodies.SinceQuery(since=earlier.log_size if earlier else 0)
            position = self._connection.get("/v1/ledger/position", bodies.Position, query)
            if position.checkpoint is None:
                require(earlier is None, Reason.FAULT_FOUND, "the node shows a ledger without blocks")
                return FirstView(self.genesis)
            if earlier is not None:
                check_follows(position.checkpoint, position.growth, earlier=earlier, genesis=self.genesis)
                if position.checkpoint == earlier and isinstance(self._view, RemoteView):
                    return self._view
            self._view = RemoteView(
                self._connection, self.genesis, position.checkpoint, held=position.height
            )
            self._pinned = position.checkpoint
            self._keep(position.checkpoint)
            return self._view

    def events(self, after: int) -> Iterator[tuple[int, Leaf]]:
        """Read the log from a cursor, proven page by page."""
        return self.snapshot().read_events(after)

    def read_blocks(self, *, first_height: int = 1) -> Iterator[StoredBlock]:
        """Read every block in order; who believes them has replayed them."""
        height = first_height
        while True:
            query = bodies.BlocksQuery(first=height, limit=bodies.BLOCKS_MAX)
            page = self._connection.get("/v1/ledger/blocks", bodies.BlockPage, query)
            for block in page.blocks:
                require(block.height == height, Reason.FAULT_FOUND, f"block {height} is missing")
                yield block.read()
                height += 1
            if not page.blocks:
                return

    def close(self) -> None:
        """Send what was submitted, then let go."""
        self._senders.shutdown()
        self._connection.close()

    def _send_some(self) -> None:
        batch = self._take_batch()
        if not batch:
            return
        try:
            answers = self._send(batch)
        except Refused as refused:
            for _, future in batch:
                future.set_exception(Refused(refused.reason, refused.detail))
            return
        for (transaction, future), settled in zip(batch, answers, strict=True):
            try:
                future.set_result(self._check(transaction, settled))
            except Refused as refused:
                future.set_exception(refused)

    def _take_batch(self) -> list[Waiting]:
        batch: list[Waiting] = []
        size = 0
        while self._waiting and len(batch) < bodies.TRANSACTIONS_MAX and size < BATCH_BYTES_MAX:
            try:
                one = self._waiting.popleft()
            except IndexError:  # another sender took the last one
                break
            batch.append(one)
            size += len(one[0].raw)
        return batch

    def _send(self, batch: Sequence[Waiting]) -> tuple[bodies.Settled, ...]:
        raws = tuple(transaction.raw.decode("ascii") for transaction, _ in batch)
        body = bodies.Submission(transactions=raws, is_proven=True)
        answers = self._connection.post("/v1/transactions", bodies.Settlement, body).answers
        require(len(answers) == len(batch), Reason.NODE_UNREACHABLE, "it answers something else")
        return answers

    def _check(self, transaction: SignedTransaction, settled: bodies.Settled) -> Finality:
        """Return where a transaction stands, if the signed log says so too."""
        if settled.refused is not None:
            raise read_refusal(settled.refused)
        finality, receipt = settled.finality, settled.receipt
        if finality is None or receipt is None:
            raise Refused(Reason.FAULT_FOUND, "an answer without a proof")
        leaf = check_receipt(receipt, self.genesis)
        # In which block it stands the log does not say: the node's word, as far as the checkpoint goes.
        height_max = check_checkpoint(receipt.checkpoint, self.genesis).height
        proven = Finality(
            id=leaf.id,
            height=min(finality.height, height_max),
            index=receipt.index,
            time_ms=leaf.time_ms,
            reason=leaf.reason,
        )
        require(proven == finality and leaf.id == transaction.id, Reason.FAULT_FOUND, "a receipt")
        return proven


def fetch_lineage(connection: Connection) -> tuple[Lineage, Genesis]:
    """Fetch the networks that a node's own goes on from, and its genesis; nothing of it is trusted yet."""
    genesis, lineage = fetch_genesis(connection, network=None), connection.get("/v1/lineage", Lineage)
    check_lineage((*(one.genesis for one in lineage.predecessors), genesis))
    return lineage, genesis


def fetch_genesis(connection: Connection, *, network: NetworkId | None) -> Genesis:
    """Fetch the genesis; one whose hash is not the network's id that one trusts is refused."""
    genesis = connection.get("/v1/genesis", Genesis)
    check_genesis(genesis)
    is_ours = network is None or compute_network_id(genesis) == network
    require(is_ours, Reason.FOREIGN_NETWORK, connection.url)
    return genesis
