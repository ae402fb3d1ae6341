"""What governs one patient's records at one custodian, and which parts of it speak to a request."""

import msgspec

from iamata.consent.matching import Sieve, find_obstacle, is_within, make_sieve
from iamata.consent.profiles import IMPLICIT_TERMS, ImplicitPolicy, Profile
from iamata.consent.purposes import EMERGENCIES
from iamata.consent.requests import Request
from iamata.consent.terms import Rule, Ruling, Terms, inherit
from iamata.model.ids import ConsentId, PatientId
from iamata.model.instants import DAY_MAX, Day
from iamata.model.reasons import Reason


class ConsentOnFile(msgspec.Struct, frozen=True, kw_only=True):
    """A consent that the ledger holds in force, with what the custodian could open of it."""

    consent: ConsentId
    terms: Terms | None
    restrictions: tuple[Terms | None, ...] = ()
    """Denials that only take away. None stands for an opening that the custodian does not hold."""
    until_day: Day = Day(DAY_MAX)
    """The last day that the ledger knows."""


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """All that a decision about one patient at one custodian rests on."""

    patient: PatientId
    profile: Profile
    implicit: ImplicitPolicy
    consents: tuple[ConsentOnFile, ...] = ()
    has_decided: bool = False
    """A consent was once on file: the implicit policy is silent even when all of them are over."""
    is_own_staff: bool = False
    """The custodian's own staff asks: it may treat the patient, unless the patient denies it that."""

    @property
    def is_opening_missing(self) -> bool:
        """Tell whether some terms are not held, so that nothing may be released.

        A restriction that denies nothing at its root is not what its holder meant: it counts as not held.
        """
        return any(
            consent.terms is None or not all(map(is_narrowing, consent.restrictions))
            for consent in self.consents
        )


class Basis(msgspec.Struct, frozen=True, eq=False):
    """What permits: a consent, or the implicit policy. Each is equal to itself alone."""

    terms: Terms
    consent: ConsentId | None = None
    policy: ImplicitPolicy | None = None


class Statement(msgspec.Struct, frozen=True):
    """Rules of one origin that speak to a request, in order of precedence."""

    basis: Basis
    sieves: tuple[Sieve, ...]
    is_narrowing: bool = False
    """Only what it denies counts."""

    @property
    def is_patients_grant(self) -> bool:
        """Tell whether the patient's own consent may permit here."""
        return self.basis.consent is not None and not self.is_narrowing


def is_narrowing(terms: Terms | None) -> bool:
    """Tell whether terms are held and can restrict: a permit at the root takes nothing away."""
    return terms is not None and terms.decision is Ruling.DENY


def list_statements(policy: Policy, request: Request, *, day: int) -> tuple[tuple[Statement, ...], Reason]:
    """List what speaks to a request, and the furthest check at which a permit that is silent failed."""
    statements: list[Statement] = []
    obstacle = Reason.NO_CONSENT
    for consent in _list_current(policy):
        if consent.terms is None or day > consent.until_day:
            obstacle = max(obstacle, Reason.CONSENT_EXPIRED)
            continue
        rules, reason = select_rules(consent.terms, request, day=day)
        obstacle = max(obstacle, reason)
        if rules:
            basis = Basis(terms=consent.terms, consent=consent.consent)
            statements.append(Statement(basis, rules))
            statements += [
                Statement(basis, select_rules(terms, request, day=day)[0], is_narrowing=True)
                for terms in consent.restrictions
                if terms is not None
            ]
    implicit = [policy.implicit] if has_implicit_voice(policy, request, day=day) else []
    for name in [*implicit, *([ImplicitPolicy.OWN_CARE] if policy.is_own_staff else [])]:
        terms = IMPLICIT_TERMS[name]
        rules = tuple(sieve for sieve in select_rules(terms, request, day=day)[0] if sieve.is_permit)
        statements.append(Statement(Basis(terms=terms, policy=name), rules))
    return tuple(statements), obstacle


def select_rules(terms: Terms, request: Request, *, day: int) -> tuple[tuple[Sieve, ...], Reason]:
    """Select the rules of terms that speak to a request: denials, permits, then the rule they except from.

    A denial under a permit takes back from what its consent gives: it says nothing about a request to
    which its consent gives nothing, so that one doctor's limits do not bind another doctor's consent.
    """
    if not is_within(day, terms.validity):
        return (), Reason.CONSENT_EXPIRED if terms.decision is Ruling.PERMIT else Reason.NO_CONSENT
    obstacle = Reason.NO_CONSENT
    denials: list[Rule] = []
    permits: list[Rule] = []
    for rule in (*(inherit(exception, terms) for exception in terms.exceptions), terms):
        reason = find_obstacle(rule, request, day=day)
        if reason is not None and rule.decision is Ruling.PERMIT:
            obstacle = max(obstacle, reason)
        elif reason is None and rule is not terms:
            (permits if rule.decision is Ruling.PERMIT else denials).append(rule)
        elif reason is None:
            return tuple(make_sieve(each) for each in (*denials, *permits, terms)), obstacle
    if terms.decision is Ruling.PERMIT and not permits:
        return (), obstacle
    return tuple(make_sieve(rule) for rule in (*denials, *permits)), obstacle


def has_implicit_voice(policy: Policy, request: Request, *, day: int) -> bool:
    """Tell whether the implicit policy speaks: the patient said nothing, or nothing about emergencies."""
    if not policy.has_decided and not policy.consents:
        return True
    if not policy.profile.is_emergency_implicit or request.purpose not in EMERGENCIES:
        return False
    return not any(
        mentions_emergencies(terms)
        for consent in policy.consents
        for terms in (consent.terms, *consent.restrictions)
        if terms is not None and day <= consent.until_day and is_within(day, terms.validity)
    )


def mentions_emergencies(terms: Terms) -> bool:
    """Tell whether terms name an emergency among their purposes, to permit it or to deny it."""
    rules = (terms, *terms.exceptions)
    return any(purpose in EMERGENCIES for rule in rules for purpose in rule.purposes)


def _list_current(policy: Policy) -> tuple[ConsentOnFile, ...]:
    """List the consents that count: under PCF, the last to each text; two of one moment both count."""
    if not policy.profile.is_latest_of_policy:
        return policy.consents
    latest: dict[str, int] = {}
    for consent in policy.consents:
        if consent.terms is not None:
            uri = consent.terms.policy
            latest[uri] = max(latest.get(uri, 0), consent.terms.recorded_ms)
    return tuple(
        consent
        for consent in policy.consents
        if consent.terms is None or consent.terms.recorded_ms == latest[consent.terms.policy]
    )
