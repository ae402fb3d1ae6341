"""The demo's story for tests: fewer patients, and of those in its study a few records each."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from iamata.node import demo, demo_cohort, demo_study
from iamata.sample.codes import Json
from iamata.sample.generating import Part
from iamata.sample.illnesses import HEART_ATTACK
from iamata.sample.measures import HBA1C, HDL, LDL

PATIENTS: Final = 10
PARTICIPANTS: Final = 20
RESOURCES: Final = 12
"""The patient, the first visit, and what was found at it."""
KEPT: Final = (HEART_ATTACK, LDL.code, HDL.code, HBA1C.code)
"""What the study needs besides."""


def tell_short_story(path: Path, put: Callable[[object, str, object], None]) -> None:
    """Tell it in a new home; `put` sets a module's constant until the test is over."""
    put(demo, "SAMPLE_PATIENTS", PATIENTS)
    put(demo_study, "PATIENTS", PARTICIPANTS)
    put(demo_study, "draw_charts", draw_short_charts)
    everybody = msgspec.structs.replace(demo_cohort.PROTOCOL, holdout_percent=0)
    put(demo_study, "PROTOCOL", everybody)  # of so few nobody can be kept out
    demo.run_demo(path, records=None, tell=lambda _: None)


def draw_short_charts(hospitals: int, patients: int) -> list[list[Part]]:
    """Draw the demo's charts, and cut all that the study does without."""
    return [
        [dataclasses.replace(part, resources=shorten(part.resources)) for part in chart]
        for chart in demo_cohort.draw_charts(hospitals, patients)
    ]


def shorten(resources: tuple[Json, ...]) -> tuple[Json, ...]:
    """Keep the beginning of a chart, and what the study needs."""
    later = (one for one in resources[RESOURCES:] if one.get("code") in KEPT)
    return (*resources[:RESOURCES], *later)
