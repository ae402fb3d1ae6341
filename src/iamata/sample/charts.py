"""A chart: one patient's record at one hospital, to which resources are added one after another."""

from typing import Final

from iamata.sample.chance import compute_uuid
from iamata.sample.codes import AMBULATORY, EMERGENCY, META, SNOMED, Json, Reference, make_concept
from iamata.sample.demographics import Person
from iamata.sample.hospitals import Hospital
from iamata.sample.illnesses import Medicine
from iamata.sample.resources import Occasion, format_minute, make_encounter, make_patient, make_prescription
from iamata.sample.visits import Kind, Visit

_MINUTES: Final = {Kind.CHECK_UP: 30, Kind.FOLLOW_UP: 20, Kind.EPISODE: 15, Kind.EMERGENCY: 180}
_KINDS: Final = {
    Kind.CHECK_UP: make_concept(SNOMED, "162673000", "General examination of patient (procedure)"),
    Kind.FOLLOW_UP: make_concept(SNOMED, "390906007", "Follow-up encounter (procedure)"),
    Kind.EPISODE: make_concept(SNOMED, "185345009", "Encounter for symptom (procedure)"),
    Kind.EMERGENCY: make_concept(SNOMED, "50849002", "Emergency room admission (procedure)"),
}


class Chart:
    """Own the resources written so far, what has been recorded, and what is being taken."""

    def __init__(self, person: Person, *, seed: int, index: int, hospital: Hospital) -> None:
        self.resources: list[Json] = []
        self.recorded: dict[str, Reference] = {}
        """The Condition of each lasting illness that this hospital knows."""
        self._path = (seed, index, hospital.number)
        self._hospital = hospital
        self._taken: dict[str, Json] = {}
        number = compute_uuid(seed, index, hospital.number, "number")[:13]
        self._patient = self.add(
            "Patient",
            make_patient(
                person,
                number_system=hospital.patient_numbers,
                number=number,
                organization=hospital.organization,
            ),
        )
        self._practitioner = hospital.practitioners[index % len(hospital.practitioners)]

    def add(self, resource_type: str, elements: Json) -> Reference:
        """Add a resource under an id of its own and refer to it."""
        resource_id = compute_uuid(*self._path, len(self.resources))
        self.resources.append({"resourceType": resource_type, "id": resource_id, "meta": META} | elements)
        return {"reference": f"{resource_type}/{resource_id}"}

    def open_visit(self, visit: Visit) -> Occasion:
        """Add the Encounter of a visit."""
        start = format_minute(visit.day, visit.minute)
        encounter = make_encounter(
            patient=self._patient,
            practitioner=self._practitioner,
            organization=self._hospital.organization,
            kind=_KINDS[visit.kind],
            place=EMERGENCY if visit.kind is Kind.EMERGENCY else AMBULATORY,
            period=(start, format_minute(visit.day, visit.minute + _MINUTES[visit.kind])),
        )
        return Occasion(
            day=visit.day,
            at=start,
            patient=self._patient,
            practitioner=self._practitioner,
            encounter=self.add("Encounter", encounter),
        )

    def prescribe(
        self, occasion: Occasion, name: str, medicine: Medicine, *, reason: Reference | None
    ) -> None:
        """Prescribe a medicine for good; the prescription that it renews is complete."""
        if (previous := self._taken.get(name)) is not None:
            previous["status"] = "completed"
        self.add(
            "MedicationRequest",
            make_prescription(occasion, medicine=medicine, status="active", reason=reason),
        )
        self._taken[name] = self.resources[-1]
