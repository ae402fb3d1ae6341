"""The words of a consent on the command line, as terms: from options, or from a FHIR Consent in a file."""

from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer

from iamata.consent.terms import TERMS_BYTES_MAX, Period, Rule, Ruling, Terms, decode_terms
from iamata.engines.embedded.engine import read_clock_ms
from iamata.fhir.consents import Ceremony, read_consent, write_consent
from iamata.model.canonical import encode_struct
from iamata.model.instants import Day, Instant, compute_day
from iamata.model.reasons import Reason, Refused, require
from iamata.workflows.wallets import Identity, KeptTerms

POLICY: Final = "urn:iamata:consent:1"
DAYS: Final = 365
CONSENT_FILE_BYTES_MAX: Final = 4 * TERMS_BYTES_MAX

LabelsOption = Annotated[
    list[str] | None,
    typer.Option("--label", metavar="CODE", help="Data labelled so: N (ordinary), R, PSY, HIV, …"),
]
ExceptOption = Annotated[
    list[str] | None, typer.Option("--except-label", metavar="CODE", help="But nothing with this label.")
]
PurposesOption = Annotated[
    list[str] | None, typer.Option("--purpose", metavar="CODE", help="What for: TREAT, HRESCH, …")
]
RecipientsOption = Annotated[
    list[str] | None, typer.Option("--to", metavar="WHOM", help="member:ID, person:ID or role:NAME.")
]


def write_permit(
    recipients: list[str] | None,
    purposes: list[str] | None,
    labels: list[str] | None,
    except_labels: list[str] | None,
    *,
    until_day: Day | None,
) -> Terms:
    """Put a permit into terms; whom and what for must be said, or it would be everybody and anything."""
    require(bool(recipients), Reason.INPUT_INVALID, "say whom with --to, such as --to member:ID")
    require(bool(purposes), Reason.INPUT_INVALID, "say what for with --purpose, such as --purpose TREAT")
    last = Day(compute_day(read_clock_ms()) + DAYS) if until_day is None else until_day
    exception = Rule(decision=Ruling.DENY, labels=tuple(except_labels or ()))
    return _check(
        Terms(
            decision=Ruling.PERMIT,
            recipients=tuple(recipients or ()),
            purposes=tuple(purposes or ()),
            labels=tuple(labels or ("N",)),
            validity=Period(last=last),
            recorded_ms=Instant(read_clock_ms()),
            policy=POLICY,
            exceptions=(exception,) if except_labels else (),
        )
    )


def write_denial(
    recipients: list[str] | None, purposes: list[str] | None, labels: list[str] | None
) -> Terms:
    """Put a denial into terms; what is left open means all of it."""
    return _check(
        Terms(
            decision=Ruling.DENY,
            recipients=tuple(recipients or ()),
            purposes=tuple(purposes or ()),
            labels=tuple(labels or ()),
            recorded_ms=Instant(read_clock_ms()),
            policy=POLICY,
        )
    )


def read_terms_file(path: Path) -> Terms:
    """Read the terms of a FHIR Consent (IHE PCF) in a file."""
    try:
        with path.open("rb") as file:
            raw = file.read(CONSENT_FILE_BYTES_MAX + 1)
    except (FileNotFoundError, IsADirectoryError) as error:
        raise Refused(Reason.FILE_NOT_FOUND, str(path)) from error
    require(len(raw) <= CONSENT_FILE_BYTES_MAX, Reason.INPUT_TOO_LARGE, str(path))
    try:
        resource = msgspec.json.decode(raw, type=dict[str, Any])
    except (ValueError, RecursionError) as error:
        raise Refused(Reason.RESOURCE_INVALID, f"{path} holds no JSON object") from error
    return _check(read_consent(resource))


def spell_fhir(kept: KeptTerms, identity: Identity) -> dict[str, object]:
    """Write a consent as the patient's own FHIR Consent (IHE PCF)."""
    patient = f"Patient/{kept.patient}"
    ceremony = Ceremony(
        consent=kept.consent,
        patient=patient,
        performers=(patient,),
        custodians=(f"member:{identity.member}",),
        evidence=f"urn:iamata:consent:{kept.consent}",
    )
    return write_consent(kept.terms, ceremony)


def _check(terms: Terms) -> Terms:
    """Refuse words that mean nothing: terms must read back from their own bytes."""
    try:
        return decode_terms(encode_struct(terms))
    except Refused as refused:
        raise Refused(Reason.INPUT_INVALID, "a recipient, purpose or label is misspelt") from refused
