"""References, codes, labels, periods and moments as a Consent spells them, and as terms do.

Members, persons and roles stand in references by identifier, since they are no resources of a server.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from iamata.consent.labels import CONFIDENTIALITY
from iamata.consent.terms import Span
from iamata.fhir import consent_shapes as shapes
from iamata.fhir.facts import parse_days
from iamata.model.instants import DAY_MAX, MS_PER_DAY, format_day, format_instant
from iamata.model.reasons import Reason, Refused, require

TERMINOLOGY: Final = "http://terminology.hl7.org/CodeSystem/"
ACT_REASON: Final = TERMINOLOGY + "v3-ActReason"
ACT_CODE: Final = TERMINOLOGY + "v3-ActCode"
CONFIDENTIALITY_SYSTEM: Final = TERMINOLOGY + "v3-Confidentiality"
RESOURCE_TYPES: Final = "http://hl7.org/fhir/resource-types"

_IDENTIFIED: Final = {"member": "Organization", "person": "Practitioner", "role": "Group"}
_OURS: Final = tuple(f"{kind}:" for kind in _IDENTIFIED)
_IDENTIFIER: Final = "urn:iamata:"
_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d))?", re.ASCII)
_DATE_LENGTH_MAX: Final = len("2022-06-13")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def read_reference(reference: shapes.Reference, path: str) -> str:
    """Read a literal reference, or a member, person or role by its identifier; never both."""
    require((reference.reference is None) != (reference.identifier is None), Reason.RESOURCE_INVALID, path)
    if reference.identifier is None:
        require(not str(reference.reference).startswith(_OURS), Reason.RESOURCE_INVALID, path)
        return str(reference.reference)
    kind = reference.identifier.system.removeprefix(_IDENTIFIER)
    require(kind in _IDENTIFIED, Reason.RESOURCE_INVALID, f"{path}.identifier.system")
    return f"{kind}:{reference.identifier.value}"


def write_reference(reference: str) -> dict[str, object]:
    """Write a reference, by identifier where it names a member, a person or a role."""
    kind, _, value = reference.partition(":")
    if kind not in _IDENTIFIED:
        return {"reference": reference}
    return {"type": _IDENTIFIED[kind], "identifier": {"system": _IDENTIFIER + kind, "value": value}}


def read_code(coding: shapes.Coding, implied: str) -> str:
    """Read a code; the system that its element implies is left out."""
    return coding.code if coding.system == implied else spell(coding)


def spell(coding: shapes.Coding) -> str:
    """Spell a coding as its system, a bar and the code."""
    return f"{coding.system}|{coding.code}"


def read_label(coding: shapes.Coding, path: str) -> str:
    """Read a label of the two systems that PCF names; one letter must not mean two things."""
    system = CONFIDENTIALITY_SYSTEM if coding.code in CONFIDENTIALITY else ACT_CODE
    require(coding.system == system and "|" not in coding.code, Reason.RESOURCE_INVALID, path)
    return coding.code


def write_label(label: str) -> dict[str, object]:
    """Write a label with the system that it belongs to."""
    require("|" not in label, Reason.RESOURCE_INVALID, "provision.securityLabel")
    return {"system": CONFIDENTIALITY_SYSTEM if label in CONFIDENTIALITY else ACT_CODE, "code": label}


def write_code(code: str, implied: str | None) -> dict[str, object]:
    """Write a code with its system, or with the one that its element implies."""
    system, bar, bare = code.rpartition("|")
    require(not bar or system != implied, Reason.RESOURCE_INVALID, "a code with the system that is implied")
    return {"system": system or str(implied), "code": bare}


def read_class(coding: shapes.Coding, path: str) -> str:
    """Read a resource type."""
    require(coding.system == RESOURCE_TYPES, Reason.RESOURCE_INVALID, path)
    return coding.code


def read_period(period: shapes.Period, path: str) -> dict[str, int]:
    """Read a period as whole days; FHIR's end includes all of the day, month or year that it names."""
    days = {}
    for name, text, end in (("first", period.start, 0), ("last", period.end, 1)):
        if text is not None:
            spread = parse_days(text) if len(text) <= _DATE_LENGTH_MAX else None
            require(spread is not None, Reason.RESOURCE_INVALID, path)
            if spread is not None:
                days[name] = spread[end]
    return days


def write_period(period: Span) -> dict[str, str]:
    """Write a period by its first and its last day."""
    days = (("start", period.first), ("end", period.last))
    return {name: format_day(day) for name, day in days if day is not None}


def read_instant(text: str) -> int:
    """Read the moment of the ceremony; a bare date is its first millisecond in UTC."""
    require(_INSTANT.fullmatch(text) is not None, Reason.RESOURCE_INVALID, "dateTime")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise Refused(Reason.RESOURCE_INVALID, "dateTime") from error
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def write_instant(instant_ms: int) -> str:
    """Write a moment; a date beyond our calendar is refused."""
    require(instant_ms // MS_PER_DAY <= DAY_MAX, Reason.RESOURCE_INVALID, "dateTime")
    return format_instant(instant_ms)
