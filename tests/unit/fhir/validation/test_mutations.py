"""Validation accepts what is valid, and names each error that is planted in it by its path."""

import copy
import random
import tarfile
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from iamata.fhir.validation.checking import validate
from iamata.sample.generating import encode_resource, generate
from planting import KINDS, plant

EXAMPLES: Final = "fhir-r4/hl7.fhir.r4.examples-4.0.1-subset.tar.xz"
SYNTHEA: Final = "synthea/synthea-r4-bundles.tar.xz"
MUTATIONS_OF_A_KIND: Final = 85
BYTES_MAX: Final = 20_000
"""Larger examples hold no other errors, and take their time."""
WRONG: Final = {
    "DeviceMetric-example.json": "DeviceMetric.parent.reference",
    "DeviceUseStatement-example.json": "DeviceUseStatement.reasonReference[0].reference",
    "MedicationRequest-medrx0301.json": "MedicationRequest.dispenseRequest.performer.reference",
    "Observation-clinical-gender.json": "Observation.performer[0].reference",
    "Questionnaire-qs1.json": "Questionnaire.item[0].item[0].linkId",
}
"""Official examples that the official definitions forbid, and where: four refer to a type that the element
does not allow, one leaves out what must be there."""

_TREES: Final = msgspec.json.Decoder(float_hook=Decimal)
Node = dict[str, Any]


def _read_archive(path: Path) -> Iterator[tuple[str, Node]]:
    with tarfile.open(path) as archive:
        for member in archive:
            if member.isfile() and (content := archive.extractfile(member)) is not None:
                yield Path(member.name).name, _TREES.decode(content.read())


@pytest.fixture(scope="module")
def examples(shared_data: Path) -> dict[str, Node]:
    documents = dict(_read_archive(shared_data / EXAMPLES))
    assert len(documents) == 722
    del documents["package.json"]  # the archive's own description: no resource
    return documents


@pytest.fixture(scope="module")
def sample() -> list[Node]:
    parts = generate(seed=1, patients=3, hospitals=1)
    return [_TREES.decode(encode_resource(each)) for part in parts for each in part.resources]


def test_every_official_example_is_accepted(examples: dict[str, Node]) -> None:
    refused = {name: [one.path for one in validate(each)] for name, each in examples.items()}

    assert {name: paths for name, paths in refused.items() if paths and name not in WRONG} == {}
    assert {name: refused[name][0] for name in WRONG} == WRONG
    assert sum(map(bool, refused.values())) == 5


def test_every_resource_of_synthea_is_accepted(shared_data: Path) -> None:
    count = 0
    for _, bundle in _read_archive(shared_data / SYNTHEA):
        assert validate(bundle) == ()
        count += len(bundle["entry"])
    assert count == 25_202


def test_every_record_of_our_own_sample_is_accepted(sample: list[Node]) -> None:
    assert [one.path for each in sample for one in validate(each)] == []


def test_an_error_planted_in_an_official_example_is_named(examples: dict[str, Node]) -> None:
    small = [name for name, each in examples.items() if len(msgspec.json.encode(each)) <= BYTES_MAX]
    valid = [examples[name] for name in sorted(small) if name not in WRONG]

    planted, missed = plant_everywhere(valid)

    assert missed == []
    assert len(planted) >= 12
    assert min(planted.values()) >= 40
    assert sum(planted.values()) >= 2_000


def test_an_error_planted_in_our_own_sample_is_named(sample: list[Node]) -> None:
    planted, missed = plant_everywhere(sample)

    assert missed == []
    assert len(planted) >= 12


def plant_everywhere(resources: list[Node]) -> tuple[Counter[str], list[tuple[str, str]]]:
    """Plant errors of every kind, one at a time; count them, and list those that were not named."""
    planted: Counter[str] = Counter()
    missed = []
    for kind in KINDS:
        chance = random.Random(kind)
        for resource in chance.sample(resources, len(resources)):
            broken = copy.deepcopy(resource)
            path = plant(broken, kind, chance)
            if path is not None:
                planted[kind] += 1
                if path not in [one.path for one in validate(broken)]:
                    missed.append((kind, path))
            if planted[kind] == MUTATIONS_OF_A_KIND:
                break
    return planted, missed
