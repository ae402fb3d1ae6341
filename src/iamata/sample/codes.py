"""The words of the terminologies that the sample speaks, as FHIR R4 spells them.

Built once and shared by all resources that use them: whoever takes a resource must not write into it.
"""

from typing import Final, TypeAlias

Json: TypeAlias = "dict[str, object]"
Reference: TypeAlias = dict[str, str]

SNOMED: Final = "http://snomed.info/sct"
LOINC: Final = "http://loinc.org"
UCUM: Final = "http://unitsofmeasure.org"
RXNORM: Final = "http://www.nlm.nih.gov/research/umls/rxnorm"
ATC: Final = "http://www.whocc.no/atc"
HGNC: Final = "http://www.genenames.org/geneId"

_HL7: Final = "http://terminology.hl7.org/CodeSystem/"


def make_concept(system: str, code: str, display: str) -> Json:
    """Make a CodeableConcept of one coding."""
    return {"coding": [{"system": system, "code": code, "display": display}], "text": display}


def _make_category(table: str, code: str, display: str) -> list[Json]:
    return [{"coding": [{"system": _HL7 + table, "code": code, "display": display}]}]


def _make_status(table: str, code: str) -> Json:
    return {"coding": [{"system": _HL7 + table, "code": code}]}


SYNTHETIC: Final[Json] = {
    "system": "https://iamata.example/fhir/tags",
    "code": "synthetic",
    "display": "Synthetic data, not a real person",
}
META: Final[Json] = {"tag": [SYNTHETIC]}
"""What every resource and bundle of the sample carries."""

VITAL_SIGNS: Final = _make_category("observation-category", "vital-signs", "Vital Signs")
LABORATORY: Final = _make_category("observation-category", "laboratory", "Laboratory")
SURVEY: Final = _make_category("observation-category", "survey", "Survey")
SOCIAL_HISTORY: Final = _make_category("observation-category", "social-history", "Social History")

CONDITION_CATEGORY: Final = _make_category(
    "condition-category", "encounter-diagnosis", "Encounter Diagnosis"
)
CONDITION_ACTIVE: Final = _make_status("condition-clinical", "active")
CONDITION_RESOLVED: Final = _make_status("condition-clinical", "resolved")
CONDITION_CONFIRMED: Final = _make_status("condition-ver-status", "confirmed")
ALLERGY_ACTIVE: Final = _make_status("allergyintolerance-clinical", "active")
ALLERGY_CONFIRMED: Final = _make_status("allergyintolerance-verification", "confirmed")

AMBULATORY: Final[Json] = {"system": _HL7 + "v3-ActCode", "code": "AMB", "display": "ambulatory"}
EMERGENCY: Final[Json] = {"system": _HL7 + "v3-ActCode", "code": "EMER", "display": "emergency"}
PERFORMER: Final = [_make_status("v3-ParticipationType", "PPRF")]
FATHER: Final = make_concept(_HL7 + "v3-RoleCode", "FTH", "father")
MOTHER: Final = make_concept(_HL7 + "v3-RoleCode", "MTH", "mother")
PROVIDER: Final = make_concept(_HL7 + "organization-type", "prov", "Healthcare Provider")
RECORD_NUMBER: Final = make_concept(_HL7 + "v2-0203", "MR", "Medical record number")

NEGATIVE: Final = make_concept(SNOMED, "260385009", "Negative (qualifier value)")
POSITIVE: Final = make_concept(SNOMED, "10828004", "Positive (qualifier value)")
PRESENT: Final = make_concept(LOINC, "LA9633-4", "Present")
ABSENT: Final = make_concept(LOINC, "LA9634-2", "Absent")
