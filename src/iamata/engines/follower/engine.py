"""Follow another node's ledger: every block run again and compared, a full copy kept, a fork named.

One signer still orders: a follower cannot stop it from leaving a transaction out. But it can rewrite
nothing that a follower has seen, and whoever shows two histories leaves evidence in the follower's folder.
"""

import logging
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Final

from iamata.engines.embedded.checking import SignatureChecker
from iamata.engines.follower.awaited import AwaitedAnswers
from iamata.engines.follower.following import ForkedError, find_fork, keep_fork, refuse_fork, take_blocks
from iamata.engines.keeping.faults import PASSING
from iamata.engines.keeping.keeper import LedgerKeeper
from iamata.engines.keeping.lock import LedgerLock
from iamata.engines.keeping.view import KeptView
from iamata.ledger.blocks import StoredBlock
from iamata.ledger.envelope import has_valid_signatures, read_transaction
from iamata.ledger.genesis import Genesis, get_orderer
from iamata.ledger.leaves import Leaf
from iamata.model.reasons import Reason, Refused, require
from iamata.ports import Finality, Leader

WAIT_S: Final = 10.0
"""How long one question for new blocks may stay open; then the leader is asked for our newest again."""
PAUSE_FIRST_S: Final = 0.2
PAUSE_MAX_S: Final = 10.0
"""Between two questions to a leader that does not answer, or not as it must."""

_LOG: Final = logging.getLogger(__name__)


class FollowerEngine:
    """A ledger in a folder, ordered elsewhere."""

    def __init__(self, folder: Path, genesis: Genesis, *, leader: Leader, wait_s: float = WAIT_S) -> None:
        get_orderer(genesis)
        self.genesis = genesis
        self._folder = folder
        self._leader = leader
        self._wait_s = wait_s
        self._lock = LedgerLock(folder)
        try:
            self._keeper = LedgerKeeper(folder, genesis)
            self._keeper.check_inheritance()
            self._trouble = self._recall_fork()
        except BaseException:
            self._lock.release()
            raise
        self.network = self._keeper.state.network
        self._answers = AwaitedAnswers(self._find_leaf)
        self._answers.reach(self._keeper.state.height)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="iamata-follow", daemon=True)
        self._thread.start()

    @property
    def trouble(self) -> Refused | None:
        """Say why our copy does not grow, None where it does: silence, a wrong block, a fork."""
        return self._trouble

    def submit(self, raw: bytes) -> "Future[Finality]":
        """Hand a transaction to the leader; the future ends when our own copy holds it."""
        transaction = read_transaction(raw)
        future: Future[Finality] = Future()
        trouble = self._trouble
        if trouble is not None and trouble.reason is not Reason.NODE_UNREACHABLE:
            raise Refused(trouble.reason, trouble.detail)
        if not has_valid_signatures(transaction):
            future.set_exception(Refused(Reason.BAD_SIGNATURE))
            return future
        asked = self._leader.submit(raw)
        asked.add_done_callback(lambda answer: self._hear(answer, future))
        return future

    def snapshot(self) -> KeptView:
        """Return the newest state of our own copy, which no later block changes."""
        return self._keeper.take_view()

    def events(self, after: int) -> Iterator[tuple[int, Leaf]]:
        """Read our own copy of the log from a cursor."""
        return self._keeper.read_events(after)

    def read_blocks(self, *, first_height: int = 1) -> Iterator[StoredBlock]:
        """Read our own copy of the blocks in order."""
        return self._keeper.read_blocks(first_height=first_height)

    def close(self) -> None:
        """Stop following. What is kept stays."""
        if self._closing.is_set():
            return
        self._closing.set()
        self._leader.close()
        self._thread.join()
        self._answers.end_all(Refused(Reason.ENGINE_STOPPED))
        self._keeper.close()
        self._lock.release()

    def _hear(self, answer: "Future[Finality]", future: "Future[Finality]") -> None:
        error = answer.exception()
        if error is not None:
            future.set_exception(error)
            return
        try:
            self._answers.put(answer.result(), future)
        except Refused as refused:
            future.set_exception(refused)

    def _find_leaf(self, index: int) -> Leaf | None:
        return next((leaf for at, leaf in self._keeper.read_events(index) if at == index), None)

    def _recall_fork(self) -> Refused | None:
        found = find_fork(self._folder, self.genesis)
        return None if found is None else _name_fork(found[1])

    def _run(self) -> None:
        checker = SignatureChecker()
        try:
            self._follow(checker)
        except BaseException as error:  # noqa: BLE001  whatever it is, the engine must not go on in silence
            _LOG.critical("the follower stopped", exc_info=error)
            self._trouble = Refused(Reason.ENGINE_STOPPED, "the follower stopped; its log says why")
            self._answers.end_all(self._trouble)
        finally:
            checker.close()

    def _follow(self, checker: SignatureChecker) -> None:
        pause_s = PAUSE_FIRST_S
        while not self._closing.is_set() and not self._is_forked():
            try:
                self._step(checker)
            except ForkedError as forked:
                keep_fork(self._folder, forked.fork)
                self._note(_name_fork(forked.height))
                self._answers.end_all(_name_fork(forked.height))
            except Refused as refused:
                if refused.reason is Reason.RULES_UNKNOWN:
                    raise
                if self._closing.is_set():  # which ends what was asked
                    return
                self._note(refused)
                self._closing.wait(pause_s)
                pause_s = min(2 * pause_s, PAUSE_MAX_S)
            else:
                self._trouble = None
                pause_s = PAUSE_FIRST_S

    def _step(self, checker: SignatureChecker) -> None:
        """Ask for what is new; where nothing is, make sure that our newest is still the leader's."""
        height = self._keeper.state.height
        blocks = self._leader.read_blocks(first_height=height + 1, wait_s=self._wait_s)
        if blocks:
            try:
                take_blocks(self._keeper, checker, blocks)
            finally:
                self._answers.reach(self._keeper.state.height)
        elif height:
            self._compare_newest(height)

    def _compare_newest(self, height: int) -> None:
        newest = self._leader.read_blocks(first_height=height, wait_s=0)
        require(bool(newest), Reason.FAULT_FOUND, f"the leader no longer has block {height}")
        refuse_fork(self._keeper, newest[0])
        is_same = newest[0].height == height
        require(is_same, Reason.FAULT_FOUND, f"the leader answers with another block than {height}")

    def _note(self, trouble: Refused) -> None:
        before = self._trouble
        self._trouble = trouble
        if before is None or str(before) != str(trouble):
            is_passing = trouble.reason in (*PASSING, Reason.NODE_UNREACHABLE)
            _LOG.log(logging.WARNING if is_passing else logging.ERROR, "following: %s", trouble)

    def _is_forked(self) -> bool:
        return self._trouble is not None and self._trouble.reason is Reason.LEDGER_FORKED


def _name_fork(height: int) -> Refused:
    return Refused(
        Reason.LEDGER_FORKED, f"two histories part at block {height}; the evidence is in ledger/fork.json"
    )
