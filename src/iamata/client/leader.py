"""The node that orders, as a follower asks it over HTTP. What it says is for the follower to check."""

import threading
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Final

from iamata.client.connection import Connection
from iamata.client.engine import RemoteEngine
from iamata.ledger.blocks import StoredBlock
from iamata.ledger.genesis import Genesis
from iamata.model.reasons import Reason, Refused
from iamata.ports import Finality
from iamata.wire import bodies

STEP_S_MAX: Final = 5.0
"""How long one request stays open where nothing is new."""


class RemoteLeader:
    """Blocks by long poll, transactions in batches."""

    def __init__(self, connection: Connection, genesis: Genesis) -> None:
        self._connection = connection
        self._engine = RemoteEngine(connection, genesis)
        self._closing = threading.Event()

    def submit(self, raw: bytes) -> "Future[Finality]":
        """Hand a transaction on; the future ends when the leader has proven what became of it."""
        return self._engine.submit(raw)

    def read_blocks(self, *, first_height: int, wait_s: float) -> Sequence[StoredBlock]:
        """Return the next page of blocks, empty where none came in time."""
        if self._closing.is_set():
            raise Refused(Reason.ENGINE_STOPPED)
        step_s = min(wait_s, STEP_S_MAX)
        query = bodies.BlocksQuery(first=first_height, limit=bodies.BLOCKS_MAX, wait_s=step_s)
        page = self._connection.get("/v1/ledger/blocks", bodies.BlockPage, query, wait_s=step_s)
        return [block.read() for block in page.blocks]

    def close(self) -> None:
        """Ask nothing more, and wait for no answer: the leader could take its time."""
        self._closing.set()
        self._connection.close()
        self._engine.close()
