"""Who somebody is: name, sex, birth, home, habits and parents. What the body does is elsewhere."""

from dataclasses import dataclass
from random import Random
from typing import Final

from iamata.model.instants import parse_day
from iamata.sample.names import PLACES, STREETS, draw_family, draw_given

LAST_DAY: Final = parse_day("2025-12-31")
"""Every history ends here: a sample must not depend on the day on which it is made."""
DAYS_PER_YEAR: Final = 365.25
HOUSE_NUMBER_MAX: Final = 180

AGE_BANDS: Final = ((1, 17), (18, 34), (35, 49), (50, 64), (65, 79), (80, 95))
AGE_WEIGHTS: Final = (14, 19, 20, 23, 17, 7)
"""Percent; a hospital sees older people than a country has."""

MALE_SHARE: Final = 0.48
SMOKING: Final = ("never", "former", "current")
SMOKING_WEIGHTS: Final = (58, 25, 17)
SMOKING_AGE_MIN: Final = 18
FAMILY_DIABETES_SHARE: Final = 0.20
FAMILY_HEART_DISEASE_SHARE: Final = 0.24
MOTHER_BREAST_CANCER_SHARE: Final = 0.10


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A made-up person."""

    is_male: bool
    given: str
    family: str
    birth_day: int
    street: str
    city: str
    postcode: str
    smoking: str
    diabetic_parent: str
    """`father`, `mother` or nobody; the same for the two below."""
    heart_parent: str
    cancer_parent: str

    @property
    def has_smoked(self) -> bool:
        """Tell whether the person smokes or did."""
        return self.smoking != "never"

    @property
    def has_family_diabetes(self) -> bool:
        """Tell whether a parent has diabetes."""
        return bool(self.diabetic_parent)

    @property
    def has_family_heart_disease(self) -> bool:
        """Tell whether a parent has heart disease."""
        return bool(self.heart_parent)

    def compute_age(self, day: int) -> float:
        """Compute the age in years on a day."""
        return (day - self.birth_day) / DAYS_PER_YEAR


def draw_person(random: Random) -> Person:
    """Draw a person whose age on the last day follows the bands."""
    is_male = random.random() < MALE_SHARE
    youngest, oldest = random.choices(AGE_BANDS, AGE_WEIGHTS)[0]
    age = random.uniform(youngest, oldest + 1)
    smoking = random.choices(SMOKING, SMOKING_WEIGHTS)[0]
    city, postcode = random.choice(PLACES)
    return Person(
        is_male=is_male,
        given=draw_given(random, is_male=is_male),
        family=draw_family(random),
        birth_day=int(LAST_DAY - age * DAYS_PER_YEAR),
        street=f"{random.randint(1, HOUSE_NUMBER_MAX)} {random.choice(STREETS)}",
        city=city,
        postcode=postcode,
        smoking=smoking if age >= SMOKING_AGE_MIN else "never",
        diabetic_parent=_draw_parent(random, FAMILY_DIABETES_SHARE),
        heart_parent=_draw_parent(random, FAMILY_HEART_DISEASE_SHARE),
        cancer_parent="mother" if random.random() < MOTHER_BREAST_CANCER_SHARE else "",
    )


def _draw_parent(random: Random, share: float) -> str:
    parent = random.choice(("father", "mother"))
    return parent if random.random() < share else ""
