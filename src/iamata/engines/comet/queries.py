"""CometBFT's Query: what the durable ledger holds, with a proof where one is asked for."""

from typing import Final

import msgspec

from iamata.engines.comet.protocol import abci_pb2 as abci
from iamata.engines.comet.protocol import proof_pb2
from iamata.engines.keeping.keeper import LedgerKeeper
from iamata.model.reasons import Reason, Refused, require

ENTRY: Final = "/entry"
FILTERS: Final = "/p2p/filter/"
"""CometBFT asks so who may connect; whom it knows already stands in its own settings."""
PROOF_TYPE: Final = "iamata:state"
KEY_BYTES_MAX: Final = 256


class QueryDesk:
    """Answers from the newest durable block, while the next one is being made."""

    def __init__(self, keeper: LedgerKeeper) -> None:
        self._keeper = keeper

    def answer(self, request: abci.RequestQuery) -> abci.ResponseQuery:
        """Return an entry of the map, or why not."""
        if request.path.startswith(FILTERS):
            return abci.ResponseQuery()
        try:
            return self._read_entry(request)
        except Refused as refused:
            return abci.ResponseQuery(code=int(refused.reason), log=str(refused))

    def _read_entry(self, request: abci.RequestQuery) -> abci.ResponseQuery:
        require(request.path == ENTRY, Reason.NOT_FOUND, f"the only path is {ENTRY}")
        require(len(request.data) <= KEY_BYTES_MAX and request.data.isascii(), Reason.MALFORMED, "a key")
        view = self._keeper.take_view()
        require(request.height in {0, view.height}, Reason.NOT_FOUND, f"the ledger stands at {view.height}")
        value = view.get(request.data)
        response = abci.ResponseQuery(key=request.data, value=value or b"", height=view.height)
        if request.prove:
            proof = msgspec.json.encode(view.prove_entry(request.data))
            response.proof_ops.ops.append(proof_pb2.ProofOp(type=PROOF_TYPE, key=request.data, data=proof))
        return response
