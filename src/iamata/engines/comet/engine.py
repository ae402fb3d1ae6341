"""A validator of its own: it submits through CometBFT, and runs and keeps what CometBFT orders.

CometBFT is another process, which whoever composes the node starts and supervises; it may come and go.
Nobody learns of a block before it is on this node's disk.
"""

import logging
import threading
from collections.abc import Callable, Container, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Final

from iamata.engines.comet.admission import Door
from iamata.engines.comet.application import Application
from iamata.engines.comet.broadcasting import Broadcast, Broadcaster
from iamata.engines.comet.dispatching import Dispatcher
from iamata.engines.comet.outbox import Outbox
from iamata.engines.comet.queries import QueryDesk
from iamata.engines.comet.recall import Recall
from iamata.engines.comet.server import AbciServer
from iamata.engines.comet.snapshots import INTERVAL_BLOCKS, SnapshotDesk, SnapshotStore
from iamata.engines.comet.waiting import WaitingBundles
from iamata.engines.comet.witness import CommitWitness
from iamata.engines.embedded.checking import SignatureChecker
from iamata.engines.embedded.engine import read_clock_ms
from iamata.engines.keeping.beginning import Hold
from iamata.engines.keeping.keeper import LedgerKeeper, PendingBlock
from iamata.engines.keeping.lock import LedgerLock
from iamata.engines.keeping.view import KeptView
from iamata.ledger.blocks import StoredBlock
from iamata.ledger.envelope import read_transaction
from iamata.ledger.genesis import Genesis
from iamata.ledger.leaves import Leaf
from iamata.model.reasons import Reason, Refused, require
from iamata.ports import Finality

SNAPSHOTS: Final = "snapshots"

_LOG: Final = logging.getLogger(__name__)


class CometEngine:
    """A ledger in a folder, ordered by validators that agree."""

    def __init__(  # noqa: PLR0913  what an engine is wired from
        self,
        folder: Path,
        genesis: Genesis,
        *,
        address: str,
        broadcast: Broadcast,
        peers: Container[str] = (),
        witness: CommitWitness | None = None,
        hold: Hold | None = None,
        clock: Callable[[], int] = read_clock_ms,
        snapshot_blocks: int = INTERVAL_BLOCKS,
        blocks_kept: int = 0,
        part: Callable[[], None] = lambda: None,
    ) -> None:
        """Let these `peers` stay, `hold` a snapshot against headers, and let `part` stop CometBFT first."""
        require(bool(genesis.validators), Reason.UNKNOWN_SIGNER, "one signer orders this ledger")
        self.genesis = genesis
        self._witness = witness
        self._part = part
        self._closing = threading.Lock()
        self._is_closed = False
        self._is_halted = False
        self._lock, self._keeper = _open_keeper(folder, genesis, witness)
        self.network = self._keeper.state.network
        self._outbox = Outbox()
        self._recall = Recall(SignatureChecker())
        self._store = SnapshotStore(folder / SNAPSHOTS, interval_blocks=snapshot_blocks)
        door = Door(self._keeper.state, self._recall, WaitingBundles(), clock=clock)
        self._application = Application(self._keeper, self._recall, door, self, blocks_kept=blocks_kept)
        snapshots = SnapshotDesk(self._keeper, self._store, hold=hold, clock=clock)
        has_vouched = (lambda *_: True) if witness is None else witness.has_vouched
        dispatcher = Dispatcher(self._application, QueryDesk(self._keeper, peers, has_vouched), snapshots)
        self._server = AbciServer(dispatcher, address, halt=self._halt)
        try:
            self._server.start()
        except BaseException:
            self._let_go()
            raise
        self._broadcaster = Broadcaster(self._outbox, broadcast, clock=clock)

    def submit(self, raw: bytes) -> "Future[Finality]":
        """Hand a signed transaction in; the same one twice shares one answer."""
        transaction = read_transaction(raw)
        future = self._outbox.put(transaction)
        self._recall.announce(transaction)
        return future

    def snapshot(self) -> KeptView:
        """Return the newest durable state, which no later block changes."""
        return self._keeper.take_view()

    def events(self, after: int) -> Iterator[tuple[int, Leaf]]:
        """Read the log from a cursor, up to what is durable now."""
        return self._keeper.read_events(after)

    def read_blocks(self, *, first_height: int = 1) -> Iterator[StoredBlock]:
        """Read every durable block in order."""
        return self._keeper.read_blocks(first_height=first_height)

    def close(self) -> None:
        """Cut CometBFT off and stop. What was submitted and is not final may still become so elsewhere."""
        with self._closing:
            if self._is_closed:
                return
            self._is_closed = True
            self._outbox.end_all()
            self._part()
            self._broadcaster.close()
            self._server.close()
            self._let_go()

    def take_block(self, block: PendingBlock) -> None:
        """Answer everybody who waited for a line of a block that is now durable."""
        installed = block.installed
        header = installed.header
        first = installed.first_leaf + len(block.misbehaviours)
        results = zip(block.transactions, installed.outcome.results, strict=True)
        for index, (line, reason) in enumerate(results, first):
            self._outbox.answer(
                line, height=header.height, index=index, time_ms=header.time_ms, reason=reason
            )
        if self._witness is not None:
            self._witness.notice(header.height)
        is_first = header.height == self._keeper.state.first_height
        if self._store.is_due(header.height, is_first=is_first):
            self._store.begin(self._keeper.describe_beginning())

    def turn_away(self, line: bytes, refused: Refused) -> None:
        """Tell who waits for a line that no block will take in."""
        self._outbox.refuse(line, refused)

    def begin_mempool(self) -> None:
        """Send everything again that is not final: CometBFT keeps its mempool in memory."""
        self._outbox.send_again()

    @property
    def is_halted(self) -> bool:
        """Whether the ledger met what it cannot go on after; its process had better start anew."""
        return self._is_halted

    @property
    def trouble(self) -> Refused | None:
        """Say why the ledger does not grow, None where nothing stopped it."""
        stopped = Refused(Reason.ENGINE_STOPPED, "the ledger stopped; the node's log says why")
        return stopped if self._is_halted else None

    def _halt(self, error: BaseException) -> None:
        self._is_halted = True
        _LOG.critical("the ledger's engine stopped: %s", error)
        self._outbox.end_all()

    def _let_go(self) -> None:
        if self._witness is not None:
            self._witness.close()
        self._application.close()
        self._store.wait()
        self._keeper.close()
        self._lock.release()


def _open_keeper(
    folder: Path, genesis: Genesis, witness: CommitWitness | None
) -> tuple[LedgerLock, LedgerKeeper]:
    """Take the folder for ourselves, and open what is kept in it."""
    lock = LedgerLock(folder)
    try:
        keeper = LedgerKeeper(folder, genesis, vouch=None if witness is None else witness.vouch)
        keeper.check_rules()
    except BaseException:
        lock.release()
        raise
    return lock, keeper
