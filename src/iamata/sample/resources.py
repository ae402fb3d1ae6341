"""FHIR R4 resources as plain dicts, one function a type: elements only, the chart adds type, id and tag.

Required elements and value sets follow R4 (4.0.1). Constant parts are shared between resources.
"""

from dataclasses import dataclass
from typing import Final

from iamata.model.instants import format_day
from iamata.sample import codes
from iamata.sample.codes import Json, Reference
from iamata.sample.demographics import Person
from iamata.sample.illnesses import Medicine
from iamata.sample.measures import BLOOD_PRESSURE, Reading, make_quantity
from iamata.sample.names import COUNTRY

_HOUR_MINUTES: Final = 60


@dataclass(frozen=True, slots=True)
class Occasion:
    """What every entry made during one visit has in common."""

    day: int
    at: str
    patient: Reference
    practitioner: Reference
    encounter: Reference


def format_minute(day: int, minute: int) -> str:
    """Write a minute of a UTC day as a FHIR dateTime."""
    return f"{format_day(day)}T{minute // _HOUR_MINUTES:02}:{minute % _HOUR_MINUTES:02}:00Z"


def make_patient(person: Person, *, number_system: str, number: str, organization: Reference) -> Json:
    """Make a Patient as one hospital knows it: the number is the hospital's, the person is the same."""
    return {
        "identifier": [{"type": codes.RECORD_NUMBER, "system": number_system, "value": number}],
        "active": True,
        "name": [{"use": "official", "family": person.family, "given": [person.given]}],
        "gender": "male" if person.is_male else "female",
        "birthDate": format_day(person.birth_day),
        "address": [make_address(person.street, person.city, person.postcode)],
        "managingOrganization": organization,
    }


def make_address(street: str, city: str, postcode: str) -> Json:
    """Make an Address in no country."""
    return {"line": [street], "city": city, "postalCode": postcode, "country": COUNTRY}


def make_encounter(  # noqa: PLR0913  an encounter's elements
    *,
    patient: Reference,
    practitioner: Reference,
    organization: Reference,
    kind: Json,
    place: Json,
    period: tuple[str, str],
) -> Json:
    """Make an Encounter that is over."""
    start, end = period
    return {
        "status": "finished",
        "class": place,
        "type": [kind],
        "subject": patient,
        "participant": [{"type": codes.PERFORMER, "individual": practitioner}],
        "period": {"start": start, "end": end},
        "serviceProvider": organization,
    }


def make_observation(occasion: Occasion, reading: Reading) -> Json:
    """Make an Observation of one quantity."""
    measure = reading.measure
    return _observe(occasion, measure.category, measure.code) | {"valueQuantity": make_quantity(reading)}


def make_finding(occasion: Occasion, *, category: list[Json], code: Json, value: Json) -> Json:
    """Make an Observation whose value is a word."""
    return _observe(occasion, category, code) | {"valueCodeableConcept": value}


def make_panel(occasion: Occasion, *, category: list[Json], code: Json, components: list[Json]) -> Json:
    """Make an Observation that has only parts."""
    return _observe(occasion, category, code) | {"component": components}


def make_pressure(occasion: Occasion, readings: tuple[Reading, Reading]) -> Json:
    """Make the blood pressure panel of the vital-signs profile."""
    return make_panel(
        occasion,
        category=codes.VITAL_SIGNS,
        code=BLOOD_PRESSURE,
        components=[_make_component(reading) for reading in readings],
    )


def make_condition(
    occasion: Occasion, *, code: Json, onset_day: int, abated_day: int | None = None
) -> Json:
    """Make a Condition; one that has an end is resolved."""
    condition: Json = {
        "clinicalStatus": codes.CONDITION_ACTIVE if abated_day is None else codes.CONDITION_RESOLVED,
        "verificationStatus": codes.CONDITION_CONFIRMED,
        "category": codes.CONDITION_CATEGORY,
        "code": code,
        "subject": occasion.patient,
        "encounter": occasion.encounter,
        "onsetDateTime": format_day(onset_day),
        "recordedDate": occasion.at,
    }
    return condition if abated_day is None else condition | {"abatementDateTime": format_day(abated_day)}


def make_prescription(
    occasion: Occasion, *, medicine: Medicine, status: str, reason: Reference | None
) -> Json:
    """Make a MedicationRequest."""
    prescription: Json = {
        "status": status,
        "intent": "order",
        "medicationCodeableConcept": medicine.code,
        "subject": occasion.patient,
        "encounter": occasion.encounter,
        "authoredOn": occasion.at,
        "requester": occasion.practitioner,
        "dosageInstruction": [{"text": medicine.dosage}],
    }
    return prescription if reason is None else prescription | {"reasonReference": [reason]}


def make_procedure(occasion: Occasion, *, code: Json) -> Json:
    """Make a Procedure that was done during the visit."""
    return {
        "status": "completed",
        "code": code,
        "subject": occasion.patient,
        "encounter": occasion.encounter,
        "performedDateTime": occasion.at,
        "performer": [{"actor": occasion.practitioner}],
    }


def make_allergy(occasion: Occasion, *, code: Json, category: str) -> Json:
    """Make an AllergyIntolerance."""
    return {
        "clinicalStatus": codes.ALLERGY_ACTIVE,
        "verificationStatus": codes.ALLERGY_CONFIRMED,
        "type": "allergy",
        "category": [category],
        "code": code,
        "patient": occasion.patient,
        "recordedDate": occasion.at,
    }


def make_family_member(occasion: Occasion, *, relationship: Json, illnesses: list[Json]) -> Json:
    """Make a FamilyMemberHistory; no illness is a statement too."""
    member: Json = {
        "status": "completed",
        "patient": occasion.patient,
        "date": occasion.at,
        "relationship": relationship,
    }
    return member | {"condition": [{"code": code} for code in illnesses]} if illnesses else member


def _make_component(reading: Reading) -> Json:
    return {"code": reading.measure.code, "valueQuantity": make_quantity(reading)}


def _observe(occasion: Occasion, category: list[Json], code: Json) -> Json:
    return {
        "status": "final",
        "category": category,
        "code": code,
        "subject": occasion.patient,
        "encounter": occasion.encounter,
        "effectiveDateTime": occasion.at,
    }
