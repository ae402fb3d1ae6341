"""How strictly terms are read, and what holds where a patient has decided nothing.

The published examples of IHE PCF run under `PCF`; a network runs under `STRICT` unless its members vote
otherwise. Implicit policies are ordinary terms, so that the one algorithm applies them too.
"""

import enum
from typing import Final

import msgspec

from iamata.consent.labels import NORMAL, RESTRICTED, SENSITIVE
from iamata.consent.purposes import EMERGENCIES, TREATMENT
from iamata.consent.terms import Rule, Ruling, Terms
from iamata.model.instants import Instant

POLICY_URI: Final = "https://profiles.ihe.net/ITI/PCF/Policy-"
CLINICIANS: Final = "role:clinician"
EMERGENCY_STAFF: Final = "role:emergency"


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """The choices that a network makes once, for everybody."""

    name: str
    is_naming_needed: bool
    """Every sensitivity of a record must be named by the rule that releases it, and no label means N."""
    is_latest_of_policy: bool
    """A later consent to the same text ends the earlier one (PCF); else only the ledger ends a consent."""
    is_emergency_implicit: bool
    """Where no consent speaks of emergencies, the implicit policy does, though consents are on file."""


PCF: Final = Profile(
    name="pcf", is_naming_needed=False, is_latest_of_policy=True, is_emergency_implicit=False
)
STRICT: Final = Profile(
    name="strict", is_naming_needed=True, is_latest_of_policy=False, is_emergency_implicit=True
)


class ImplicitPolicy(enum.StrEnum):
    """What holds where a patient has no consent on file (IHE PCF 1:53.2.1)."""

    BASIC_NORMAL = "basic-normal"
    ALL_NORMAL = "all-normal"
    BREAK_GLASS_ONLY = "break-glass-only"
    DENY = "deny"
    OWN_CARE = "own-care"
    """What the custodian's own staff may read; it speaks beside every consent, and no vote chooses it."""


IMPLICIT_TERMS: Final = {
    ImplicitPolicy.BASIC_NORMAL: Terms(
        decision=Ruling.PERMIT,
        recipients=(CLINICIANS,),
        purposes=(TREATMENT,),
        labels=(NORMAL,),
        policy=POLICY_URI + "basic-normal",
        recorded_ms=Instant(0),
    ),
    ImplicitPolicy.ALL_NORMAL: Terms(
        decision=Ruling.PERMIT,
        labels=(NORMAL,),
        policy=POLICY_URI + "all-normal",
        recorded_ms=Instant(0),
    ),
    ImplicitPolicy.BREAK_GLASS_ONLY: Terms(
        decision=Ruling.DENY,
        policy=POLICY_URI + "break-glass-only",
        recorded_ms=Instant(0),
        exceptions=(
            Rule(
                decision=Ruling.PERMIT,
                recipients=(EMERGENCY_STAFF,),
                purposes=EMERGENCIES,
                labels=(NORMAL, RESTRICTED, *SENSITIVE),
            ),
        ),
    ),
    ImplicitPolicy.OWN_CARE: Terms(
        decision=Ruling.PERMIT,
        recipients=(CLINICIANS,),
        purposes=(TREATMENT, *EMERGENCIES),
        labels=(NORMAL, RESTRICTED, *SENSITIVE),
        policy=POLICY_URI + "own-care",
        recorded_ms=Instant(0),
    ),
    ImplicitPolicy.DENY: Terms(decision=Ruling.DENY, policy=POLICY_URI + "deny", recorded_ms=Instant(0)),
}
"""An emergency sees the sensitive too: a drug that must not be given may be in the psychiatric record."""
