"""One block at a time: admit, run, sign, make durable, answer."""

from collections.abc import Callable, Sequence

from iamata.crypto.ed25519 import SigningKey
from iamata.engines.embedded.inbox import Submission
from iamata.engines.keeping.faults import PASSING
from iamata.engines.keeping.keeper import LedgerKeeper
from iamata.ledger.execution import Outcome, PoisonTransactionError, Position
from iamata.ledger.header import sign_header
from iamata.model.ids import TxId
from iamata.model.reasons import Reason, Refused, require
from iamata.ports import Finality


class BlockWriter:
    """Makes the blocks that a keeper keeps, and signs their headers."""

    def __init__(self, keeper: LedgerKeeper, *, orderer: SigningKey, clock: Callable[[], int]) -> None:
        self._keeper = keeper
        self._orderer = orderer
        self._clock = clock

    def write(self, submissions: Sequence[Submission], verdicts: bytes) -> None:
        """Make a block of what can be admitted, and answer everybody."""
        state = self._keeper.state
        position = state.place(self._clock())
        admission = state.make_admission()
        admitted: dict[TxId, Submission] = {}
        for submission, verdict in zip(submissions, verdicts, strict=True):
            transaction = submission.transaction
            try:
                require(bool(verdict), Reason.BAD_SIGNATURE)
                # Two signatures over the same bytes are one transaction twice.
                require(transaction.id not in admitted, Reason.REPLAYED)
                admission.check(position, transaction)
            except (Refused, PoisonTransactionError) as error:
                submission.future.set_exception(error)
            else:
                admitted[transaction.id] = submission
        outcome = self._run(position, admitted)
        if admitted:
            self._keep(position, list(admitted.values()), outcome)

    def _run(self, position: Position, admitted: dict[TxId, Submission]) -> Outcome:
        """Run the block; a transaction that breaks its handler is dropped, and the rest run again."""
        while True:
            try:
                return self._keeper.state.run(position, [one.transaction for one in admitted.values()])
            except PoisonTransactionError as poison:
                admitted.pop(poison.tx_id).future.set_exception(poison)

    def _keep(self, position: Position, admitted: list[Submission], outcome: Outcome) -> None:
        transactions = [one.transaction for one in admitted]
        try:
            installed = self._keeper.keep(
                position, transactions, outcome, lambda header: sign_header(header, self._orderer)
            )
        except Refused as refused:
            if refused.reason not in PASSING:
                raise
            for submission in admitted:
                submission.future.set_exception(Refused(refused.reason, refused.detail))
            return
        for index, (submission, reason) in enumerate(
            zip(admitted, outcome.results, strict=True), installed.first_leaf
        ):
            submission.future.set_result(
                Finality(
                    id=submission.transaction.id,
                    height=position.height,
                    index=index,
                    time_ms=position.time_ms,
                    reason=reason,
                )
            )
