"""What a hospital's registry says of its patients, a row each: a table to learn from, with a known truth.

The rows are those of the sample's lives, and who has hypertension follows `risks.RISKS`, so what is
learned can be held against the coefficients that are written there.
"""

from collections.abc import Iterator
from typing import Final

from iamata.sample.demographics import LAST_DAY
from iamata.sample.lives import draw_life
from iamata.sample.physiology import compute_systolic

OUTCOME: Final = "hypertension"
COLUMNS: Final = ("age", "sex", "bmi", "systolic", "smoked", OUTCOME)


def draw_registry(seed: int, *, first: int, count: int) -> Iterator[dict[str, float | str]]:
    """Draw the rows of some patients: age in years, BMI in kg/m2, systolic pressure in mm Hg untreated."""
    for index in range(first, first + count):
        life = draw_life(seed, index)
        age = life.person.compute_age(LAST_DAY)
        yield {
            "age": round(age, 1),
            "sex": "male" if life.person.is_male else "female",
            "bmi": round(life.body.bmi, 1),
            "systolic": round(compute_systolic(life.body, age)),
            "smoked": "yes" if life.person.has_smoked else "no",
            OUTCOME: float(life.has(OUTCOME, LAST_DAY)),
        }
