"""Generate a sample as a stream: first what each hospital is, then patient by patient, forgetting each.

The stream for fewer patients is the beginning of the stream for more. The number of hospitals and the
overlap decide who is known where, and change nothing in anybody's life; so do the years, up to chance.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import msgspec

from iamata.model.reasons import Reason, require
from iamata.sample.attacks import find_attack_day
from iamata.sample.chance import make_random
from iamata.sample.charting import Seen, write_chart
from iamata.sample.codes import META, Json
from iamata.sample.hospitals import Hospital, make_hospital
from iamata.sample.lives import Life, draw_life
from iamata.sample.visits import assign_visits, draw_hospitals, draw_visits, follow_attack

SEED_MAX: Final = 2**53 - 1
PATIENTS_MAX: Final = 10_000_000
HOSPITALS_MAX: Final = 16
YEARS_MAX: Final = 60
PERCENT_MAX: Final = 100

DEFAULT_HOSPITALS: Final = 3
DEFAULT_YEARS: Final = 7
DEFAULT_OVERLAP_PERCENT: Final = 25

NO_TURN: Final = -1
"""Of a visit that was not drawn with the others."""

_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")


@dataclass(frozen=True, slots=True)
class Part:
    """What one hospital has about one patient, or about itself where `patient` is None."""

    hospital: Hospital
    patient: int | None
    """The patient's place in the sample: equal at two hospitals for the same person."""
    resources: tuple[Json, ...]
    """Shared in part with other resources: read them, never write into them."""

    @property
    def name(self) -> str:
        """A name for the part within its hospital."""
        return "information" if self.patient is None else f"patient-{self.patient:07}"

    def make_bundle(self) -> Json:
        """Make the FHIR transaction that creates the resources, or updates them when sent again."""
        entries = [_make_entry(self.hospital.base, resource) for resource in self.resources]
        return {"resourceType": "Bundle", "meta": META, "type": "transaction", "entry": entries}

    def encode_bundle(self) -> bytes:
        """Write the bundle as JSON on one line, without a line end."""
        return _ENCODER.encode(self.make_bundle())


def encode_resource(resource: Json) -> bytes:
    """Write one resource as JSON on one line, without a line end; decimals keep their places."""
    return _ENCODER.encode(resource)


def generate(
    seed: int,
    patients: int,
    hospitals: int = DEFAULT_HOSPITALS,
    *,
    years: int = DEFAULT_YEARS,
    overlap_percent: int = DEFAULT_OVERLAP_PERCENT,
) -> Iterator[Part]:
    """Stream a sample; refuse at once what is beyond its limits."""
    require(0 <= seed <= SEED_MAX, Reason.INPUT_INVALID, f"seed must be 0 to {SEED_MAX}")
    require(1 <= patients <= PATIENTS_MAX, Reason.INPUT_INVALID, f"patients must be 1 to {PATIENTS_MAX}")
    require(
        1 <= hospitals <= HOSPITALS_MAX, Reason.INPUT_INVALID, f"hospitals must be 1 to {HOSPITALS_MAX}"
    )
    require(1 <= years <= YEARS_MAX, Reason.INPUT_INVALID, f"years must be 1 to {YEARS_MAX}")
    require(0 <= overlap_percent <= PERCENT_MAX, Reason.INPUT_INVALID, "overlap must be 0 to 100 percent")
    return _stream(seed, patients, hospitals, years, overlap_percent)


def _stream(seed: int, patients: int, hospitals: int, years: int, overlap_percent: int) -> Iterator[Part]:
    houses = {number: make_hospital(seed, number) for number in range(1, hospitals + 1)}
    for house in houses.values():
        yield Part(house, None, house.resources)
    for index in range(patients):
        life = draw_life(seed, index)
        visits = draw_visits(make_random(seed, index, "visits"), life, years=years)
        random = make_random(seed, index, "hospitals")
        known_at = draw_hospitals(random, hospitals=hospitals, overlap_percent=overlap_percent)
        places = assign_visits(random, visits, known_at)
        for number in known_at:
            seen = [Seen(turn, visit) for turn, visit in enumerate(visits) if places[turn] == number]
            seen += _see_attack(seed, index, life, number, is_home=number == known_at[0])
            seen.sort(key=lambda one: (one.visit.day, one.visit.minute))
            chart = write_chart(life, seen, seed=seed, index=index, hospital=houses[number])
            yield Part(houses[number], index, tuple(chart))


def _see_attack(seed: int, index: int, life: Life, hospital: int, *, is_home: bool) -> list[Seen]:
    """Draw the visit at which one hospital learns of a heart attack, where there was one."""
    day = find_attack_day(seed, index, life)
    if day is None:
        return []
    random = make_random(seed, index, "after the attack", hospital)
    return [Seen(NO_TURN, follow_attack(random, day, is_home=is_home), day)]


def _make_entry(base: str, resource: Json) -> Json:
    address = f"{resource['resourceType']}/{resource['id']}"
    return {
        "fullUrl": f"{base}/{address}",
        "resource": resource,
        "request": {"method": "PUT", "url": address},
    }
