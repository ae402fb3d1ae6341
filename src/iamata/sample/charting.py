"""How a hospital writes a life down: visit by visit, knowing only what it has seen or been told."""

from collections.abc import Sequence
from random import Random
from typing import Final, NamedTuple

from iamata.sample.chance import make_random
from iamata.sample.charts import Chart
from iamata.sample.codes import FATHER, LOINC, MOTHER, SNOMED, SOCIAL_HISTORY, Json, make_concept
from iamata.sample.hospitals import Hospital
from iamata.sample.illnesses import (
    ALLERGIES,
    BREAST_CANCER,
    COLONOSCOPY,
    CORONARY_INTERVENTION,
    ELECTROCARDIOGRAM,
    EPISODES,
    HEART_ATTACK,
    ILLNESSES,
    OBESITY,
    SPIROMETRY,
)
from iamata.sample.lives import Life
from iamata.sample.measures import Reading
from iamata.sample.readings import (
    take_blood,
    take_body,
    take_kidney,
    take_lipids,
    take_pressure,
    take_pulse,
    take_sugar,
)
from iamata.sample.resources import (
    Occasion,
    make_allergy,
    make_condition,
    make_family_member,
    make_finding,
    make_observation,
    make_prescription,
    make_pressure,
    make_procedure,
)
from iamata.sample.screenings import screen
from iamata.sample.visits import Kind, Visit

ALLERGIC_SHARE: Final = 0.22
LABORATORY_SHARE: Final = 0.6
"""Of the check-ups of adults who have no lasting illness; the others are always tested."""
OBESITY_BMI: Final = 30
INTERVENTION_SHARE: Final = 0.3

_ADULT_AGE: Final = 18
_COLONOSCOPY_AGES: Final = range(50, 76)
_COLONOSCOPY_SHARE: Final = 0.07
_TEST_SHARE: Final = 0.3
_NO_MEDICINE_SHARE: Final = 0.4

_SMOKING: Final = make_concept(LOINC, "72166-2", "Tobacco smoking status")
_SMOKING_ANSWERS: Final = {
    "never": make_concept(SNOMED, "266919005", "Never smoked tobacco (finding)"),
    "former": make_concept(SNOMED, "8517006", "Ex-smoker (finding)"),
    "current": make_concept(SNOMED, "449868002", "Smokes tobacco daily (finding)"),
}


class Seen(NamedTuple):
    """A visit and its number in the whole life, which names its stream of chance."""

    number: int
    visit: Visit
    attack_day: int | None = None
    """Of the heart attack for which, or after which, the patient came."""


def write_chart(
    life: Life, seen: Sequence[Seen], *, seed: int, index: int, hospital: Hospital
) -> list[Json]:
    """Write what one hospital knows of a life: the Patient first, then visit by visit."""
    chart = Chart(life.person, seed=seed, index=index, hospital=hospital)
    for position, (number, visit, attack_day) in enumerate(seen):
        occasion = chart.open_visit(visit)
        random = make_random(seed, index, "visit", number)
        if position == 0:
            # The same stream at every hospital: a patient tells all of them the same.
            _take_history(chart, make_random(seed, index, "history"), life, occasion)
        if attack_day is not None:
            chart.add("Condition", make_condition(occasion, code=HEART_ATTACK, onset_day=attack_day))
        elif visit.kind is Kind.EPISODE:
            _treat_episode(chart, random, life, occasion)
        else:
            _examine(chart, random, life, occasion, kind=visit.kind)
    return chart.resources


def _take_history(chart: Chart, random: Random, life: Life, occasion: Occasion) -> None:
    """Ask about allergies and parents, once."""
    if random.random() < ALLERGIC_SHARE:
        for code, category in random.sample(ALLERGIES, random.randint(1, 2)):
            chart.add("AllergyIntolerance", make_allergy(occasion, code=code, category=category))
    for parent, relationship in (("father", FATHER), ("mother", MOTHER)):
        illnesses = _list_parent_illnesses(life, parent)
        member = make_family_member(occasion, relationship=relationship, illnesses=illnesses)
        chart.add("FamilyMemberHistory", member)


def _list_parent_illnesses(life: Life, parent: str) -> list[Json]:
    person = life.person
    told = (
        (person.diabetic_parent, ILLNESSES["diabetes"].code),
        (person.heart_parent, ILLNESSES["heart_disease"].code),
        (person.cancer_parent, BREAST_CANCER),
    )
    return [code for bearer, code in told if bearer == parent]


def _examine(chart: Chart, random: Random, life: Life, occasion: Occasion, *, kind: Kind) -> None:
    """Measure, ask, diagnose and prescribe."""
    day = occasion.day
    is_adult = life.person.compute_age(day) >= _ADULT_AGE
    is_check_up = kind is Kind.CHECK_UP
    body = take_body(random, life, day)
    _observe(chart, occasion, [*body, take_pulse(random, life, day)])
    chart.add("Observation", make_pressure(occasion, take_pressure(random, life, day)))
    if is_adult and is_check_up:
        answer = _SMOKING_ANSWERS[life.person.smoking]
        chart.add(
            "Observation", make_finding(occasion, category=SOCIAL_HISTORY, code=_SMOKING, value=answer)
        )
    is_ill = any(life.has(illness, day) for illness in life.onsets)
    if is_adult and (is_ill or random.random() < LABORATORY_SHARE):
        _test_blood(chart, random, life, occasion, is_whole=is_check_up)
    _diagnose(chart, random, life, occasion)
    _note_obesity(chart, occasion, body[-1], is_adult=is_adult)
    if is_adult and is_check_up:
        screen(chart, random, life, occasion)
    _test_organs(chart, random, life, occasion)


def _test_blood(chart: Chart, random: Random, life: Life, occasion: Occasion, *, is_whole: bool) -> None:
    """Take sugar and kidney values, and at check-ups fats and haemoglobin."""
    _observe(chart, occasion, take_sugar(random, life, occasion.day))
    _observe(chart, occasion, take_kidney(random, life, occasion.day))
    if is_whole:
        _observe(chart, occasion, take_lipids(random, life, occasion.day))
        _observe(chart, occasion, [take_blood(random, life)])


def _diagnose(chart: Chart, random: Random, life: Life, occasion: Occasion) -> None:
    """Record each illness that has begun, once a hospital, and renew what is taken for it."""
    prescribed: dict[str, None] = {}
    for name, onset_day in life.onsets.items():
        if onset_day > occasion.day:
            continue
        illness = ILLNESSES[name]
        if name not in chart.recorded:
            condition = make_condition(occasion, code=illness.code, onset_day=onset_day)
            chart.recorded[name] = chart.add("Condition", condition)
            if name == "heart_disease" and random.random() < INTERVENTION_SHARE:
                chart.add("Procedure", make_procedure(occasion, code=CORONARY_INTERVENTION))
        for medicine in illness.medicines:
            product = str(medicine.code["text"])
            if product not in prescribed:
                prescribed[product] = None
                chart.prescribe(occasion, product, medicine, reason=chart.recorded[name])


def _note_obesity(chart: Chart, occasion: Occasion, bmi: Reading, *, is_adult: bool) -> None:
    if is_adult and bmi.value >= OBESITY_BMI and "obesity" not in chart.recorded:
        condition = make_condition(occasion, code=OBESITY, onset_day=occasion.day)
        chart.recorded["obesity"] = chart.add("Condition", condition)


def _test_organs(chart: Chart, random: Random, life: Life, occasion: Occasion) -> None:
    """Do the few procedures that age and illness call for."""
    has_heart = "heart_disease" in chart.recorded or "heart_failure" in chart.recorded
    has_lung = "lung_disease" in chart.recorded or "asthma" in chart.recorded
    is_due = int(life.person.compute_age(occasion.day)) in _COLONOSCOPY_AGES
    plan = (
        (has_heart, _TEST_SHARE, ELECTROCARDIOGRAM),
        (has_lung, _TEST_SHARE, SPIROMETRY),
        (is_due, _COLONOSCOPY_SHARE, COLONOSCOPY),
    )
    for is_indicated, share, code in plan:
        if random.random() < share and is_indicated:
            chart.add("Procedure", make_procedure(occasion, code=code))


def _treat_episode(chart: Chart, random: Random, life: Life, occasion: Occasion) -> None:
    """Record something that passes, and what was given for it."""
    episode = random.choices(EPISODES, [each.weight for each in EPISODES])[0]
    _observe(chart, occasion, [take_pulse(random, life, occasion.day)])
    chart.add("Observation", make_pressure(occasion, take_pressure(random, life, occasion.day)))
    onset_day = occasion.day - random.randint(0, 3)
    condition = make_condition(
        occasion, code=episode.code, onset_day=onset_day, abated_day=occasion.day + episode.days
    )
    reason = chart.add("Condition", condition)
    if random.random() >= _NO_MEDICINE_SHARE:
        given = make_prescription(occasion, medicine=episode.medicine, status="completed", reason=reason)
        chart.add("MedicationRequest", given)


def _observe(chart: Chart, occasion: Occasion, readings: Sequence[Reading]) -> None:
    for reading in readings:
        chart.add("Observation", make_observation(occasion, reading))
