"""A site's messages in one round, brought to the relay; and brought again where the relay has forgotten.

A relay keeps its rounds in memory. When its node was killed and started again, every site brings its
messages from the round's first phase on, word for word, and so the same deliveries come about: another is
refused (VIEWS_DIFFER). A relay gains nothing by feigning to have forgotten.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from iamata.learning.secure_sum.messages import PHASES
from iamata.learning.secure_sum.site import Site, Sum
from iamata.model.canonical import encode_struct
from iamata.model.ids import Digest, RunId, encode_digest
from iamata.model.reasons import Reason, Refused, require
from iamata.workflows.documents import HandedIn

SILENCE_S_MAX: Final = 120.0
"""How long a site waits for one phase, or for a relay that is gone, before it says that the run failed."""
PAUSE_S: Final = 0.2
LOST: Final = (Reason.NODE_UNREACHABLE, Reason.ANOTHER_ROUND, Reason.OUT_OF_TURN)
"""What a site hears of a relay that is gone, or that came back without this round."""
OUT_OF_TURN_MAX: Final = 3
"""Whoever hears that this often was given up by the relay, and does not get back in."""


class Carrier(Protocol):
    """Who carries messages between sites: the desk of the study's owner."""

    def carry_message(self, *, plan: bytes, message: bytes) -> None:
        """Take in a message for the round that the plan names."""
        ...

    def await_delivery(self, run: RunId, plan: Digest, phase: int) -> Sequence[bytes] | None:
        """Return what a phase of a round brought; None where it was still open after a while."""
        ...

    def hand_in(self, handed: HandedIn) -> None:
        """Hand over what came of a run."""
        ...

    def show_document(self, digest: Digest) -> bytes:
        """Return a public document by its hash."""
        ...

    def show_question(self, run: RunId) -> bytes:
        """Return what a run asks."""
        ...


class Exchange:
    """One round at one site. `check` refuses when there is no more reason to wait.

    `bind` is told each phase that was accepted, and the transcript then, before the answer leaves.
    """

    def __init__(  # noqa: PLR0913  a round, and what is told of it
        self,
        site: Site,
        run: RunId,
        carrier: Carrier,
        *,
        check: Callable[[], object],
        bind: Callable[[int, bytes], None],
        silence_s: float,
    ) -> None:
        self._site = site
        self._run = run
        self._carrier = carrier
        self._check = check
        self._bind = bind
        self._silence_s = silence_s
        self._plan = encode_struct(site.plan)
        self._digest = Digest(encode_digest(site.plan.compute_digest()))
        self._sent = [site.answer]
        self._teller: threading.Thread | None = None
        self._is_left = False

    def finish(self, former: "Exchange | None") -> Sum:
        """Go to the end of the round, and start over where the relay has lost it.

        Another site may not have heard the end of the round before: `former` is then brought again too.
        """
        lost_s = 0.0
        out_of_turn = 0
        while True:
            try:
                return self._run_through(former)
            except Refused as refused:
                lost_s = lost_s or time.monotonic()
                out_of_turn += refused.reason is Reason.OUT_OF_TURN
                is_gone = time.monotonic() - lost_s > self._silence_s or out_of_turn > OUT_OF_TURN_MAX
                if self._is_left or refused.reason not in LOST or is_gone:
                    raise
            self._check()
            time.sleep(PAUSE_S)

    def remind(self) -> None:
        """Bring this finished round again, beside the next, where the relay has forgotten it.

        Another site may not have heard its end yet. Asked after the next round's first message has been
        taken in, the relay either still knew this round then, or will be seen to have lost the next too.
        """
        try:
            self._carrier.carry_message(plan=self._plan, message=self._sent[-1])
        except Refused as refused:
            require(refused.reason is Reason.OUT_OF_TURN, refused.reason, refused.detail)
            self._tell_beside()

    def _tell_beside(self) -> None:
        if self._teller is None or not self._teller.is_alive():
            self._teller = threading.Thread(target=self._tell_again, name="iamata-round", daemon=True)
            self._teller.start()

    def _tell_again(self) -> None:
        with contextlib.suppress(Refused):  # nobody needed it, or this site's next round fails as well
            self._run_through(None)

    def _run_through(self, former: "Exchange | None") -> Sum:
        for phase in range(len(PHASES)):
            self._carrier.carry_message(plan=self._plan, message=self._sent[phase])
            if former is not None and self._site.phase == 0:
                former.remind()
            answer = self._accept(phase, self._await(phase))
            if answer is not None and len(self._sent) == phase + 1:
                self._bind(phase, self._site.transcript)
                self._sent.append(answer)
        total = self._site.find_sum()
        if total is None:
            raise Refused(Reason.ROUND_ABORTED)
        return total

    def _accept(self, phase: int, delivery: Sequence[bytes]) -> bytes | None:
        """Let the site go on, or leave the round for good: no honest relay delivers what it refuses."""
        try:
            answer = self._site.receive(delivery)
            require(self._site.phase > phase, Reason.ROUND_ABORTED, "an earlier phase once more")
        except Refused:
            self._is_left = True
            raise
        return answer

    def _await(self, phase: int) -> Sequence[bytes]:
        deadline_s = time.monotonic() + self._silence_s
        while (delivery := self._carrier.await_delivery(self._run, self._digest, phase)) is None:
            require(time.monotonic() < deadline_s, Reason.TOO_SLOW, "a site is silent")
            self._check()
        return delivery


def insist(act: Callable[[], None], *, silence_s: float) -> None:
    """Do what reaches the owner's node, again and again while that is gone, though not for ever."""
    deadline_s = time.monotonic() + silence_s
    while True:
        try:
            return act()
        except Refused as refused:
            if refused.reason is not Reason.NODE_UNREACHABLE or time.monotonic() > deadline_s:
                raise
        time.sleep(PAUSE_S)
