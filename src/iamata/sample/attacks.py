"""The truth that a study can learn: who has a heart attack in the last year, given what was there before.

For everybody who is 18 or older on INDEX_DAY, a heart attack within the 365 days after it is drawn with
probability p:

    ln(p / (1 - p)) = intercept + sum of coefficient x factor

The factors are those of INDEX_DAY, under treatment where somebody is treated: what a visit about that day
measures, up to the noise of instruments. So the best that anybody can learn is known. The coefficients are
invented, of about the size that cohorts found for cardiovascular disease (SCORE2, Eur Heart J 2021;42:2439;
HbA1c: Khaw et al., Ann Intern Med 2004;141:413). The intercept is set high, so that few patients are enough
to learn from: in life attacks are tens of times rarer. They support no medical claim.
"""

from typing import Final

from iamata.sample.chance import make_random
from iamata.sample.demographics import LAST_DAY
from iamata.sample.lives import Life
from iamata.sample.readings import compute_hba1c, compute_hdl, compute_treated_ldl, compute_treated_systolic
from iamata.sample.risks import Risk, compute_probability

FOLLOWED_DAYS: Final = 365
INDEX_DAY: Final = LAST_DAY - FOLLOWED_DAYS
AGE_MIN: Final = 18

ATTACK: Final = Risk(
    "heart_attack",
    -2.60,
    {
        "age": 0.42,  # per 5 years, from 60
        "male": 0.45,
        "smoker": 0.65,  # who smokes now
        "pressure": 0.30,  # per 20 mm Hg systolic, from 120
        "ldl": 0.15,  # per 1 mmol/L (38.7 mg/dL), from 115 mg/dL
        "hdl": -0.26,  # per 0.5 mmol/L (19.3 mg/dL), from 50 mg/dL
        "hba1c": 0.25,  # per percent point, from 5.5 %
    },
)


def is_at_risk(life: Life) -> bool:
    """Tell whether somebody is grown up: children have no heart attack."""
    return life.person.compute_age(INDEX_DAY) >= AGE_MIN


def compute_attack_factors(life: Life) -> dict[str, float]:
    """Compute what the risk depends on, as it is on INDEX_DAY."""
    return {
        "age": (life.person.compute_age(INDEX_DAY) - 60) / 5,
        "male": float(life.person.is_male),
        "smoker": float(life.person.smoking == "current"),
        "pressure": (compute_treated_systolic(life, INDEX_DAY) - 120) / 20,
        "ldl": (compute_treated_ldl(life, INDEX_DAY) - 115) / 38.7,
        "hdl": (compute_hdl(life) - 50) / 19.3,
        "hba1c": compute_hba1c(life, INDEX_DAY) - 5.5,
    }


def compute_attack_probability(life: Life) -> float:
    """Compute how likely somebody is to have a heart attack in the year after INDEX_DAY."""
    return compute_probability(ATTACK, compute_attack_factors(life)) if is_at_risk(life) else 0.0


def find_attack_day(seed: int, index: int, life: Life) -> int | None:
    """Draw the day of a patient's heart attack; None for who has none."""
    random = make_random(seed, index, "heart attack")
    is_drawn = random.random() < compute_attack_probability(life)
    day = INDEX_DAY + 1 + random.randrange(FOLLOWED_DAYS)
    return day if is_drawn else None
