"""The demo's study is the documented one, and asks patients whom its cohort can have."""

import re
from pathlib import Path

import msgspec

from iamata.learning.protocols import read_protocol
from iamata.node.demo_cohort import AGE_MIN, HOLDOUT_PERCENT, PROTOCOL, SEED, draw_charts
from iamata.sample.attacks import INDEX_DAY
from iamata.sample.lives import draw_life


def test_the_demo_learns_by_the_protocol_of_the_reference(root: Path) -> None:
    reference = (root / "docs" / "reference" / "sample.md").read_text(encoding="utf-8")
    documented = read_protocol(re.findall(r"```json\n(.*?)```", reference, re.DOTALL)[0].encode())

    same = msgspec.structs.replace(documented, holdout_percent=HOLDOUT_PERCENT)
    assert msgspec.to_builtins(PROTOCOL) == msgspec.to_builtins(same)
    assert read_protocol(msgspec.json.encode(PROTOCOL)) == same


def test_each_hospital_asks_patients_of_its_own_who_are_old_enough() -> None:
    charts = draw_charts(3, 7)

    assert [len(chart) for chart in charts] == [7, 7, 7]
    assert [{part.hospital.number for part in chart} for chart in charts] == [{1}, {2}, {3}]
    people = [part.patient or 0 for chart in charts for part in chart]
    assert len(set(people)) == 21
    assert all(draw_life(SEED, one).person.compute_age(INDEX_DAY) >= AGE_MIN for one in people)
