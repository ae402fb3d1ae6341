"""The stream is the same for ever, grows without changing its beginning, and forgets what it has given."""

import hashlib
import os
import subprocess
import sys
import tracemalloc
from collections import defaultdict
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iamata.model.reasons import Reason, Refused
from iamata.sample.generating import (
    HOSPITALS_MAX,
    PATIENTS_MAX,
    SEED_MAX,
    YEARS_MAX,
    Part,
    generate,
)

_DIGEST_PROGRAM = """
import hashlib
from iamata.sample.generating import generate
digest = hashlib.sha256()
for part in generate(11, 40):
    digest.update(part.encode_bundle())
print(digest.hexdigest())
"""


def _digest(seed: int, patients: int) -> str:
    digest = hashlib.sha256()
    for part in generate(seed, patients):
        digest.update(part.encode_bundle())
    return digest.hexdigest()


@pytest.mark.parametrize("hash_seed", ["0", "1", "4711"])
def test_the_bytes_do_not_depend_on_the_hash_seed(root: Path, hash_seed: str) -> None:
    environment = os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(root / "src")}
    run = subprocess.run(  # noqa: S603
        [sys.executable, "-c", _DIGEST_PROGRAM], env=environment, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == _digest(11, 40)


@settings(max_examples=10)
@given(seed=st.integers(0, SEED_MAX), fewer=st.integers(1, 5), more=st.integers(0, 5))
def test_fewer_patients_are_the_beginning_of_more(seed: int, fewer: int, more: int) -> None:
    short = [part.encode_bundle() for part in generate(seed, fewer)]
    long = [part.encode_bundle() for part in islice(generate(seed, fewer + more), len(short))]
    assert short == long


def test_another_seed_is_another_sample() -> None:
    assert _digest(1, 5) != _digest(2, 5)


def test_the_number_of_hospitals_changes_nobody() -> None:
    def describe(part: Part) -> tuple[object, ...]:
        patient = part.resources[0]
        return part.patient, *(str(patient[key]) for key in ("name", "birthDate", "gender", "address"))

    few = {describe(part) for part in generate(5, 60, hospitals=1) if part.patient is not None}
    many = {describe(part) for part in generate(5, 60, hospitals=9) if part.patient is not None}
    assert few == many
    assert len(few) == 60


def test_each_hospital_introduces_itself_before_its_patients() -> None:
    parts = list(islice(generate(1, 3, hospitals=4), 5))
    assert [part.patient for part in parts] == [None, None, None, None, 0]
    assert [part.hospital.number for part in parts[:4]] == [1, 2, 3, 4]
    assert [part.resources[0]["resourceType"] for part in parts[:4]] == ["Organization"] * 4


def test_a_share_of_the_patients_is_known_at_two_or_three_hospitals() -> None:
    known_at: dict[int, list[Part]] = defaultdict(list)
    for part in generate(3, 800, hospitals=4, years=1, overlap_percent=25):
        if part.patient is not None:
            known_at[part.patient].append(part)
    shared = [parts for parts in known_at.values() if len(parts) > 1]
    assert 0.20 < len(shared) / len(known_at) < 0.30
    assert {len(parts) for parts in known_at.values()} == {1, 2, 3}
    for parts in shared:
        assert len({part.hospital.number for part in parts}) == len(parts)
        assert len({str(part.resources[0]["id"]) for part in parts}) == len(parts)
        assert len({str(part.resources[0]["identifier"]) for part in parts}) == len(parts)
        assert len({str(part.resources[0]["name"]) for part in parts}) == 1
        assert len({str(part.resources[0]["birthDate"]) for part in parts}) == 1


@pytest.mark.parametrize(("percent", "expected"), [(0, 50), (100, 100)])
def test_the_overlap_is_what_was_asked_for(percent: int, expected: int) -> None:
    parts = list(generate(3, 50, hospitals=2, years=1, overlap_percent=percent))
    assert sum(part.patient is not None for part in parts) == expected


def test_a_patient_has_about_a_hundred_resources_at_a_hospital() -> None:
    sizes = [len(part.resources) for part in generate(7, 400) if part.patient is not None]
    assert 80 < sum(sizes) / len(sizes) < 120


def test_more_years_are_more_resources() -> None:
    def count(years: int) -> int:
        return sum(len(part.resources) for part in generate(7, 40, years=years))

    assert count(1) < count(7) / 2 < count(20) / 2


def test_memory_does_not_grow_with_the_number_of_patients() -> None:
    parts = generate(2, PATIENTS_MAX)
    for part in islice(parts, 20):
        part.encode_bundle()
    tracemalloc.start()
    try:
        for part in islice(parts, 300):
            part.encode_bundle()
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 8 * 2**20


@pytest.mark.parametrize(
    ("seed", "patients", "hospitals", "years", "overlap_percent"),
    [
        (-1, 1, 1, 1, 0),
        (SEED_MAX + 1, 1, 1, 1, 0),
        (1, 0, 1, 1, 0),
        (1, PATIENTS_MAX + 1, 1, 1, 0),
        (1, 1, 0, 1, 0),
        (1, 1, HOSPITALS_MAX + 1, 1, 0),
        (1, 1, 1, 0, 0),
        (1, 1, 1, YEARS_MAX + 1, 0),
        (1, 1, 1, 1, -1),
        (1, 1, 1, 1, 101),
    ],
)
def test_what_is_beyond_a_limit_is_refused_at_once(
    seed: int, patients: int, hospitals: int, years: int, overlap_percent: int
) -> None:
    with pytest.raises(Refused) as refused:
        generate(seed, patients, hospitals, years=years, overlap_percent=overlap_percent)
    assert refused.value.reason is Reason.INPUT_INVALID


def test_the_limits_themselves_are_allowed() -> None:
    parts = list(islice(generate(SEED_MAX, 1, HOSPITALS_MAX, years=YEARS_MAX, overlap_percent=100), 17))
    assert len({part.hospital.organization["reference"] for part in parts}) == HOSPITALS_MAX
