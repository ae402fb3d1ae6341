"""The hospitals of a sample: an Organization and a few Practitioners each, made up like the patients."""

from dataclasses import dataclass
from typing import Final

from iamata.sample.chance import compute_uuid, make_random
from iamata.sample.codes import META, PROVIDER, Json, Reference
from iamata.sample.names import PLACES, STREETS, draw_family, draw_given
from iamata.sample.resources import make_address

PRACTITIONERS: Final = 8
"""At each hospital."""

_SAINTS: Final = ("Asclepius", "Hygieia", "Panacea", "Iaso", "Aceso", "Epione", "Machaon", "Podalirius")
_NUMBER_ROOT: Final = "https://iamata.example/fhir/"


@dataclass(frozen=True, slots=True)
class Hospital:
    """A made-up hospital; `resources` describe it and come before any patient."""

    number: int
    base: str
    """The address of its imagined FHIR server."""
    organization: Reference
    practitioners: tuple[Reference, ...]
    resources: tuple[Json, ...]

    @property
    def patient_numbers(self) -> str:
        """The naming system of its patients' record numbers."""
        return f"{self.base}/patient-number"


def make_hospital(seed: int, number: int) -> Hospital:
    """Make a hospital from its number, the same however many there are."""
    base = f"https://hospital-{number}.iamata.example/fhir"
    organization = _make_organization(seed, number)
    doctors = tuple(_make_practitioner(seed, number, doctor) for doctor in range(1, PRACTITIONERS + 1))
    return Hospital(
        number=number,
        base=base,
        organization=_refer(organization),
        practitioners=tuple(map(_refer, doctors)),
        resources=(organization, *doctors),
    )


def _make_organization(seed: int, number: int) -> Json:
    random = make_random(seed, "hospital", number)
    saint = _SAINTS[(number - 1) % len(_SAINTS)]
    city, postcode = random.choice(PLACES)
    return {
        "resourceType": "Organization",
        "id": compute_uuid(seed, "hospital", number),
        "meta": META,
        "identifier": [{"system": f"{_NUMBER_ROOT}hospital-number", "value": str(number)}],
        "active": True,
        "type": [PROVIDER],
        "name": f"{saint} Hospital {number} (synthetic)",
        "address": [make_address(f"1 {random.choice(STREETS)}", city, postcode)],
    }


def _make_practitioner(seed: int, hospital: int, doctor: int) -> Json:
    random = make_random(seed, "doctor", hospital, doctor)
    is_male = random.choice((True, False))
    return {
        "resourceType": "Practitioner",
        "id": compute_uuid(seed, "doctor", hospital, doctor),
        "meta": META,
        "identifier": [{"system": f"{_NUMBER_ROOT}practitioner-number", "value": f"{hospital}-{doctor}"}],
        "active": True,
        "name": [
            {
                "family": draw_family(random),
                "given": [draw_given(random, is_male=is_male)],
                "prefix": ["Dr"],
            }
        ],
        "gender": "male" if is_male else "female",
    }


def _refer(resource: Json) -> Reference:
    return {"reference": f"{resource['resourceType']}/{resource['id']}"}
