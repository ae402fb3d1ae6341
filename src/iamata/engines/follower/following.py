"""Take over a leader's blocks one by one: run again, compared, and only then kept."""

import os
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from iamata.engines.embedded.checking import SignatureChecker
from iamata.engines.keeping.keeper import LedgerKeeper
from iamata.ledger.blocks import StoredBlock
from iamata.ledger.envelope import SignedTransaction
from iamata.ledger.forks import FORK_BYTES_MAX, Fork, check_fork, is_fork, read_fork
from iamata.ledger.genesis import Genesis, get_orderer
from iamata.ledger.header import Header, read_header
from iamata.model.canonical import encode_struct
from iamata.model.reasons import Reason, Refused, require
from iamata.workflows import replaying

FORK_FILE: Final = "fork.json"


class ForkedError(Exception):
    """The leader has shown a history that contradicts the one that is kept here."""

    def __init__(self, fork: Fork, height: int) -> None:
        super().__init__(f"the leader has signed two histories that part at block {height}")
        self.fork = fork
        self.height = height


def take_blocks(keeper: LedgerKeeper, checker: SignatureChecker, blocks: Sequence[StoredBlock]) -> None:
    """Keep the leader's next blocks, up to the first that is not as it must be; refuse that one.

    Raise ForkedError where a block that the leader has signed contradicts what is kept.
    """
    refuse_fork(keeper, blocks[0])
    for block, transactions in check_ahead(checker, blocks):
        take_block(keeper, block, transactions)


def check_ahead(
    checker: SignatureChecker, blocks: Sequence[StoredBlock]
) -> Iterator[tuple[StoredBlock, list[SignedTransaction]]]:
    """Read blocks whose every signature holds; those of the next are checked while one is run."""
    under_way: deque[tuple[StoredBlock, list[SignedTransaction]]] = deque()
    fault: Refused | None = None
    try:
        for block in blocks:
            try:
                transactions = replaying.read_transactions(block)
            except Refused as refused:
                fault = refused  # of this block: the ones before it come first
                break
            checker.send(transactions)
            under_way.append((block, transactions))
            if len(under_way) > 1:
                yield _settle(checker, under_way)
        while under_way:
            yield _settle(checker, under_way)
    finally:
        while under_way:
            under_way.popleft()
            checker.receive()
    if fault is not None:
        raise fault


def take_block(keeper: LedgerKeeper, block: StoredBlock, transactions: list[SignedTransaction]) -> None:
    """Run a block, compare everything that it says with what it comes to, and make it durable."""
    refuse_fork(keeper, block)
    header = replaying.check_place(block, keeper.state)
    outcome = replaying.run(block, transactions, keeper.state)

    def confirm(found: Header) -> bytes:
        replaying.compare(block, header, found, outcome)
        return block.header

    keeper.keep(keeper.state.place(block.time_ms), transactions, outcome, confirm)


def refuse_fork(keeper: LedgerKeeper, block: StoredBlock) -> None:
    """Raise ForkedError where the leader's signature stands under what contradicts our newest block.

    What the leader has not signed proves nothing; it is refused for what it is, elsewhere.
    """
    if keeper.newest_header is None:
        return
    orderer = get_orderer(keeper.state.genesis)
    kept = read_header(keeper.newest_header, orderer=orderer)
    try:
        shown = read_header(block.header, orderer=orderer)
    except Refused:
        return
    if shown.network == kept.network and is_fork(kept, shown):
        evidence = Fork(kept=keeper.newest_header.decode("ascii"), shown=block.header.decode("ascii"))
        raise ForkedError(evidence, kept.height)


def keep_fork(folder: Path, fork: Fork) -> None:
    """Keep the evidence, for good: whoever opens the folder later finds it."""
    fresh = folder / f"{FORK_FILE}.next"
    with fresh.open("wb") as file:
        file.write(encode_struct(fork))
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(folder / FORK_FILE)


def find_fork(folder: Path, genesis: Genesis) -> tuple[Fork, int] | None:
    """Find evidence that was kept, and where the histories part."""
    try:
        with (folder / FORK_FILE).open("rb") as file:
            fork = read_fork(file.read(FORK_BYTES_MAX + 1))
    except FileNotFoundError:
        return None
    return fork, check_fork(fork, genesis)


def _settle(
    checker: SignatureChecker, under_way: deque[tuple[StoredBlock, list[SignedTransaction]]]
) -> tuple[StoredBlock, list[SignedTransaction]]:
    block, transactions = under_way.popleft()
    wrong = checker.receive().find(0)
    fault = f"block {block.height}: the signature of transaction {wrong} does not hold"
    require(wrong < 0, Reason.FAULT_FOUND, fault)
    return block, transactions
