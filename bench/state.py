"""state.*: the authenticated map at a million keys: durable updates, proofs, and starting from the file.

Blocks are made, hashed, signed and stored as the engine does it; only the rules are left out, so that the
figures are those of the state alone.
"""

import random
import sqlite3
import statistics
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

from bench.harness import RUNS, Figure, compare, measure_s
from bench.workload import SEED, found_network
from iamata.crypto.mapproof import LEVELS, hash_children
from iamata.crypto.tiles import compute_changed_tiles
from iamata.engines.keeping.restoring import restore
from iamata.engines.keeping.segments import encode_segment
from iamata.engines.keeping.storage import LEDGER_FILE, LedgerFile
from iamata.ledger.blocks import StoredBlock
from iamata.ledger.execution import Outcome
from iamata.ledger.header import sign_header
from iamata.ledger.leaves import Leaf, encode_leaf
from iamata.ledger.state import LedgerState
from iamata.model.ids import TxId, encode_digest
from iamata.model.instants import Instant
from iamata.model.reasons import Reason

KEYS: Final = 1_000_000
BLOCK_UPDATES: Final = 1_000
LOADING_UPDATES: Final = 10_000
BLOCKS: Final = 50
PROOFS: Final = 2_000
VALUE_BYTES: Final = 200
"""What an entry of the ledger measures, more or less."""


class BigLedger:
    """A ledger of a million keys in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.genesis, self._orderer, _ = found_network()
        self._file = LedgerFile(folder, is_writer=True)
        self.state = LedgerState(self.genesis)
        self._segments, _ = restore(self._file, self.state)
        self._chance = random.Random(SEED)
        for begin in range(0, KEYS, LOADING_UPDATES):
            self.update(self._draw_values(range(begin, begin + LOADING_UPDATES)))

    def draw_updates(self) -> dict[bytes, bytes]:
        """Draw a block's updates at random keys."""
        return self._draw_values(self._chance.sample(range(KEYS), BLOCK_UPDATES))

    def update(self, changes: dict[bytes, bytes]) -> None:
        """Make a block that changes this much, durable."""
        position = self.state.place(self.genesis.created_ms)
        frontier = self.state.frontier
        leaf = Leaf(
            id=TxId(encode_digest(position.height.to_bytes(32, "big"))),
            height=position.height,
            time_ms=Instant(position.time_ms),
            reason=Reason.NOT_FOUND,
        )
        outcome = Outcome(results=(leaf.reason,), leaves=(encode_leaf(leaf),), changes=changes)
        installed = self.state.install(position, (), outcome)
        segment = self._segments.plan(position.height, changes, self._file.read_segment)
        block = StoredBlock(
            height=position.height,
            time_ms=position.time_ms,
            first_leaf=installed.first_leaf,
            header=sign_header(installed.header, self._orderer),
            transactions=(),
            leaves=outcome.leaves,
        )
        tiles = compute_changed_tiles(frontier.size, installed.leaf_hashes, self._file.read_tile)
        self._file.append(block, segment=segment, tiles=tiles)
        self._segments.add(segment)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _draw_values(self, numbers: Sequence[int]) -> dict[bytes, bytes]:
        return {_make_key(number): self._chance.randbytes(VALUE_BYTES) for number in numbers}


def measure() -> dict[str, Figure]:
    """Build the ledger once, and measure everything on it."""
    with tempfile.TemporaryDirectory() as folder:
        ledger = BigLedger(Path(folder))
        figures = {"state.updates": _measure_updates(ledger), "state.proof_ms": _measure_proofs(ledger)}
        ledger.close()
        app_hash, genesis = ledger.state.app_hash, ledger.genesis
        starts = [(_start(ledger), measure_s(lambda: _read_file(ledger.folder))) for _ in range(RUNS)]
        if LedgerState(genesis).app_hash == app_hash:
            message = "the ledger is empty"
            raise RuntimeError(message)
        seconds, floor = map(statistics.median, zip(*starts, strict=True))
        figures["state.start_s"] = compare(seconds, "s", floor)
        return figures


def _measure_updates(ledger: BigLedger) -> Figure:
    """Compare with a plain database that appends the same blobs, as durably, and knows no tree."""
    blocks = [ledger.draw_updates() for _ in range(BLOCKS)]
    seconds = [measure_s(partial(ledger.update, changes)) for changes in blocks]
    plain = sqlite3.connect(ledger.folder / "plain.db", isolation_level=None)
    plain.execute("PRAGMA journal_mode = WAL")
    plain.execute("PRAGMA synchronous = FULL")
    plain.execute("CREATE TABLE blob (entries BLOB)")
    floor_seconds = [measure_s(partial(_append_blob, plain, changes)) for changes in blocks]
    plain.close()
    return compare(
        BLOCKS * BLOCK_UPDATES / sum(seconds), "updates/s", BLOCKS * BLOCK_UPDATES / sum(floor_seconds)
    )


def _append_blob(plain: sqlite3.Connection, changes: dict[bytes, bytes]) -> None:
    plain.execute("INSERT INTO blob VALUES (?)", [encode_segment(changes)])


def _measure_proofs(ledger: BigLedger) -> Figure:
    """Compare with the hashing that checks a path."""
    chance = random.Random(SEED)
    keys = [_make_key(chance.randrange(2 * KEYS)) for _ in range(PROOFS)]
    node = bytes(32)
    seconds = measure_s(lambda: [ledger.state.entries.prove(key) for key in keys])
    floor = measure_s(lambda: [hash_children(node, node) for _ in range(PROOFS * (LEVELS + 1))])
    return compare(1_000 * seconds / PROOFS, "ms", 1_000 * floor / PROOFS)


def _start(ledger: BigLedger) -> float:
    """Time what an engine does before it takes the first transaction."""

    def start() -> None:
        state = LedgerState(ledger.genesis)
        file = LedgerFile(ledger.folder, is_writer=True)
        restore(file, state)
        file.close()
        if state.app_hash != ledger.state.app_hash:
            message = "the start came to another app hash"
            raise RuntimeError(message)

    return measure_s(start)


def _read_file(folder: Path) -> int:
    """Read the bytes that a start must read."""
    with sqlite3.connect(folder / LEDGER_FILE) as database:
        return sum(len(blob) for (blob,) in database.execute("SELECT entries FROM segment"))


def _make_key(number: int) -> bytes:
    return b"access/%026d" % number
