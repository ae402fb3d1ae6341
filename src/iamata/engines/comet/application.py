"""The ledger as CometBFT sees it: what it asks about transactions, proposals and final blocks.

One thread calls this. Nothing is durable before Commit; what was only finalized is taken back when
consensus begins anew. An answer that would be a guess is none: `OutOfOrderError` ends the connection,
and any other error after a block is final ends the node.
"""

import logging
from typing import Final, Protocol

from iamata.engines.comet.admission import Door
from iamata.engines.comet.evidence import read_evidence
from iamata.engines.comet.proposals import Draft, Drafts, check, prepare, run_decided
from iamata.engines.comet.protocol import abci_pb2 as abci
from iamata.engines.comet.protocol import keys_pb2
from iamata.engines.comet.recall import Recall
from iamata.engines.comet.times import read_ms
from iamata.engines.keeping.keeper import LedgerKeeper, PendingBlock
from iamata.ledger.execution import PoisonTransactionError
from iamata.ledger.header import Header
from iamata.ledger.tables import CURRENT, VALIDATORS
from iamata.ledger.validators import ValidatorUpdate, compute_updates
from iamata.model.canonical import encode_struct
from iamata.model.ids import decode_digest
from iamata.model.reasons import Reason, Refused

NAME: Final = "iamata"

_LOG: Final = logging.getLogger(__name__)


class OutOfOrderError(Exception):
    """CometBFT asked for something at a time when it cannot be: this is not the CometBFT we know."""


class Listener(Protocol):
    """Who is told of what became final."""

    def take_block(self, block: PendingBlock) -> None:
        """Hear of a durable block."""
        ...

    def turn_away(self, line: bytes, refused: Refused) -> None:
        """Hear of a line that no block will take in."""
        ...

    def begin_mempool(self) -> None:
        """Hear that nothing is waiting any more."""
        ...


class Application:
    """Answers everything but queries and snapshots."""

    def __init__(
        self,
        keeper: LedgerKeeper,
        recall: Recall,
        door: Door,
        listener: Listener,
        *,
        blocks_kept: int = 0,
    ) -> None:
        self._keeper = keeper
        self._recall = recall
        self._door = door
        self._listener = listener
        self._blocks_kept = blocks_kept
        self._drafts = Drafts()
        self._pending: PendingBlock | None = None
        self._decided: tuple[bytes, ...] = ()
        """The pending block's bundles: CometBFT holds them, and takes in more, until they are durable."""
        self._turned_away: list[tuple[bytes, Refused]] = []

    def close(self) -> None:
        """Take back what is not durable, and let go of the checking process."""
        self.begin_consensus()
        self._recall.checker.close()

    def begin_consensus(self) -> None:
        """Forget what was finalized and not committed: consensus begins anew and will say it again."""
        self._drafts.clear()
        if self._pending is not None:
            self._keeper.revert(self._pending)
            self._pending = None

    def begin_mempool(self) -> None:
        """Begin with an empty mempool, as CometBFT does at its start."""
        self._door.clear()
        self._listener.begin_mempool()

    def inform(self, _: abci.RequestInfo) -> abci.ResponseInfo:
        """Say where the durable ledger stands, for CometBFT to replay what comes after."""
        view, state = self._keeper.take_view(), self._keeper.state
        # A predecessor's blocks were never CometBFT's: to it, the first of ours begins the chain.
        has_begun = view.height >= state.first_height
        return abci.ResponseInfo(
            data=NAME,
            app_version=state.genesis.rules,
            last_block_height=view.height if has_begun else 0,
            last_block_app_hash=decode_digest(view.app_hash) if has_begun else b"",
        )

    def init_chain(self, request: abci.RequestInitChain) -> abci.ResponseInitChain:
        """Compare CometBFT's genesis with ours; it may ask again until the first block is durable."""
        state = self._keeper.state
        if state.has_blocks:
            message = f"InitChain, where block {state.height} is durable"
            raise OutOfOrderError(message)
        self._keeper.check_inheritance()
        ours = sorted((decode_digest(one.key), one.power) for one in state.genesis.validators)
        theirs = sorted((one.pub_key.ed25519, one.power) for one in request.validators)
        is_ours = (request.chain_id, request.initial_height) == (state.network, state.first_height)
        if not is_ours or ours != theirs or request.app_state_bytes:
            raise Refused(Reason.FOREIGN_NETWORK, "CometBFT's genesis was not made from this network's")
        if read_ms(request.time) <= state.genesis.created_ms:
            raise Refused(Reason.FOREIGN_NETWORK, "CometBFT's genesis is not later than this network's")
        return abci.ResponseInitChain(app_hash=decode_digest(state.app_hash))

    def check_transaction(self, request: abci.RequestCheckTx) -> abci.ResponseCheckTx:
        """Say whether a bundle may wait in the mempool, or may go on waiting."""
        verdict = self._door.check(request.tx, is_recheck=request.type == abci.RECHECK)
        # A line of the block that is about to be durable is refused as a replay: its answer comes then.
        self._turned_away += verdict.turned_away
        if self._pending is None:
            self._tell()
        refused = verdict.refused
        if refused is None:
            return abci.ResponseCheckTx()
        return abci.ResponseCheckTx(code=int(refused.reason), log=refused.reason.name, codespace=NAME)

    def prepare_proposal(self, request: abci.RequestPrepareProposal) -> abci.ResponsePrepareProposal:
        """Propose what can be admitted of what CometBFT offers."""
        self._expect(request.height)
        state = self._keeper.state
        bundles, draft = prepare(
            state,
            self._recall,
            state.place_at(request.height, read_ms(request.time)),
            request.txs,
            bytes_max=request.max_tx_bytes,
            misbehaviours=read_evidence(state, request.misbehavior),
        )
        self._drafts.keep(draft, bundles)
        return abci.ResponsePrepareProposal(txs=bundles)

    def process_proposal(self, request: abci.RequestProcessProposal) -> abci.ResponseProcessProposal:
        """Accept a proposal whose every line we would have proposed."""
        self._expect(request.height)
        state = self._keeper.state
        position = state.place_at(request.height, read_ms(request.time))
        evidence = read_evidence(state, request.misbehavior)
        if self._drafts.find(position, request.txs, evidence) is None:
            try:
                draft = check(state, self._recall, position, request.txs, evidence)
            except (Refused, PoisonTransactionError) as error:
                _LOG.warning("a proposal for block %d was rejected: %s", request.height, error)
                return abci.ResponseProcessProposal(status=abci.ResponseProcessProposal.REJECT)
            self._drafts.keep(draft, request.txs)
        return abci.ResponseProcessProposal(status=abci.ResponseProcessProposal.ACCEPT)

    def finalize_block(self, request: abci.RequestFinalizeBlock) -> abci.ResponseFinalizeBlock:
        """Make a final block part of the state, but not durable, and say what it comes to."""
        if self._pending is not None:
            message = f"FinalizeBlock {request.height}, where another block awaits its Commit"
            raise OutOfOrderError(message)
        self._expect(request.height)
        state = self._keeper.state
        position = state.place_at(request.height, read_ms(request.time))
        evidence = read_evidence(state, request.misbehavior)
        draft = self._drafts.find(position, request.txs, evidence)
        if draft is None:
            draft = run_decided(state, self._recall, position, request.txs, evidence)
        updates = self._compute_updates(draft)
        self._drafts.clear()
        self._pending = self._keeper.install(
            position,
            draft.transactions,
            draft.outcome,
            groups=draft.groups,
            misbehaviours=draft.misbehaviours,
        )
        self._decided = tuple(request.txs)
        return abci.ResponseFinalizeBlock(
            tx_results=[abci.ExecTxResult() for _ in request.txs],
            validator_updates=[_spell_update(one) for one in updates],
            app_hash=decode_digest(state.app_hash),
        )

    def commit(self, _: abci.RequestCommit) -> abci.ResponseCommit:
        """Make the finalized block durable, and tell who waits for it."""
        pending, self._pending = self._pending, None
        if pending is None:
            message = "Commit, where no block was finalized"
            raise OutOfOrderError(message)
        self._keeper.commit(pending, spell_header(pending.installed.header))
        self._door.leave(self._decided)
        self._listener.take_block(pending)
        self._tell()
        height = pending.installed.header.height
        retained = max(0, height - self._blocks_kept + 1) if self._blocks_kept else 0
        return abci.ResponseCommit(retain_height=retained)

    def extend_vote(self, _: abci.RequestExtendVote) -> abci.ResponseExtendVote:
        """Add nothing to votes."""
        return abci.ResponseExtendVote()

    def verify_vote_extension(
        self, request: abci.RequestVerifyVoteExtension
    ) -> abci.ResponseVerifyVoteExtension:
        """Accept votes to which nothing was added."""
        verdict = abci.ResponseVerifyVoteExtension
        return verdict(status=verdict.REJECT if request.vote_extension else verdict.ACCEPT)

    def _tell(self) -> None:
        for line, refused in self._turned_away:
            self._listener.turn_away(line, refused)
        self._turned_away.clear()

    def _expect(self, height: int) -> None:
        """Refuse to speak of another block than the next one."""
        stand = self._keeper.state.height
        if height != stand + 1:
            message = f"block {height}, where the ledger stands at {stand}"
            raise OutOfOrderError(message)

    def _compute_updates(self, draft: Draft) -> list[ValidatorUpdate]:
        """Compute what consensus has to be told of who orders from now on."""
        changed = draft.outcome.changes.get(VALIDATORS.key(CURRENT))
        if changed is None:
            return []
        before = VALIDATORS.find(self._keeper.state.entries, CURRENT)
        after = VALIDATORS.decoder.decode(changed)
        return compute_updates(() if before is None else before.active, after.active)


def spell_header(header: Header) -> bytes:
    """Spell a header as it is kept where validators order: nobody signs it, their votes lie apart."""
    return encode_struct(header)


def _spell_update(update: ValidatorUpdate) -> abci.ValidatorUpdate:
    key = keys_pb2.PublicKey(ed25519=decode_digest(update.key))
    return abci.ValidatorUpdate(pub_key=key, power=update.power)
