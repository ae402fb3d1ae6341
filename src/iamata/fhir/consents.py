"""Terms as FHIR R4 Consent (IHE PCF 1.1, declared superset: `class` and `code`), and back.

What PCF forbids or terms cannot hold is refused, never dropped: a consent that we understood by half
would be enforced by half.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Final, TypeVar

import msgspec

from iamata.consent.terms import Recipient, Rule, Terms
from iamata.fhir import consent_shapes as shapes
from iamata.fhir.consent_elements import (
    ACT_REASON,
    RESOURCE_TYPES,
    TERMINOLOGY,
    read_class,
    read_code,
    read_instant,
    read_label,
    read_period,
    read_reference,
    spell,
    write_code,
    write_instant,
    write_label,
    write_period,
    write_reference,
)
from iamata.fhir.consent_shapes import ConsentShape
from iamata.model.reasons import Reason, Refused, require

SCOPE_SYSTEM: Final = TERMINOLOGY + "consentscope"
PARTICIPATION: Final = TERMINOLOGY + "v3-ParticipationType"
PROFILE: Final = "https://profiles.ihe.net/ITI/PCF/StructureDefinition/IHE.PCF.consent"

_CATEGORY: Final = {"system": "http://loinc.org", "code": "59284-0"}
_PATH: Final = re.compile(r"at `\$\.?([^`]*)`")

_Shape = TypeVar("_Shape")


class Ceremony(msgspec.Struct, frozen=True, kw_only=True):
    """What stands in a Consent around its terms: who signed what, before whom."""

    consent: str
    patient: Recipient
    performers: Annotated[tuple[Recipient, ...], msgspec.Meta(min_length=1)]
    """The patient, or who may speak for the patient."""
    custodians: Annotated[tuple[Recipient, ...], msgspec.Meta(min_length=1)]
    evidence: Recipient
    """The signed paper or file."""


def read_consent(resource: Mapping[str, object]) -> Terms:
    """Read the terms of an active Consent, or refuse it with the place that is at fault."""
    consent = parse_consent(resource)
    _require_only(consent.scope, SCOPE_SYSTEM, "patient-privacy", "scope")
    elements = {
        **_read_rule(consent.provision, "provision"),
        "exceptions": [
            _read_rule(exception, f"provision.provision[{index}]")
            for index, exception in enumerate(consent.provision.provision)
        ],
        "policy": consent.policy[0].uri,
        "recorded_ms": read_instant(consent.dateTime),
    }
    return _convert(elements, Terms)


def read_ceremony(resource: Mapping[str, object]) -> Ceremony:
    """Read what stands around the terms of an active Consent, or refuse it."""
    consent = parse_consent(resource)
    elements = {
        "consent": consent.id,
        "patient": read_reference(consent.patient, "patient"),
        "performers": [read_reference(each, "performer") for each in consent.performer],
        "custodians": [read_reference(each, "organization") for each in consent.organization],
        "evidence": read_reference(consent.sourceReference, "sourceReference"),
    }
    return _convert(elements, Ceremony)


def write_consent(terms: Terms, ceremony: Ceremony) -> dict[str, object]:
    """Write terms as an active Consent."""
    resource: dict[str, object] = {"resourceType": "Consent", "id": ceremony.consent}
    if (profile := find_profile(terms)) is not None:
        resource["meta"] = {"profile": [profile]}
    provision = _write_rule(terms)
    if terms.exceptions:
        provision["provision"] = [_write_rule(exception) for exception in terms.exceptions]
    return resource | {
        "status": "active",
        "scope": {"coding": [{"system": SCOPE_SYSTEM, "code": "patient-privacy"}]},
        "category": [{"coding": [dict(_CATEGORY)]}],
        "patient": write_reference(ceremony.patient),
        "dateTime": write_instant(terms.recorded_ms),
        "performer": [write_reference(performer) for performer in ceremony.performers],
        "organization": [write_reference(custodian) for custodian in ceremony.custodians],
        "sourceReference": write_reference(ceremony.evidence),
        "policy": [{"uri": terms.policy}],
        "provision": provision,
    }


def parse_consent(resource: Mapping[str, object]) -> ConsentShape:
    """Check a resource against PCF's constraints."""
    return _convert(resource, ConsentShape)


def find_profile(terms: Terms) -> str | None:
    """Find the least PCF profile that holds the terms; None where only our superset does."""
    rules = (terms, *terms.exceptions)
    if any(rule.classes or rule.codes for rule in rules):
        return None
    if any(rule.labels for rule in rules):
        return PROFILE + "Advanced"
    has_data = bool(terms.data) or not terms.data_period.is_unbounded
    is_basic = not (terms.recipients or has_data or terms.exceptions)
    return PROFILE + ("Basic" if is_basic else "Intermediate")


def _read_rule(provision: shapes.ExceptionShape, path: str) -> dict[str, object]:
    """Translate one provision into the elements of a rule."""
    for index, actor in enumerate(provision.actor):
        _require_only(actor.role, PARTICIPATION, "IRCP", f"{path}.actor[{index}].role")
    return {
        "decision": provision.type,
        "recipients": [read_reference(actor.reference, f"{path}.actor") for actor in provision.actor],
        "purposes": [read_code(coding, ACT_REASON) for coding in provision.purpose],
        "classes": [read_class(coding, f"{path}.class") for coding in provision.class_],
        "labels": [read_label(coding, f"{path}.securityLabel") for coding in provision.securityLabel],
        "codes": [spell(coding) for concept in provision.code for coding in concept.coding],
        "data": [
            {"meaning": data.meaning, "reference": read_reference(data.reference, f"{path}.data")}
            for data in provision.data
        ],
        "data_period": read_period(provision.dataPeriod, f"{path}.dataPeriod"),
        "validity": read_period(provision.period, f"{path}.period"),
    }


def _write_rule(rule: Rule) -> dict[str, object]:
    elements: dict[str, object] = {
        "type": rule.decision.value,
        "period": write_period(rule.validity),
        "actor": [_write_actor(recipient) for recipient in rule.recipients],
        "securityLabel": [write_label(label) for label in rule.labels],
        "purpose": [write_code(purpose, ACT_REASON) for purpose in rule.purposes],
        "class": [{"system": RESOURCE_TYPES, "code": each} for each in rule.classes],
        "code": [{"coding": [write_code(code, None)]} for code in rule.codes],
        "dataPeriod": write_period(rule.data_period),
        "data": [
            {"meaning": selector.meaning.value, "reference": write_reference(selector.reference)}
            for selector in rule.data
        ],
    }
    return {name: element for name, element in elements.items() if element}


def _write_actor(recipient: str) -> dict[str, object]:
    role = {"coding": [{"system": PARTICIPATION, "code": "IRCP"}]}
    return {"role": role, "reference": write_reference(recipient)}


def _require_only(concept: shapes.Concept, system: str, code: str, path: str) -> None:
    """Refuse a concept that is, or is also, anything but one code."""
    codes = [(coding.system, coding.code) for coding in concept.coding]
    require(codes == [(system, code)], Reason.RESOURCE_INVALID, path)


def _convert(value: object, into: type[_Shape]) -> _Shape:
    """Check a value against a type; the refusal names the place and never the value."""
    try:
        return msgspec.convert(value, into, strict=True)
    except (ValueError, RecursionError) as error:
        found = _PATH.search(str(error))
        raise Refused(Reason.RESOURCE_INVALID, found.group(1) if found else into.__name__) from error
    except Refused as error:
        raise Refused(Reason.RESOURCE_INVALID, error.detail) from error
