"""Snapshots, with which a node begins without running every block there ever was.

A snapshot is the map, the log's edge, and the stretch of blocks whose transactions could still be replayed.
It holds nothing of the node that made it, so every node makes the same bytes. Who takes one in believes
nobody: chunks must be those that were offered, and what they come to must have the app hash that a light
client has found in a header that validators signed. Parents in the stretch's headers are in no app hash,
nor are the times of blocks without transactions: those must lie in order, and not ahead of our clock.
"""

import hashlib
import logging
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from iamata.engines.comet.protocol import abci_pb2 as abci
from iamata.engines.comet.taking import CHUNK_BYTES_MAX, SNAPSHOT_BYTES_MAX, Offer, Taking
from iamata.engines.keeping.beginning import Beginning, Hold, encode_beginning
from iamata.engines.keeping.keeper import LedgerKeeper
from iamata.ledger.light.verifying import DRIFT_MS
from iamata.model.reasons import Reason, Refused, require

FORMAT: Final = 1
INTERVAL_BLOCKS: Final = 1_000
KEPT_MAX: Final = 2
CHUNK_BYTES: Final = CHUNK_BYTES_MAX
HASHES: Final = "hashes"
"""The file with the SHA-256 of each chunk, one after the other: the snapshot's metadata."""

_LOG: Final = logging.getLogger(__name__)


class SnapshotStore:
    """Snapshots in a folder, a folder each by its height; a thread of its own writes the next one."""

    def __init__(self, folder: Path, *, interval_blocks: int = INTERVAL_BLOCKS) -> None:
        self._folder = folder
        self._interval = interval_blocks
        self._writing: threading.Thread | None = None

    def is_due(self, height: int, *, is_first: bool) -> bool:
        """Tell whether a block is to have a snapshot: the first has one, so that there always is one."""
        is_busy = self._writing is not None and self._writing.is_alive()
        return not is_busy and (is_first or height % self._interval == 0)

    def begin(self, beginning: Beginning) -> None:
        """Write a snapshot, while consensus goes on."""
        self._writing = threading.Thread(target=self._write, args=(beginning,), name="iamata-snapshot")
        self._writing.start()

    def wait(self) -> None:
        """Wait until nothing is being written."""
        if self._writing is not None:
            self._writing.join()

    def list_heights(self) -> list[int]:
        """List of which blocks there are snapshots, newest first."""
        if not self._folder.is_dir():
            return []
        names = [path.name for path in self._folder.iterdir() if path.name.isdecimal()]
        return sorted(map(int, names), reverse=True)

    def read_hashes(self, height: int) -> bytes:
        """Return the SHA-256 of each chunk."""
        return (self._folder / str(height) / HASHES).read_bytes()

    def read_chunk(self, height: int, index: int) -> bytes:
        """Return one chunk."""
        return (self._folder / str(height) / str(index)).read_bytes()

    def _write(self, beginning: Beginning) -> None:
        height = beginning.blocks[-1].height
        raw = encode_beginning(beginning)
        if len(raw) > SNAPSHOT_BYTES_MAX:
            _LOG.warning("the snapshot of block %d is larger than anybody takes", height)
            return
        half = self._folder / f"{height}.half"
        try:
            shutil.rmtree(half, ignore_errors=True)
            half.mkdir(parents=True, mode=0o700)
            hashes = b""
            for index, chunk in enumerate(split_chunks(raw)):
                (half / str(index)).write_bytes(chunk)
                hashes += hashlib.sha256(chunk).digest()
            (half / HASHES).write_bytes(hashes)
            shutil.rmtree(self._folder / str(height), ignore_errors=True)
            half.rename(self._folder / str(height))
            for old in self.list_heights()[KEPT_MAX:]:
                shutil.rmtree(self._folder / str(old), ignore_errors=True)
        except OSError as error:
            _LOG.warning("no snapshot of block %d could be written: %s", height, error.strerror)


class SnapshotDesk:
    """Answers CometBFT's questions about snapshots: it serves ours to others, and takes in theirs."""

    def __init__(
        self,
        keeper: LedgerKeeper,
        store: SnapshotStore,
        *,
        hold: Hold | None = None,
        clock: Callable[[], int],
    ) -> None:
        """Without `hold` times are believed as far as they lie in order, and not ahead of our clock."""
        self._keeper = keeper
        self._hold = hold
        self._clock = clock
        self._store = store
        self._taking: Taking | None = None

    def list_snapshots(self, _: abci.RequestListSnapshots) -> abci.ResponseListSnapshots:
        """List what others may have."""
        return abci.ResponseListSnapshots(snapshots=list(self._describe_all()))

    def load_chunk(self, request: abci.RequestLoadSnapshotChunk) -> abci.ResponseLoadSnapshotChunk:
        """Return a chunk, nothing where there is none."""
        try:
            chunk = (
                self._store.read_chunk(request.height, request.chunk) if request.format == FORMAT else b""
            )
        except OSError:
            chunk = b""
        return abci.ResponseLoadSnapshotChunk(chunk=chunk)

    def offer(self, request: abci.RequestOfferSnapshot) -> abci.ResponseOfferSnapshot:
        """Say whether a snapshot that others have may be tried."""
        answer = abci.ResponseOfferSnapshot
        said = request.snapshot
        self._taking = None
        if said.format != FORMAT:
            return answer(result=answer.REJECT_FORMAT)
        if not self._keeper.may_begin:
            return answer(result=answer.ABORT)
        try:
            offer = Offer.read(
                height=said.height,
                chunks=said.chunks,
                name=said.hash,
                hashes=said.metadata,
                app_hash=request.app_hash,
            )
        except Refused as refused:
            _LOG.warning("a snapshot of block %d was refused: %s", said.height, refused)
            return answer(result=answer.REJECT)
        self._taking = Taking(offer)
        return answer(result=answer.ACCEPT)

    def apply_chunk(self, request: abci.RequestApplySnapshotChunk) -> abci.ResponseApplySnapshotChunk:
        """Take a chunk in; with the last one the ledger begins where the snapshot stands, or not at all."""
        answer = abci.ResponseApplySnapshotChunk
        taking = self._taking
        if taking is None:
            return answer(result=answer.ABORT)
        try:
            is_offered = taking.take(request.index, request.chunk)
            if taking.is_whole:
                self._taking = None
                self._begin(taking)
        except Refused as refused:
            self._taking = None
            _LOG.warning("a snapshot was refused: %s", refused)
            return answer(result=answer.REJECT_SNAPSHOT, reject_senders=[request.sender])
        if is_offered:
            return answer(result=answer.ACCEPT)
        _LOG.warning("chunk %d of a snapshot is not what was offered", request.index)
        return answer(result=answer.RETRY, refetch_chunks=[request.index], reject_senders=[request.sender])

    def _begin(self, taking: Taking) -> None:
        beginning = taking.open()
        height, app_hash = taking.offer.height, taking.offer.app_hash
        self._check_clock(beginning)
        self._keeper.begin_at(beginning, height=height, app_hash=app_hash, hold=self._hold)

    def _check_clock(self, beginning: Beginning) -> None:
        """Refuse a snapshot from the future: to whoever began there, every transaction would be late."""
        newest_ms = max((one.time_ms for one in beginning.blocks), default=0)
        require(newest_ms <= self._clock() + DRIFT_MS, Reason.FAULT_FOUND, "a snapshot is from the future")

    def _describe_all(self) -> Iterator[abci.Snapshot]:
        for height in self._store.list_heights():
            try:
                hashes = self._store.read_hashes(height)
            except OSError:
                continue
            yield abci.Snapshot(
                height=height,
                format=FORMAT,
                chunks=len(hashes) // hashlib.sha256().digest_size,
                hash=hashlib.sha256(hashes).digest(),
                metadata=hashes,
            )


def split_chunks(raw: bytes) -> Iterator[bytes]:
    """Cut a snapshot into chunks of one size."""
    return (raw[begin : begin + CHUNK_BYTES] for begin in range(0, len(raw), CHUNK_BYTES))
