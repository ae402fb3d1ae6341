"""Hold the votes of validators against a ledger that is being replayed, and name the first fault.

The replay knows at each height who may order and what the state is; CometBFT's headers must say just that.
So nothing is taken from the light blocks but signatures: not who the validators are, nor what they decided.
"""

import dataclasses
from collections.abc import Callable

from iamata.ledger.blocks import StoredBlock
from iamata.ledger.bundles import list_bundles
from iamata.ledger.genesis import Genesis
from iamata.ledger.light.blocks import (
    NO_ITEMS_HASH,
    LightBlock,
    LightHeader,
    LightValidator,
    compute_data_hash,
    compute_validators_hash,
    order_validators,
    read_light_block,
)
from iamata.ledger.light.verifying import check_clock, check_light_block, count_faulty, trust_genesis
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


class Vouching:
    """Follows a replay with the light blocks of the same heights, from the genesis on."""

    def __init__(self, genesis: Genesis, find_light: Callable[[int], bytes | None], *, now_ms: int) -> None:
        """`now_ms` is the reader's clock: votes for a time to come would be fresh for ever."""
        first = order_validators(genesis.validators)
        self._now_ms = now_ms
        self._find_light = find_light
        self._trust = trust_genesis(genesis)
        self._app_hash = ""
        self._coming = (first, first)
        """Who orders at the next height, and at the one after that."""
        self._headers = self._votes = self._unvouched = 0
        self._is_result_vouched = True

    def begin(self, state: LedgerState) -> None:
        """Hear what the first block finds: what the genesis says, or what was inherited."""
        self._app_hash = str(state.app_hash)

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
            self._votes += sum(vote is not None for vote in light.votes)
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
            "time": header.time.ms == block.time_ms,
            "validators": header.validators_hash == compute_validators_hash(now),
            "next validators": header.next_validators_hash == compute_validators_hash(following),
            "transactions": header.data_hash == compute_data_hash(list_bundles(block)),
            "evidence": not block.misbehaviours or header.evidence_hash != NO_ITEMS_HASH,
            "app hash before it": header.app_hash == self._app_hash,
        }
        for what, is_right in found.items():
            if not is_right:
                raise _find_fault(block.height, f"its validators have voted for another {what}")


class Vouchings:
    """The votes of every stretch of a ledger that validators ordered, one network after the other."""

    def __init__(self, find_light: Callable[[int], bytes | None], *, now_ms: int) -> None:
        self._find_light = find_light
        self._now_ms = now_ms
        self._current: Vouching | None = None

    def begin(self, state: LedgerState) -> None:
        """Hear which network's blocks come next, and what it starts from."""
        self._current = None
        if state.genesis.validators:
            self._current = Vouching(state.genesis, self._find_light, now_ms=self._now_ms)
            self._current.begin(state)

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
