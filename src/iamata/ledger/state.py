"""The ledger between two blocks: the map, the log's edge, the replay window and where the chain stands.

It lives in memory and does no I/O: an engine keeps what `install` returns, and feeds it back at start.
"""

import dataclasses
from collections.abc import Iterable, Sequence

from iamata.crypto.authmap import AuthMap
from iamata.crypto.merkle import hash_leaf
from iamata.crypto.tiles import Frontier
from iamata.ledger.envelope import SignedTransaction
from iamata.ledger.execution import Admission, Outcome, Position, apply_block
from iamata.ledger.genesis import Genesis, compute_first_entries, compute_network_id, get_first_height
from iamata.ledger.header import Header, compute_app_hash, compute_header_digest, compute_transactions_root
from iamata.ledger.misbehaviour import Misbehaviour
from iamata.ledger.rules import get_rules
from iamata.ledger.succession import compute_succession
from iamata.ledger.window import Window
from iamata.model.ids import Digest, NetworkId, TxId
from iamata.model.instants import Instant


@dataclasses.dataclass(frozen=True, slots=True)
class Undo:
    """What `revert` needs to take an installed block back."""

    changes: dict[bytes, bytes | None]
    frontier: Frontier
    height: int
    time_ms: int
    parent: Digest


@dataclasses.dataclass(frozen=True, slots=True)
class Installed:
    """A block that is now part of the state, what it added, and how to take it back."""

    header: Header
    outcome: Outcome
    leaf_hashes: tuple[bytes, ...]
    first_leaf: int
    undo: Undo


class LedgerState:
    """Everything that the next block depends on.

    Under a genesis that continues a network it is empty, and no block can follow, until it inherits.
    """

    def __init__(self, genesis: Genesis) -> None:
        self.genesis = genesis
        self.first_height = get_first_height(genesis)
        self.inherited: dict[bytes, bytes] = {}
        """What the genesis changed in a map that was inherited: part of what the first block writes."""
        self.network: NetworkId = compute_network_id(genesis)
        self.entries = AuthMap.load(compute_first_entries(genesis).items())
        self.frontier = Frontier()
        self.window = Window()
        self.height = 0
        self.time_ms: int = genesis.created_ms
        self.parent = Digest(self.network)

    @property
    def has_blocks(self) -> bool:
        """Tell whether there is a block under this genesis; those of a predecessor are not."""
        return self.height >= self.first_height

    def inherit(self, *, entries: AuthMap, frontier: Frontier, time_ms: int) -> None:
        """Begin where the predecessor stands, or refuse another ledger than the genesis continues.

        The map is taken over, not copied. What was signed for the predecessor names its network, so none
        of it can be replayed here, and the window begins empty.
        """
        self.inherited = compute_succession(entries, frontier, time_ms, self.genesis)
        entries.update(self.inherited)
        self.entries, self.frontier = entries, frontier
        self.height = self.first_height - 1

    @property
    def app_hash(self) -> Digest:
        """Name the state and the log in one value."""
        return compute_app_hash(
            state_root=self.entries.root, log_root=self.frontier.root(), log_size=self.frontier.size
        )

    def place(self, time_ms: int) -> Position:
        """Say where the next block would stand; its time only moves forward."""
        return self.place_at(self.height + 1, max(self.time_ms + 1, time_ms))

    def place_at(self, height: int, time_ms: int) -> Position:
        """Say which rules hold for a block that others have put at this place."""
        rules = get_rules(self.entries, height=height, first=self.genesis.rules)
        return Position(network=self.network, height=height, time_ms=time_ms, rules=rules)

    def make_admission(self) -> Admission:
        """Make what says which transactions the next block could accept, while this state lasts."""
        return Admission(self.entries, self.window)

    def check(self, transaction: SignedTransaction, *, at_ms: int) -> None:
        """Refuse a transaction that the next block could not accept."""
        self.make_admission().check(self.place(at_ms), transaction)

    def run(
        self,
        position: Position,
        transactions: Sequence[SignedTransaction],
        misbehaviours: Sequence[Misbehaviour] = (),
    ) -> Outcome:
        """Run a block without making it part of the state."""
        return apply_block(self.entries, self.window, position, transactions, misbehaviours)

    def install(
        self, position: Position, transactions: Sequence[SignedTransaction], outcome: Outcome
    ) -> Installed:
        """Make a block part of the state and compute its header."""
        undo = Undo(
            changes={key: self.entries.get(key) for key in outcome.changes},
            frontier=self.frontier,
            height=self.height,
            time_ms=self.time_ms,
            parent=self.parent,
        )
        leaf_hashes = tuple(hash_leaf(leaf) for leaf in outcome.leaves)
        self.entries.update(outcome.changes)
        self.frontier = undo.frontier.extend(leaf_hashes)
        header = Header(
            network=self.network,
            height=position.height,
            time_ms=Instant(position.time_ms),
            parent=self.parent,
            transactions=compute_transactions_root(one.raw for one in transactions),
            app_hash=self.app_hash,
        )
        self._move_to(header)
        self.window.extend(position.time_ms, (one.id for one in transactions))
        return Installed(
            header=header,
            outcome=outcome,
            leaf_hashes=leaf_hashes,
            first_leaf=undo.frontier.size,
            undo=undo,
        )

    def revert(self, installed: Installed) -> None:
        """Take the last installed block back, as when it could not be kept."""
        self.entries.update(installed.undo.changes)
        self.frontier = installed.undo.frontier
        self.height = installed.undo.height
        self.time_ms = installed.undo.time_ms
        self.parent = installed.undo.parent
        self.window.forget_last()

    def restore(
        self,
        *,
        entries: AuthMap,
        frontier: Frontier,
        header: Header,
        recent: Iterable[tuple[int, Sequence[TxId]]],
    ) -> None:
        """Take up where a stored ledger stands; the caller then compares app hashes."""
        self.entries = entries
        self.frontier = frontier
        self._move_to(header)
        for time_ms, tx_ids in recent:
            self.window.extend(time_ms, tx_ids)

    def _move_to(self, header: Header) -> None:
        self.height = header.height
        self.time_ms = header.time_ms
        self.parent = compute_header_digest(header)
