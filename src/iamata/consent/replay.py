"""What a change would have meant: past reads decided again under other terms, before anybody signs."""

from collections.abc import Iterable

import msgspec

from iamata.consent.decide import decide
from iamata.consent.policy import Policy
from iamata.consent.requests import RecordFacts, Request
from iamata.model.instants import Instant
from iamata.model.reasons import Reason


class PastRead(msgspec.Struct, frozen=True, kw_only=True):
    """A request as the journal holds it, with the facts of its records."""

    request: Request
    records: tuple[RecordFacts, ...]
    at_ms: Instant


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A record in one past read whose answer would have been another."""

    read: int
    """The place of the read among those replayed."""
    record: str
    before: Reason | None
    """None: it was permitted."""
    after: Reason | None


def replay(before: Policy, after: Policy, reads: Iterable[PastRead]) -> tuple[Change, ...]:
    """List what changes between two policies over past reads."""
    changes: list[Change] = []
    for index, read in enumerate(reads):
        old, new = (_list_answers(policy, read) for policy in (before, after))
        changes += [
            Change(read=index, record=record, before=reason, after=new[record])
            for record, reason in old.items()
            if (reason is None) != (new[record] is None)
        ]
    return tuple(changes)


def _list_answers(policy: Policy, read: PastRead) -> dict[str, Reason | None]:
    decision = decide(policy, read.request, read.records, at_ms=read.at_ms)
    refused = {refusal.record: refusal.reason for refusal in decision.refusals}
    return {facts.record: refused.get(facts.record) for facts in read.records}
