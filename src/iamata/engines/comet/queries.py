"""CometBFT's Query: what the durable ledger holds, with a proof where one is asked for."""

from collections.abc import Callable, Container
from typing import Final

import msgspec

from iamata.engines.comet.protocol import abci_pb2 as abci
from iamata.engines.comet.protocol import proof_pb2
from iamata.engines.keeping.keeper import LedgerKeeper
from iamata.engines.keeping.view import KeptView
from iamata.model.ids import Digest
from iamata.model.reasons import Reason, Refused, require

ENTRY: Final = "/entry"
FILTER_ADDRESS: Final = "/p2p/filter/addr/"
"""CometBFT asks so whether an address may connect, before it knows whose it is. Any may: keys decide."""
FILTER_ID: Final = "/p2p/filter/id/"
"""CometBFT asks so whether a peer may stay, once the peer has proven that it has the key of this id."""
HasVouched = Callable[[int, Digest], bool]
"""Tells whether validators have vouched already for what the block of a height came to."""
PROOF_TYPE: Final = "iamata:state"
KEY_BYTES_MAX: Final = 256


class QueryDesk:
    """Answers from the newest durable block, while the next one is being made."""

    def __init__(self, keeper: LedgerKeeper, peers: Container[str], has_vouched: HasVouched) -> None:
        """`peers` are the ids of those with whom CometBFT may speak now; it speaks with nobody else."""
        self._keeper = keeper
        self._peers = peers
        self._has_vouched = has_vouched
        self._proven: KeptView | None = None

    def answer(self, request: abci.RequestQuery) -> abci.ResponseQuery:
        """Return an entry of the map, or why not."""
        if request.path.startswith(FILTER_ADDRESS):
            return abci.ResponseQuery()
        try:
            if request.path.startswith(FILTER_ID):
                return self._admit_peer(request.path.removeprefix(FILTER_ID))
            return self._read_entry(request)
        except Refused as refused:
            return abci.ResponseQuery(code=int(refused.reason), log=str(refused))

    def _take_provable_view(self) -> KeptView:
        """Hold the newest state still that the next header vouches for; only the very first is waited for.

        CometBFT asks one question after the other, and under load the newest block has no successor yet.
        """
        newest = self._keeper.take_view()
        if newest is not self._proven and self._has_vouched(newest.height, newest.app_hash):
            self._proven = newest
        return self._proven or newest

    def _admit_peer(self, peer: str) -> abci.ResponseQuery:
        """Let a known peer stay; an outsider could read every block and fill the gossip with its own."""
        require(peer in self._peers, Reason.UNKNOWN_SIGNER, "nobody here knows this peer")
        return abci.ResponseQuery()

    def _read_entry(self, request: abci.RequestQuery) -> abci.ResponseQuery:
        require(request.path == ENTRY, Reason.NOT_FOUND, f"the only path is {ENTRY}")
        require(len(request.data) <= KEY_BYTES_MAX and request.data.isascii(), Reason.MALFORMED, "a key")
        view = self._take_provable_view() if request.prove else self._keeper.take_view()
        require(request.height in {0, view.height}, Reason.NOT_FOUND, f"the ledger stands at {view.height}")
        value = view.get(request.data)
        response = abci.ResponseQuery(key=request.data, value=value or b"", height=view.height)
        if request.prove:
            proof = msgspec.json.encode(view.prove_entry(request.data))
            response.proof_ops.ops.append(proof_pb2.ProofOp(type=PROOF_TYPE, key=request.data, data=proof))
        return response
