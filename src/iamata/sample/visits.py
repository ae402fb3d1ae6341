"""When a patient goes to a hospital, why, and to which of those that know the patient."""

import enum
from dataclasses import dataclass
from random import Random
from typing import Final

from iamata.sample.demographics import LAST_DAY
from iamata.sample.illnesses import ILLNESSES
from iamata.sample.lives import Life

KNOWN_AT_MAX: Final = 3
"""No patient is known at more hospitals than this."""
THIRD_HOSPITAL_SHARE: Final = 0.2
"""Of the patients known at more than one hospital, how many are known at three."""
HOME_WEIGHT: Final = 0.5
"""How often somebody known elsewhere still goes to the first hospital."""

TOLD_DAYS_MAX: Final = 14
"""After a heart attack every hospital that knows the patient has seen them once within so many days."""

_DAYS: Final = 365
_CHILD_AGE: Final = 18
_SENIOR_AGE: Final = 65
_CHECK_UP_SHARES: Final = (0.70, 0.60, 0.85)
"""Per year: children, adults, seniors."""
_EPISODE_SHARE: Final = 0.35
_FIRST_MINUTE: Final = 7 * 60
_LAST_MINUTE: Final = 18 * 60


class Kind(enum.Enum):
    """Why somebody comes."""

    CHECK_UP = "check-up"
    FOLLOW_UP = "follow-up"
    EPISODE = "episode"
    EMERGENCY = "emergency"


@dataclass(frozen=True, slots=True, order=True)
class Visit:
    """One visit; times are UTC."""

    day: int
    minute: int
    kind: Kind = Kind.CHECK_UP


def draw_visits(random: Random, life: Life, *, years: int) -> list[Visit]:
    """Draw the visits of the last years, in order, enough that each hospital can have one."""
    visits: list[Visit] = []
    for year in range(years, 0, -1):
        first_day = LAST_DAY - year * _DAYS + 1
        kinds = _draw_kinds(random, life, first_day)
        visits += [_draw_visit(random, first_day, kind) for kind in kinds]
    born = [visit for visit in visits if visit.day > life.person.birth_day]
    while len(born) < KNOWN_AT_MAX:
        born.append(_draw_visit(random, LAST_DAY - _DAYS + 1, Kind.CHECK_UP))
    return sorted(born, key=lambda visit: (visit.day, visit.minute))


def follow_attack(random: Random, day: int, *, is_home: bool) -> Visit:
    """Say how a hospital hears of a heart attack: treated at home, elsewhere told within two weeks."""
    later = 0 if is_home else random.randint(1, TOLD_DAYS_MAX)
    kind = Kind.EMERGENCY if is_home else Kind.FOLLOW_UP
    return _draw_visit_on(random, min(day + later, LAST_DAY), kind)


def draw_hospitals(random: Random, *, hospitals: int, overlap_percent: int) -> list[int]:
    """Draw which hospitals know a patient, the first one being home."""
    is_shared = random.random() * 100 < overlap_percent
    is_known_thrice = random.random() < THIRD_HOSPITAL_SHARE
    count = 1 + is_shared + (is_shared and is_known_thrice)
    return random.sample(range(1, hospitals + 1), min(count, hospitals))


def assign_visits(random: Random, visits: list[Visit], known_at: list[int]) -> list[int]:
    """Say for each visit at which hospital it took place; each hospital gets one at least."""
    places = list(known_at)
    while len(places) < len(visits):
        is_home = random.random() < HOME_WEIGHT
        places.append(known_at[0] if is_home else random.choice(known_at))
    random.shuffle(places)
    return places


def _draw_kinds(random: Random, life: Life, day: int) -> list[Kind]:
    """Draw the reasons to come in the year that begins on a day."""
    age = life.person.compute_age(day)
    band = (age >= _CHILD_AGE) + (age >= _SENIOR_AGE)
    check_ups = int(random.random() < _CHECK_UP_SHARES[band])
    episodes = int(random.random() < _EPISODE_SHARE)
    lasting = [ILLNESSES[name].visits_per_year for name in life.onsets if life.has(name, day)]
    follow_ups = max(lasting, default=0)
    return [Kind.CHECK_UP] * check_ups + [Kind.FOLLOW_UP] * follow_ups + [Kind.EPISODE] * episodes


def _draw_visit(random: Random, first_day: int, kind: Kind) -> Visit:
    return _draw_visit_on(random, first_day + random.randrange(_DAYS), kind)


def _draw_visit_on(random: Random, day: int, kind: Kind) -> Visit:
    return Visit(day, random.randrange(_FIRST_MINUTE, _LAST_MINUTE), kind)
