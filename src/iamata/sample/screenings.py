"""What people would rather keep to themselves: so that labels, and consent by label, have something to do.

Depression, alcohol, HIV, violence at home, genetics and contraception, asked of some adults at check-ups.
The answers follow the person's illnesses.
"""

from random import Random
from typing import Final

from iamata.sample import codes
from iamata.sample.charts import Chart
from iamata.sample.codes import HGNC, LABORATORY, LOINC, Json, make_concept
from iamata.sample.illnesses import CONTRACEPTIVE, INTRAUTERINE_DEVICE
from iamata.sample.lives import Life
from iamata.sample.measures import ABUSE_SCORE, ALCOHOL_SCORE, DEPRESSION_SCORE, Measure, read_off
from iamata.sample.resources import Occasion, make_finding, make_observation, make_panel, make_procedure

DEPRESSION_SHARE: Final = 0.25
"""The share of adults' check-ups at which this is asked; likewise below."""
ALCOHOL_SHARE: Final = 0.25
HIV_SHARE: Final = 0.06
ABUSE_SHARE: Final = 0.06
GENETICS_SHARE: Final = 0.40
"""Of the check-ups of women whose mother had breast cancer."""
CONTRACEPTION_SHARE: Final = 0.35
DEVICE_SHARE: Final = 0.15

_FERTILE: Final = range(16, 46)
_HIV_AGES: Final = range(18, 66)
_ABUSED_SHARE: Final = 0.08
_VARIANT_SHARE: Final = 0.12

_HIV_TEST: Final = make_concept(
    LOINC, "56888-1", "HIV 1+2 Ab+HIV1 p24 Ag [Presence] in Serum or Plasma by Immunoassay"
)
_VARIANT: Final = make_concept(LOINC, "69548-6", "Genetic variant assessment")
_GENE: Final = make_concept(LOINC, "48018-6", "Gene studied [ID]")
_BRCA1: Final = make_concept(HGNC, "HGNC:1100", "BRCA1")


def screen(chart: Chart, random: Random, life: Life, occasion: Occasion) -> None:
    """Ask an adult some delicate questions, or none."""
    age = int(life.person.compute_age(occasion.day))
    if random.random() < DEPRESSION_SHARE:
        low, high = (8, 22) if life.has("depression", occasion.day) else (0, 7)
        _score(chart, occasion, DEPRESSION_SCORE, random.randint(low, high))
    if random.random() < ALCOHOL_SHARE:
        low, high = (5, 12) if life.has("alcohol_use", occasion.day) else (0, 4)
        _score(chart, occasion, ALCOHOL_SCORE, random.randint(low, high))
    if random.random() < ABUSE_SHARE:
        _score(chart, occasion, ABUSE_SCORE, random.randint(1, 4) if random.random() < _ABUSED_SHARE else 0)
    if random.random() < HIV_SHARE and age in _HIV_AGES:
        answer = codes.POSITIVE if life.has("hiv", occasion.day) else codes.NEGATIVE
        chart.add("Observation", make_finding(occasion, category=LABORATORY, code=_HIV_TEST, value=answer))
    if not life.person.is_male:
        _screen_woman(chart, random, life, occasion, age)


def _screen_woman(chart: Chart, random: Random, life: Life, occasion: Occasion, age: int) -> None:
    if random.random() < GENETICS_SHARE and life.person.cancer_parent:
        chart.add("Observation", _assess_gene(occasion, has_variant=random.random() < _VARIANT_SHARE))
    if age in _FERTILE and random.random() < CONTRACEPTION_SHARE:
        if random.random() < DEVICE_SHARE:
            chart.add("Procedure", make_procedure(occasion, code=INTRAUTERINE_DEVICE))
        else:
            chart.prescribe(occasion, "contraception", CONTRACEPTIVE, reason=None)


def _assess_gene(occasion: Occasion, *, has_variant: bool) -> Json:
    components: list[Json] = [{"code": _GENE, "valueCodeableConcept": _BRCA1}]
    panel = make_panel(occasion, category=LABORATORY, code=_VARIANT, components=components)
    return panel | {"valueCodeableConcept": codes.PRESENT if has_variant else codes.ABSENT}


def _score(chart: Chart, occasion: Occasion, measure: Measure, points: int) -> None:
    chart.add("Observation", make_observation(occasion, read_off(measure, points)))
