"""The decision: which of a patient's records one request may read, by which consent, and why not the rest.

One algorithm for every profile (IHE PCF 1:53). A consent speaks to a request when its rule, or an
exception that permits, matches day, purpose and recipient. Then, for each record and each consent that
speaks: a matching exception that denies, else one that permits, else the rule itself. A denial by any
consent beats a permit by another; where nothing permits, the answer is no.

A record that is several patients' is decided by the policy of each: one no is a no.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeAlias

import msgspec

from iamata.consent.labels import SUBSTANCE_USE
from iamata.consent.matching import Sieve, find_kind_obstacle, passes
from iamata.consent.permits import (
    NO_REDISCLOSURE,
    PART_2_NOTICE,
    Obligation,
    Permit,
    add_others,
    issue_permit,
)
from iamata.consent.policy import Basis, Policy, Statement, list_statements
from iamata.consent.profiles import Profile
from iamata.consent.requests import RecordFacts, Request
from iamata.consent.terms import Rule
from iamata.consent.wording import describe
from iamata.model.instants import Instant, compute_day
from iamata.model.reasons import Reason

Shared: TypeAlias = Mapping[str, Sequence[Policy]]
"""By record, the policies of the other patients whose record it is too."""
NOT_SHARED: Final[Shared] = {}


class Refusal(msgspec.Struct, frozen=True):
    """A record that may not be read, and the last check that it came to."""

    record: str
    reason: Reason


class Decision(msgspec.Struct, frozen=True):
    """The answer about every record that was asked for, in the order of asking."""

    permits: tuple[Permit, ...]
    """One a basis, as the ledger wants one basis a disclosure; no record is in two of them."""
    refusals: tuple[Refusal, ...]


class _Candidate(msgspec.Struct, frozen=True):
    """A statement's rules that a kind of record meets, the one that comes first in precedence first."""

    basis: Basis
    is_narrowing: bool
    sieves: tuple[Sieve, ...]


class _Kind(msgspec.Struct, frozen=True):
    """What is left to ask about records of one type with the same labels."""

    candidates: tuple[_Candidate, ...]
    obstacle: Reason
    """Why not, where none of the candidates permits."""
    is_settled: bool
    """Nothing is left to ask: all records of the kind have one answer."""


def decide(
    policy: Policy,
    request: Request,
    records: Sequence[RecordFacts],
    *,
    at_ms: Instant,
    shared: Shared = NOT_SHARED,
) -> Decision:
    """Decide about each record; the only maker of permits."""
    if shared:
        return _decide_jointly(policy, request, records, at_ms=at_ms, shared=shared)
    if policy.is_opening_missing:
        return Decision((), tuple(Refusal(facts.record, Reason.TERMS_NOT_HELD) for facts in records))
    statements, obstacle = list_statements(policy, request, day=compute_day(at_ms))
    permitted: dict[Basis, list[RecordFacts]] = {}
    refusals: list[Refusal] = []
    kinds: dict[tuple[str, tuple[str, ...]], tuple[_Kind, Basis | Reason]] = {}
    for facts in records:
        key = (facts.resource_type, facts.labels)
        if key not in kinds:
            kind = _sift(statements, facts, policy.profile, obstacle)
            kinds[key] = (kind, _judge(kind, facts))
        kind, verdict = kinds[key]
        if not kind.is_settled:
            verdict = _judge(kind, facts)
        if isinstance(verdict, Reason):
            refusals.append(Refusal(facts.record, verdict))
        else:
            permitted.setdefault(verdict, []).append(facts)
    permits = tuple(
        _issue(policy, basis, found, request=request, at_ms=at_ms) for basis, found in permitted.items()
    )
    return Decision(permits, tuple(refusals))


def list_narrowing(
    policy: Policy, request: Request, records: Sequence[RecordFacts], *, at_ms: Instant
) -> tuple[Rule, ...]:
    """List the denials that speak to a request and may take single records of the kinds asked out of it.

    Who asks about kinds of record, with nothing at hand that tells one record from another, learns from
    `decide` what the patient permits but for these.
    """
    statements, obstacle = list_statements(policy, request, day=compute_day(at_ms))
    narrowing: dict[Rule, None] = {}
    for facts in records:
        for candidate in _sift(statements, facts, policy.profile, obstacle).candidates:
            narrowing |= dict.fromkeys(_list_denials(candidate))
    return tuple(narrowing)


def _decide_jointly(
    policy: Policy, request: Request, records: Sequence[RecordFacts], *, at_ms: Instant, shared: Shared
) -> Decision:
    """Ask each other patient about what is theirs too, and the one in question about what that leaves."""
    theirs: dict[str, tuple[Policy, list[RecordFacts]]] = {}
    for facts in records:
        for other in shared.get(facts.record, ()):
            theirs.setdefault(other.patient, (other, []))[1].append(facts)
    refused = {
        refusal.record: refusal
        for other, asked in theirs.values()
        for refusal in decide(other, request, asked, at_ms=at_ms).refusals
    }
    left = [facts for facts in records if facts.record not in refused]
    decision = decide(policy, request, left, at_ms=at_ms)
    refused |= {refusal.record: refusal for refusal in decision.refusals}
    permits = []
    for permit in decision.permits:
        others: list[Permit] = []
        for other, asked in theirs.values():
            agreed = [facts for facts in asked if permit.covers(facts.record, patient=policy.patient)]
            others += decide(other, request, agreed, at_ms=at_ms).permits
        permits.append(add_others(permit, others))
    refusals = tuple(refused[facts.record] for facts in records if facts.record in refused)
    return Decision(tuple(permits), refusals)


def _judge(kind: _Kind, facts: RecordFacts) -> Basis | Reason:
    """Apply the rules: deny beats permit, and the first consent on file that permits is the basis."""
    basis: Basis | None = None
    for candidate in kind.candidates:
        for sieve in candidate.sieves:
            if sieve.is_open or passes(sieve, facts):
                if not sieve.is_permit:
                    return Reason.EXCLUDED_BY_PATIENT
                if basis is None and not candidate.is_narrowing:
                    basis = candidate.basis
                break
    return kind.obstacle if basis is None else basis


def _sift(
    statements: tuple[Statement, ...], facts: RecordFacts, profile: Profile, obstacle: Reason
) -> _Kind:
    """Keep the rules that a kind of record meets, and the furthest check at which a permit failed it."""
    candidates = []
    is_settled = True
    for statement in statements:
        sieves = []
        for sieve in statement.sieves:
            reason = find_kind_obstacle(sieve.rule, facts, profile)
            if reason is None:
                sieves.append(sieve)
                is_settled = is_settled and sieve.is_open
                reason = Reason.DATA_NOT_PERMITTED
            if sieve.is_permit and statement.is_patients_grant:
                obstacle = max(obstacle, reason)
        if sieves:
            candidates.append(_Candidate(statement.basis, statement.is_narrowing, tuple(sieves)))
    return _Kind(tuple(candidates), obstacle, is_settled)


def _list_denials(candidate: _Candidate) -> Iterator[Rule]:
    """List the denials that come before what permits a kind of record as a whole."""
    for sieve in candidate.sieves:
        if sieve.is_permit and sieve.is_open:
            return
        if not sieve.is_permit:
            yield sieve.rule


def _issue(
    policy: Policy, basis: Basis, found: list[RecordFacts], *, request: Request, at_ms: Instant
) -> Permit:
    protected = tuple(
        facts.record for facts in found if any(label in SUBSTANCE_USE for label in facts.labels)
    )
    obligation = Obligation(
        code=NO_REDISCLOSURE,
        notice=PART_2_NOTICE,
        consent=basis.consent,
        scope=tuple(describe(basis.terms, profile=policy.profile)) if protected else (),
        records=protected,
    )
    return issue_permit(
        patient=policy.patient,
        consent=basis.consent,
        policy=basis.policy,
        request=request,
        records=tuple(facts.record for facts in found),
        at_ms=at_ms,
        obligations=(obligation,) if protected else (),
    )
