"""What became of the consents by which patients take part in a study, as far as their custodian knows.

The ledger says which consent was withdrawn, replaced or has expired; what another one permits, its opening.
"""

import enum
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from iamata.learning.protocols import Protocol
from iamata.ledger.entries import ConsentStatus, Study
from iamata.ledger.events import ConsentGranted
from iamata.ledger.leaves import Leaf
from iamata.ledger.tables import CONSENTS, PATIENTS
from iamata.model.ids import ConsentId
from iamata.model.instants import Instant, compute_day
from iamata.model.reasons import Reason, Refused
from iamata.ports import LedgerView
from iamata.vault.custody import Custody
from iamata.vault.policies import read_policy
from iamata.workflows.datasets import decide_taking_part, is_as_before
from iamata.workflows.frozen_tables import Participant


class Change(enum.StrEnum):
    """What became of a consent since a dataset was made on it."""

    WITHDRAWN = "withdrawn since"
    """Or replaced, and what took its place withdrawn."""
    EXPIRED = "expired since"
    NARROWED = "narrowed since, in what the study asks for"
    STILL_PERMITTED = "replaced since, by one that permits the study"
    NO_LONGER_PERMITTED = "replaced since, by one that does not permit the study"
    UNKNOWN = "denied now, for changed terms are not held here"


def list_successors(leaves: Iterable[Leaf]) -> dict[ConsentId, ConsentId]:
    """Map each consent that was ever replaced to the one in its place."""
    found: dict[ConsentId, ConsentId] = {}
    for leaf in leaves:
        event: Any = leaf.event
        if isinstance(event, ConsentGranted) and event.replaces is not msgspec.UNSET:
            found[event.replaces] = event.consent
    return found


def find_change(  # noqa: PLR0913  whose consent, to what, and as of when
    view: LedgerView,
    custody: Custody,
    study: Study,
    protocol: Protocol,
    one: Participant,
    *,
    successors: Mapping[ConsentId, ConsentId],
    at_ms: Instant,
) -> Change | None:
    """Find what became of the consent by which a patient takes part, None where it stands as it did."""
    latest = one.consent
    while latest in successors:
        latest = successors[latest]
    consent, patient = CONSENTS.find(view, latest), PATIENTS.find(view, one.patient)
    if consent is None or patient is None:
        raise Refused(Reason.HOME_CORRUPT, "the ledger misses what a dataset names")
    if consent.status is ConsentStatus.WITHDRAWN:
        return Change.WITHDRAWN
    day = compute_day(at_ms)
    if consent.until_day < day:
        return Change.EXPIRED
    policy = read_policy(view, custody, one.patient, patient, day=day)
    if policy.is_opening_missing:
        return Change.UNKNOWN
    agreed = decide_taking_part(policy, study, protocol, at_ms=at_ms)
    if latest != one.consent:
        return Change.NO_LONGER_PERMITTED if agreed is None else Change.STILL_PERMITTED
    return Change.NARROWED if agreed is None or not is_as_before(custody, agreed, one) else None
