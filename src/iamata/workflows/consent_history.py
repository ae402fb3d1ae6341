"""Which consents were in force at an earlier instant: folded from the log, opened by a custodian.

The ledger's entry says what a consent is now. Whoever checks a dataset needs to know what it was then.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from iamata.consent.policy import ConsentOnFile, Policy
from iamata.consent.profiles import STRICT, ImplicitPolicy
from iamata.ledger.events import (
    ConsentConfirmed,
    ConsentGranted,
    ConsentLifted,
    ConsentNarrowed,
    ConsentWithdrawn,
)
from iamata.ledger.leaves import Leaf
from iamata.ledger.tables import CONSENTS
from iamata.model.ids import Commitment, ConsentId, PatientId
from iamata.model.instants import Day, Instant, compute_day
from iamata.ports import LedgerView
from iamata.vault.custody import Custody
from iamata.vault.openings import find_opening
from iamata.vault.policies import read_terms


class PastConsent(msgspec.Struct, kw_only=True):
    """A consent as it was."""

    until_day: Day
    is_patients_own: bool
    restrictions: dict[Commitment, None] = {}


ConsentsThen = dict[PatientId, dict[ConsentId, PastConsent]]


def list_consents_then(leaves: Iterable[Leaf], *, at_ms: Instant) -> ConsentsThen:
    """Fold the log up to an instant into the consents that bound then, by patient."""
    then: ConsentsThen = {}
    for leaf in leaves:
        if leaf.time_ms > at_ms:
            break
        _apply(then, leaf.event)
    return then


def read_policy_then(
    view: LedgerView, custody: Custody, patient: PatientId, then: ConsentsThen, *, at_ms: Instant
) -> Policy:
    """Gather what a decision about a patient rested on then: of the consents, what is the patient's own."""
    day = compute_day(at_ms)
    consents = tuple(
        ConsentOnFile(
            consent=consent,
            terms=read_terms(find_opening(custody, consent), entry.terms),
            restrictions=tuple(read_terms(find_opening(custody, one), one) for one in past.restrictions),
            until_day=entry.until_day,
        )
        for consent, past in then.get(patient, {}).items()
        if past.is_patients_own
        and past.until_day >= day
        and (entry := CONSENTS.find(view, consent)) is not None
    )
    return Policy(
        patient=patient,
        profile=STRICT,
        implicit=ImplicitPolicy.DENY,
        consents=consents,
        has_decided=True,
    )


def _apply(then: ConsentsThen, event: Any) -> None:  # noqa: ANN401  any event
    match event:
        case ConsentGranted():
            own = then.setdefault(event.patient, {})
            if event.replaces is not msgspec.UNSET:
                own.pop(event.replaces, None)
            own[event.consent] = PastConsent(
                until_day=event.until_day, is_patients_own=not event.is_custodial
            )
        case ConsentNarrowed():
            then[event.patient][event.consent].restrictions[event.restriction] = None
        case ConsentLifted():
            then[event.patient][event.consent].restrictions.pop(event.restriction, None)
        case ConsentConfirmed():
            then[event.patient][event.consent].is_patients_own = True
        case ConsentWithdrawn():
            then[event.patient].pop(event.consent, None)
        case _:
            pass
