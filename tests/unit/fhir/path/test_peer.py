"""fhirpathpy, written by others, finds the same in the published examples."""

import json
from pathlib import Path
from typing import Any, Final

import fhirpathpy
import pytest
from fhirpathpy.models import models

from iamata.fhir.exact import read_exact
from iamata.fhir.path.elements import Element, to_value
from iamata.fhir.path.expressions import compile_expression
from iamata.fhir.path.temporal import Date, DateTime

CASES: Final = {
    "patient-example": [
        "name.given",
        "Patient.name.where(use = 'official').family",
        "telecom.where(system = 'phone').value",
        "contact.relationship.coding.code",
        "identifier.period.start",
        "name.given.count() + telecom.count()",
        "name.select(given.first())",
        "name.exists(use = 'usual')",
        "address.line.join(', ')",
        "name.given.distinct().count()",
        "telecom.rank | telecom.use",
        "name.tail().given",
        "descendants().ofType(Coding).code",
        "active and deceased.ofType(boolean).not()",
        "name.where(given.count() > 1).given.last()",
        "name.all(given.exists())",
        "link.empty()",
    ],
    "observation-example": [
        "value.unit",
        "Observation.value.ofType(Quantity).value > 100",
        "code.coding.where(system = 'http://loinc.org').code",
        "subject.reference",
        "category.coding.code",
        "value is Quantity",
        "code.coding.code.first().length()",
    ],
    "questionnaire-example": [
        "repeat(item).linkId",
        "item.item.linkId",
        "repeat(item).where(type = 'group').linkId",
        "item.code.display",
    ],
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("name", "text"), [(name, text) for name, texts in CASES.items() for text in texts]
)
def test_both_find_the_same(shared_data: Path, name: str, text: str) -> None:
    raw = (shared_data / f"fhirpath/json/r4/{name}.json").read_bytes()
    theirs = fhirpathpy.evaluate(json.loads(raw), text, {}, models["r4"])

    ours = [_plain(item) for item in compile_expression(text).evaluate(read_exact(raw))]

    assert ours == [_plain(one) for one in theirs]


def _plain(item: Any) -> object:
    value = to_value(item) if isinstance(item, Element) else item
    return str(value) if isinstance(value, Date | DateTime) else value
