"""A study's owner carries its sites' messages: it collects, orders and delivers, and decides nothing.

Each round is one relay. What a relay has closed is delivered to whoever asks, however often. A site that
does not speak in time holds the others up no longer than that. Rounds are in memory: when the owner's node
was killed, the sites bring them again. No site's rounds take the place of those that others speak in.
"""

import dataclasses
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from iamata.learning.secure_sum.messages import MESSAGE_BYTES_MAX
from iamata.learning.secure_sum.plans import Plan
from iamata.learning.secure_sum.relay import Relay
from iamata.ledger.entries import RunStatus
from iamata.ledger.tables import MEMBERS, RUNS, STUDIES
from iamata.model.canonical import encode_struct
from iamata.model.ids import Digest, MemberId, RunId, encode_digest
from iamata.model.reasons import Reason, Refused, require
from iamata.ports import LedgerView
from iamata.workflows.lineages import list_sites

PLAN_BYTES_MAX: Final = 262_144
ROUNDS_KEPT: Final = 3
"""For each site of a run: where it spoke last, and the round before, whose end it may still ask for.

One more, because they may come in the other order where sites bring them again. A run has at most as many
rounds as this for each of its sites, and vectors are only in those that two thirds of them have entered.
"""
RUNS_MAX: Final = 16
"""Runs that one owner carries at a time."""
STEP_S: Final = 0.002
PHASE_S_MAX: Final = 30.0
"""How long a phase waits for the last site."""


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How far a run has come where it is carried: what each site sends is no part of it."""

    rounds: int = 0
    """So many have the sites entered since this node runs, counted as half of them would."""
    values: int = 0
    """In the vector of the round that most of them entered last."""
    sites: tuple[MemberId, ...] = ()
    """Those that have spoken in it."""


@dataclasses.dataclass(slots=True)
class _Round:
    relay: Relay
    since_s: float
    phase: int = 0


@dataclasses.dataclass(slots=True)
class _Heard:
    """Where one site has spoken: how many rounds it entered, and in which it spoke last, that one last."""

    entered: int = 0
    latest: Digest | None = None
    """The one that it entered last; into those before it may still bring something."""
    newest: tuple[Digest, ...] = ()


@dataclasses.dataclass(slots=True)
class _Carried:
    """One run with the rounds that are among a site's newest, as they were opened."""

    rounds: dict[Digest, _Round] = dataclasses.field(default_factory=dict)
    heard: dict[MemberId, _Heard] = dataclasses.field(default_factory=dict)

    def hear(self, site: MemberId, digest: Digest) -> None:
        """Note in which round a site speaks, and drop what is among no site's newest any more."""
        heard = self.heard.setdefault(site, _Heard())
        is_entered = digest in heard.newest
        heard.newest = (*(one for one in heard.newest if one != digest), digest)[-ROUNDS_KEPT:]
        if is_entered:
            return
        heard.entered, heard.latest = heard.entered + 1, digest
        kept = {one for each in self.heard.values() for one in each.newest}
        for dropped in self.rounds.keys() - kept:
            del self.rounds[dropped]

    def tell_standing(self) -> Standing:
        """Tell of the round that most sites entered last; of equals, of the newest."""
        latest = [one.latest for one in self.heard.values()]
        digest = max(reversed(self.rounds), key=latest.count)
        entered = statistics.median_low(one.entered for one in self.heard.values() if one.latest == digest)
        relay = self.rounds[digest].relay
        return Standing(rounds=entered, values=relay.plan.length, sites=relay.list_speakers())


class Relays:
    """The rounds that a member carries. Any thread may call."""

    def __init__(
        self, tell_s: Callable[[], float] = time.monotonic, *, phase_s: float = PHASE_S_MAX
    ) -> None:
        self._runs: dict[RunId, _Carried] = {}
        self._lock = threading.Lock()
        self._tell_s = tell_s
        self._phase_s = phase_s

    def carry(
        self, view: LedgerView, sender: MemberId, *, owner: MemberId, plan: bytes, message: bytes
    ) -> None:
        """Take in a site's message for the round that its plan names, in a run of an own study."""
        require(len(message) <= MESSAGE_BYTES_MAX and len(plan) <= PLAN_BYTES_MAX, Reason.TOO_LARGE)
        read = _read_plan(plan)
        _require_authorised(view, read, sender, owner)
        digest = Digest(encode_digest(read.compute_digest()))
        with self._lock:
            found = self._runs.get(RunId(read.run), _Carried()).rounds.get(digest)
            relay = Relay.start(read) if found is None else found.relay
            # Only a message that holds, of who brings it, opens a round or keeps it: nothing else takes
            # memory, and what others have said anybody can say again.
            require(relay.receive(message) == sender, Reason.NOT_A_SITE)
            if found is None:
                self._open(view, RunId(read.run), digest, relay)
            self._runs[RunId(read.run)].hear(sender, digest)

    def find_delivery(
        self, asker: MemberId, run: RunId, plan: Digest, phase: int
    ) -> Sequence[bytes] | None:
        """Return what a phase brought, None while it is open; too late, go on without who is silent.

        Whoever asks has spoken in that phase. A relay that does not know it has forgotten, and says so.
        """
        with self._lock:
            found = self._runs.get(run, _Carried()).rounds.get(plan)
            if found is None or not found.relay.has_spoken(asker, phase):
                raise Refused(Reason.ANOTHER_ROUND)
            self._close_when_late(found)
            return found.relay.find_delivery(phase)

    def await_delivery(
        self, asker: MemberId, run: RunId, plan: Digest, phase: int, *, wait_s: float
    ) -> Sequence[bytes] | None:
        """Return what a phase brought, None where it is still open after so long."""
        until_s = time.monotonic() + wait_s
        while (found := self.find_delivery(asker, run, plan, phase)) is None and time.monotonic() < until_s:
            time.sleep(STEP_S)
        return found

    def tell_standing(self, run: RunId) -> Standing:
        """Tell how far a run has come; of one that is not carried here, nothing."""
        with self._lock:
            carried = self._runs.get(run)
            return Standing() if carried is None else carried.tell_standing()

    def forget(self, run: RunId) -> None:
        """Let go of a run that is over."""
        with self._lock:
            self._runs.pop(run, None)

    def _open(self, view: LedgerView, run: RunId, digest: Digest, relay: Relay) -> None:
        if run not in self._runs:
            # Those that failed, or ended without a model, were forgotten by nobody.
            self._runs = {name: one for name, one in self._runs.items() if is_under_way(view, name)}
            require(len(self._runs) < RUNS_MAX, Reason.TOO_BUSY, "runs")
            self._runs[run] = _Carried()
        self._runs[run].rounds[digest] = _Round(relay, since_s=self._tell_s())

    def _close_when_late(self, found: _Round) -> None:
        now_s = self._tell_s()
        if found.relay.phase != found.phase:
            found.phase, found.since_s = found.relay.phase, now_s
        if found.relay.find_delivery(found.phase) is None and now_s - found.since_s > self._phase_s:
            found.relay.close_phase()


def _read_plan(raw: bytes) -> Plan:
    try:
        plan = msgspec.json.decode(raw, type=Plan)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(Reason.MALFORMED, "the plan of a round") from error
    require(encode_struct(plan) == raw, Reason.NOT_CANONICAL, "the plan of a round")
    return plan


def is_under_way(view: LedgerView, name: RunId) -> bool:
    """Tell whether a run has not ended, by anybody's word or by time."""
    run = RUNS.find(view, name)
    return run is not None and run.status is RunStatus.RUNNING and view.time_ms <= run.until_ms


def _require_authorised(view: LedgerView, plan: Plan, sender: MemberId, owner: MemberId) -> None:
    """Refuse whoever is no site of a run under way, and a plan that seats others than its sites."""
    run = RUNS.find(view, plan.run)
    if run is None or not is_under_way(view, RunId(plan.run)):
        raise Refused(Reason.RUN_OVER)
    study = STUDIES.find(view, run.study)
    require(study is not None and study.owner == owner, Reason.NOT_THE_OWNER)
    sites = list_sites(view, run)
    require(sender in sites, Reason.NOT_A_SITE)
    keys = [member.signing_key for one in sites if (member := MEMBERS.find(view, one))]
    is_seated = [(seat.member, seat.key) for seat in plan.seats] == list(zip(sites, keys, strict=True))
    require(is_seated, Reason.ANOTHER_ROUND)
