"""Keep a ledger in a folder: install a block, make it durable, and hold states still for readers.

Who decides what the next block is, and who signs it, is the engine's affair.
"""

import dataclasses
import itertools
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from iamata.crypto.tiles import Frontier, compute_changed_tiles
from iamata.engines.keeping.beginning import (
    BEGINNING_FILE,
    Beginning,
    Hold,
    check_beginning,
    choose_stretch,
    read_edge,
    write_beginning,
)
from iamata.engines.keeping.faults import refuse_damage
from iamata.engines.keeping.readers import ReaderPool
from iamata.engines.keeping.restoring import restore
from iamata.engines.keeping.segments import Segment
from iamata.engines.keeping.storage import LedgerFile
from iamata.engines.keeping.view import KeptView, Vouch
from iamata.ledger.blocks import StoredBlock
from iamata.ledger.envelope import SignedTransaction
from iamata.ledger.execution import Outcome, Position
from iamata.ledger.genesis import Genesis
from iamata.ledger.header import Header
from iamata.ledger.leaves import Leaf, decode_leaf
from iamata.ledger.misbehaviour import Misbehaviour
from iamata.ledger.state import Installed, LedgerState
from iamata.model.ids import Digest
from iamata.model.reasons import Reason, Refused, require


@dataclasses.dataclass(frozen=True, slots=True)
class PendingBlock:
    """A block that is part of the state and not yet durable."""

    installed: Installed
    frontier: Frontier
    """The log's edge before it."""
    transactions: tuple[bytes, ...]
    groups: tuple[int, ...]
    misbehaviours: tuple[Misbehaviour, ...]


class LedgerKeeper:
    """The only one who changes a folder's ledger. One thread writes; any may read."""

    def __init__(self, folder: Path, genesis: Genesis, *, vouch: Vouch | None = None) -> None:
        self._vouch = vouch
        self._folder = folder
        self._file = LedgerFile(folder, is_writer=True)
        self._viewing = threading.Lock()
        self._view: KeptView | None = None
        self.state = LedgerState(genesis)
        try:
            self._segments, self._header = restore(self._file, self.state)
        except BaseException:
            self._file.close()
            raise
        if self.state.height == 0:  # a crash left a snapshot behind with which nothing has begun
            (folder / BEGINNING_FILE).unlink(missing_ok=True)
        self._readers = ReaderPool(folder)

    @property
    def newest_header(self) -> bytes | None:
        """The header of the newest block as it is kept, None on a new ledger."""
        return self._header

    @property
    def may_begin(self) -> bool:
        """Tell whether nothing was added since the ledger began: a crash may have kept CometBFT from it."""
        is_begun = (self._folder / BEGINNING_FILE).exists()
        return self.state.height == 0 or (is_begun and self._file.has_just_begun())

    def check_rules(self) -> None:
        """Refuse to go on where the next block's rules are not known here; what is kept can be read."""
        try:
            self.state.place(self.state.time_ms)
        except Refused:
            self.close()
            raise

    def check_inheritance(self) -> None:
        """Refuse to go on without the blocks of the network that this one continues."""
        has_begun = self.state.height >= self.state.first_height - 1
        if not has_begun:
            self.close()
            raise Refused(Reason.HOME_CORRUPT, "the blocks of what this network continues are missing")

    def take_view(self) -> KeptView:
        """Hold the newest durable state still. Waits for nothing, and delays nobody."""
        with self._viewing:
            if self._view is None:
                self._view = KeptView(
                    entries=self.state.entries.freeze(),
                    frontier=self.state.frontier,
                    header=self._header,
                    place=(self.state.height, self.state.time_ms, self.state.app_hash),
                    borrow_file=self._readers.borrow,
                    vouch=self._vouch,
                )
            return self._view

    def keep(
        self,
        position: Position,
        transactions: Sequence[SignedTransaction],
        outcome: Outcome,
        sign: Callable[[Header], bytes],
    ) -> Installed:
        """Make a block part of the state and durable, or leave both as they were.

        `sign` is handed the header that the block comes to, and returns it as it is to be kept, or refuses.
        """
        pending = self.install(position, transactions, outcome)
        try:
            header = sign(pending.installed.header)
        except BaseException:
            self.revert(pending)
            raise
        self.commit(pending, header)
        return pending.installed

    def install(
        self,
        position: Position,
        transactions: Sequence[SignedTransaction],
        outcome: Outcome,
        *,
        groups: tuple[int, ...] = (),
        misbehaviours: tuple[Misbehaviour, ...] = (),
    ) -> "PendingBlock":
        """Make a block part of the state, but not yet durable: `commit` or `revert` must follow."""
        # While a block is installed readers go on seeing the one before: what is shown is durable.
        self.take_view()
        frontier = self.state.frontier
        installed = self.state.install(position, transactions, outcome)
        return PendingBlock(
            installed=installed,
            frontier=frontier,
            transactions=tuple(one.raw for one in transactions),
            groups=groups,
            misbehaviours=misbehaviours,
        )

    def commit(self, pending: "PendingBlock", header: bytes) -> None:
        """Make an installed block durable and visible, or take it back."""
        try:
            self._store(pending, header)
        except BaseException:
            self.revert(pending)
            raise
        with self._viewing:
            self._header = header
            self._view = None

    def revert(self, pending: "PendingBlock") -> None:
        """Take an installed block back that was not made durable."""
        self.state.revert(pending.installed)

    def describe_beginning(self) -> Beginning:
        """Describe the newest durable state so that another node can begin there."""
        first_height = self.state.first_height
        own = itertools.takewhile(
            lambda block: block.height >= first_height, self._file.read_blocks_backwards()
        )
        blocks = choose_stretch(own)
        return Beginning(
            blocks=blocks,
            edge=read_edge(blocks[0].first_leaf, self._file.read_tile),
            entries=tuple(self.state.entries.items()),
        )

    def begin_at(
        self, beginning: Beginning, *, height: int, app_hash: Digest, hold: Hold | None = None
    ) -> None:
        """Begin where another node stands, if what it shows comes to this app hash, or refuse."""
        require(self.may_begin, Reason.HOME_ALREADY_EXISTS, "this ledger has begun already")
        tiles = check_beginning(beginning, self.state.genesis, height=height, app_hash=app_hash)
        if hold is not None:
            hold(beginning)
        write_beginning(self._folder, beginning)
        segment = Segment(height, dict(beginning.entries))
        self._file.begin_at(beginning.blocks, segment=segment, tiles=tiles)
        segments, header = restore(self._file, self.state)
        with self._viewing:
            self._segments, self._header, self._view = segments, header, None

    def read_events(self, after: int) -> Iterator[tuple[int, Leaf]]:
        """Read the log from a cursor, or from what this ledger began with, up to what is durable now."""
        return self._read_events(after, self.take_view().log_size)

    def read_blocks(self, *, first_height: int = 1) -> Iterator[StoredBlock]:
        """Read every durable block in order."""
        with self._readers.borrow() as file:
            yield from file.read_blocks(first_height=first_height)

    def close(self) -> None:
        """Close the file, for readers too."""
        self._readers.close()
        self._file.close()

    def _read_events(self, after: int, size: int) -> Iterator[tuple[int, Leaf]]:
        if after >= size:
            return
        with self._readers.borrow() as file:
            first = file.find_block_of_leaf(max(after, 0))
            blocks = file.read_blocks(first_height=1 if first is None else first.height)
            for block in blocks:
                for index, leaf in enumerate(block.leaves, start=block.first_leaf):
                    if index >= size:
                        return
                    if index >= after:
                        yield index, _decode_leaf(leaf, index)

    def _store(self, pending: "PendingBlock", header: bytes) -> None:
        installed = pending.installed
        height = installed.header.height
        changes = installed.outcome.changes
        if height == self.state.first_height:
            changes = {**self.state.inherited, **changes}
        segment = self._segments.plan(height, changes, self._file.read_segment)
        block = StoredBlock(
            height=height,
            time_ms=installed.header.time_ms,
            first_leaf=installed.first_leaf,
            header=header,
            transactions=pending.transactions,
            leaves=installed.outcome.leaves,
            groups=pending.groups,
            misbehaviours=pending.misbehaviours,
        )
        tiles = compute_changed_tiles(pending.frontier.size, installed.leaf_hashes, self._file.read_tile)
        self._file.append(block, segment=segment, tiles=tiles)
        self._segments.add(segment)


def _decode_leaf(raw: bytes, index: int) -> Leaf:
    try:
        return decode_leaf(raw)
    except msgspec.DecodeError:
        refuse_damage(f"leaf {index} of the log")
