"""A person's whole story before any hospital writes it down: who, which body, ill since when."""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from iamata.sample.chance import make_random
from iamata.sample.demographics import DAYS_PER_YEAR, LAST_DAY, Person, draw_person
from iamata.sample.illnesses import ILLNESSES
from iamata.sample.physiology import Body, draw_body
from iamata.sample.risks import RISKS, compute_factors, compute_probability


@dataclass(frozen=True, slots=True)
class Life:
    """A person, a body, and the first day of each illness."""

    person: Person
    body: Body
    onsets: Mapping[str, int]

    def has(self, illness: str, day: int) -> bool:
        """Tell whether an illness has begun by a day."""
        return self.onsets.get(illness, day + 1) <= day


def draw_life(seed: int, index: int) -> Life:
    """Draw the life of one patient, the same whoever else is in the sample."""
    person = draw_person(make_random(seed, index, "person"))
    body = draw_body(make_random(seed, index, "body"), is_male=person.is_male)
    return Life(person, body, _draw_onsets(make_random(seed, index, "illnesses"), person, body))


def _draw_onsets(random: Random, person: Person, body: Body) -> dict[str, int]:
    """Draw every illness by its risk, and its first day between the least age for it and the last day."""
    factors = compute_factors(person, body, day=LAST_DAY)
    age = person.compute_age(LAST_DAY)
    onsets: dict[str, int] = {}
    for risk in RISKS:
        age_min = ILLNESSES[risk.illness].age_min
        is_drawn = random.random() < compute_probability(risk, factors)
        has_illness = is_drawn and age > age_min
        # Most people fall ill late in the years in which they could have.
        onset_age = age_min + (age - age_min) * random.betavariate(4, 1.5)
        if has_illness:
            onsets[risk.illness] = person.birth_day + int(onset_age * DAYS_PER_YEAR)
        factors[risk.illness] = float(has_illness)
    return onsets
