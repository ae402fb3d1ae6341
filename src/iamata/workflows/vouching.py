"""Hold the votes of validators against a ledger that is being replayed, and name the first fault.

The replay knows at each height who may order and what the state is; CometBFT's headers must say just that.
So nothing is taken from the light blocks but signatures: not who the validators are, nor what they decided.
"""

import dataclasses
from collections.abc import Callable, Iterable, Sequence

from iamata.ledger.blocks import StoredBlock
from iamata.ledger.genesis import Genesis
from iamata.ledger.light.blocks import (
    LightBlock,
    LightHeader,
    LightValidator,
    compute_validators_hash,
    order_validators,
    read_light_block,
)
from iamata.ledger.light.holding import check_before, check_block, check_result
from iamata.ledger.light.verifying import (
    Trust,
    check_clock,
    check_light_block,
    count_faulty,
    is_within_reach,
    trust_genesis,
    trust_light_block,
)
from iamata.ledger.state import LedgerState
from iamata.ledger.tables import CURRENT, VALIDATORS
from iamata.model.reasons import Reason, Refused, require


@dataclasses.dataclass(frozen=True, slots=True)
class VoteReport:
    """What was checked of validators' votes, and what it says of them."""

    headers: int
    votes: int
    validators: int
    """At the end."""
    faulty_max: int
    """How many of them may fail or cheat while the others still agree, and are right."""
    unvouched: int
    """Blocks at the end that no votes were shown for."""
    is_result_vouched: bool
    """Whether a header names what the newest block came to; it is the next block's that does."""
    time_ms: int
    """Of the newest header."""


@dataclasses.dataclass(frozen=True, slots=True)
class Vouched:
    """What was vouched for before the first block of a replay."""

    trust: Trust
    app_hash: str
    coming: tuple[tuple[LightValidator, ...], tuple[LightValidator, ...]]
    """Who orders at the next height, and at the one after that."""
    headers: int = 0
    votes: int = 0


class Vouching:
    """Follows a replay with the light blocks of the same heights."""

    def __init__(self, begin: Vouched, find_light: Callable[[int], bytes | None], *, now_ms: int) -> None:
        """`now_ms` is the reader's clock: votes for a time to come would be fresh for ever."""
        self._now_ms = now_ms
        self._find_light = find_light
        self._trust = begin.trust
        self._app_hash = begin.app_hash
        self._coming = begin.coming
        self._headers, self._votes, self._unvouched = begin.headers, begin.votes, 0
        self._is_result_vouched = True

    def take(self, block: StoredBlock, state: LedgerState) -> None:
        """Check the header of a block that was just replayed."""
        now, following = self._coming
        raw = self._find_light(block.height)
        if raw is None:
            self._unvouched += 1
        else:
            light = self._check_votes(raw, block.height)
            self._compare(light.header, block, now, following)
            self._headers += 1
            self._votes += _count_votes(light)
        app_hash = str(state.app_hash)
        self._is_result_vouched = self._unvouched == 0 and app_hash == self._app_hash
        self._app_hash = app_hash
        self._coming = (following, _find_validators(state))

    def sum_up(self) -> VoteReport:
        """Say what was checked so far."""
        return VoteReport(
            headers=self._headers,
            votes=self._votes,
            validators=len(self._coming[0]),
            faulty_max=count_faulty(self._coming[0]),
            unvouched=self._unvouched,
            is_result_vouched=self._is_result_vouched,
            time_ms=self._trust.time.ms,
        )

    def _check_votes(self, raw: bytes, height: int) -> LightBlock:
        if self._unvouched:
            raise _find_fault(height - 1, "its votes are missing")
        try:
            light = read_light_block(raw)
            require(light.header.height == height, Reason.FAULT_FOUND, "they are for another height")
            check_clock(light, now_ms=self._now_ms)
            self._trust = check_light_block(light, self._trust)
        except Refused as refused:
            raise _find_fault(height, f"its votes: {refused}") from refused
        return light

    def _compare(
        self,
        header: LightHeader,
        block: StoredBlock,
        now: tuple[LightValidator, ...],
        following: tuple[LightValidator, ...],
    ) -> None:
        """Find in the header what the replay came to, and in the block what the header names."""
        found = {
            "validators": header.validators_hash == compute_validators_hash(now),
            "next validators": header.next_validators_hash == compute_validators_hash(following),
            "app hash before it": header.app_hash == self._app_hash,
        }
        for what, is_right in found.items():
            if not is_right:
                raise _find_fault(block.height, f"its validators have voted for another {what}")
        check_block(block, header)


def vouch_for_first(state: LedgerState) -> Vouched:
    """Begin with the validators that the genesis names, and with what the first block under it finds."""
    first = order_validators(state.genesis.validators)
    return Vouched(trust=trust_genesis(state.genesis), app_hash=str(state.app_hash), coming=(first, first))


def vouch_for_beginning(
    genesis: Genesis,
    blocks: Sequence[StoredBlock],
    state: LedgerState,
    lights: Iterable[LightBlock],
    *,
    now_ms: int,
) -> Vouched:
    """Hold the blocks of a snapshot, and the state that it came to, against what validators signed.

    `lights` are all that there are, in order. Some lead from the genesis to a header after the snapshot's
    last block; from there each one before is named, by its hash, in the one after it.
    """
    first, last = blocks[0].height, blocks[-1].height
    stretch, trust = _find_anchor(genesis, first, last, lights, now_ms=now_ms)
    following = stretch.pop()
    held = {block.height: block for block in blocks}
    validators, headers, votes = following.validators, 0, 0
    while stretch:
        light = stretch.pop()
        check_before(light, following, trust)
        height = light.header.height
        if height in held:
            check_block(held[height], light.header)
            check_result(held[height], following, genesis)
            headers, votes = headers + 1, votes + _count_votes(light)
        if height == last:
            validators = following.validators
            trust = trust_light_block(light, trust)
        following = light
    require(headers == len(blocks), Reason.FAULT_FOUND, f"block {first}: its votes are missing")
    coming = (validators, _find_validators(state))
    return Vouched(trust=trust, app_hash=str(state.app_hash), coming=coming, headers=headers, votes=votes)


def _find_anchor(
    genesis: Genesis, first: int, last: int, lights: Iterable[LightBlock], *, now_ms: int
) -> tuple[list[LightBlock], Trust]:
    """Find a header after `last` that follows from the genesis by votes, with those from `first` on."""
    trust, stretch = trust_genesis(genesis), list[LightBlock]()
    for light in lights:
        check_clock(light, now_ms=now_ms)
        height = light.header.height
        if is_within_reach(light, trust):
            trust = check_light_block(light, trust)
        else:  # it is shown for what comes before it; its votes must hold all the same
            check_light_block(light, trust_light_block(light, trust))
        if height >= first:
            stretch.append(light)
        if height > last and trust.height == height:
            return stretch, trust
    raise _find_fault(last, "no header after it leads there from the genesis")


def _count_votes(light: LightBlock) -> int:
    return sum(vote is not None for vote in light.votes)


class Vouchings:
    """The votes of every stretch of a ledger that validators ordered, one network after the other."""

    def __init__(
        self,
        find_light: Callable[[int], bytes | None],
        *,
        now_ms: int,
        vouch: Callable[[LedgerState], Vouched] = vouch_for_first,
    ) -> None:
        """`vouch` says, or refuses to, what there is for the state that a network's next block finds."""
        self._find_light = find_light
        self._now_ms = now_ms
        self._vouch = vouch
        self._current: Vouching | None = None

    def begin(self, state: LedgerState) -> None:
        """Hear which network's blocks come next, and what it starts from."""
        self._current = None
        if state.genesis.validators:
            self._current = Vouching(self._vouch(state), self._find_light, now_ms=self._now_ms)

    def take(self, block: StoredBlock, state: LedgerState) -> None:
        """Check the header of a block that was just replayed, where validators ordered it."""
        if self._current is not None:
            self._current.take(block, state)

    def sum_up(self) -> VoteReport | None:
        """Say what was checked of those who order now; None where one signer does."""
        return None if self._current is None else self._current.sum_up()


def _find_validators(state: LedgerState) -> tuple[LightValidator, ...]:
    entry = VALIDATORS.find(state.entries, CURRENT)
    return () if entry is None else order_validators(entry.active)


def _find_fault(height: int, what: str) -> Refused:
    return Refused(Reason.FAULT_FOUND, f"block {height}: {what}")
