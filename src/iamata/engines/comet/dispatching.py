"""Which question goes to whom, and which of CometBFT's four connections may ask it."""

import enum
from collections.abc import Callable
from typing import Any, Final

from iamata.engines.comet.application import Application, OutOfOrderError
from iamata.engines.comet.protocol import abci_pb2 as abci
from iamata.engines.comet.queries import QueryDesk
from iamata.engines.comet.snapshots import SnapshotDesk


class Role(enum.Enum):
    """What one of the connections is for; nothing on the wire names it but its first question."""

    CONSENSUS = "consensus"
    MEMPOOL = "mempool"
    QUERY = "query"
    SNAPSHOT = "snapshot"


ROLES: Final = {
    "apply_snapshot_chunk": Role.SNAPSHOT,
    "check_tx": Role.MEMPOOL,
    "commit": Role.CONSENSUS,
    "extend_vote": Role.CONSENSUS,
    "finalize_block": Role.CONSENSUS,
    "info": Role.QUERY,
    "init_chain": Role.CONSENSUS,
    "list_snapshots": Role.SNAPSHOT,
    "load_snapshot_chunk": Role.SNAPSHOT,
    "offer_snapshot": Role.SNAPSHOT,
    "prepare_proposal": Role.CONSENSUS,
    "process_proposal": Role.CONSENSUS,
    "query": Role.QUERY,
    "verify_vote_extension": Role.CONSENSUS,
}
"""Not here are the questions that every connection may ask: echo and flush."""
READING: Final = frozenset({"list_snapshots", "load_snapshot_chunk", "query"})
"""Questions about what is durable: they wait for no block, and no block waits for them."""


class Dispatcher:
    """Turns a request into its response."""

    def __init__(self, application: Application, queries: QueryDesk, snapshots: SnapshotDesk) -> None:
        self._application = application
        self._answers: dict[str, Callable[[Any], Any]] = {
            "apply_snapshot_chunk": snapshots.apply_chunk,
            "check_tx": application.check_transaction,
            "commit": application.commit,
            "echo": lambda request: abci.ResponseEcho(message=request.message),
            "extend_vote": application.extend_vote,
            "finalize_block": application.finalize_block,
            "flush": lambda _: abci.ResponseFlush(),
            "info": application.inform,
            "init_chain": application.init_chain,
            "list_snapshots": snapshots.list_snapshots,
            "load_snapshot_chunk": snapshots.load_chunk,
            "offer_snapshot": snapshots.offer,
            "prepare_proposal": application.prepare_proposal,
            "process_proposal": application.process_proposal,
            "query": queries.answer,
            "verify_vote_extension": application.verify_vote_extension,
        }

    def begin(self, role: Role) -> None:
        """Take note that CometBFT speaks over a new connection."""
        if role is Role.CONSENSUS:
            self._application.begin_consensus()
        elif role is Role.QUERY:  # the first question of a CometBFT that starts is where we stand
            self._application.begin_mempool()

    def answer(self, request: abci.Request) -> abci.Response:
        """Answer one request."""
        name = name_request(request)
        response = abci.Response()
        getattr(response, name).CopyFrom(self._answers[name](getattr(request, name)))
        return response


def name_request(request: abci.Request) -> str:
    """Name what is asked, or refuse a message that asks nothing."""
    name: str | None = request.WhichOneof("value")
    if name is None:
        message = "a message that asks nothing"
        raise OutOfOrderError(message)
    return name


def find_role(name: str) -> Role | None:
    """Tell which connection may ask this, None where each may."""
    return ROLES.get(name)
