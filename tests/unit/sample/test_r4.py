"""The sample agrees with the official definitions of FHIR R4: elements, counts, types, spellings."""

import json
import re
import tarfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from iamata.sample.generating import generate

_PACKAGE = "fhir-r4/hl7.fhir.r4.core-4.0.1.tar.xz"
_DEFINITION = re.compile(r".*/package/StructureDefinition-([A-Za-z]+)\.json")
_BACKBONES = ("BackboneElement", "Element")
_SPELLINGS = {
    "date": r"\d{4}(-\d\d(-\d\d)?)?",
    "dateTime": r"\d{4}(-\d\d(-\d\d(T\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d))?)?)?",
    "code": r"[^\s]+(\s[^\s]+)*",
    "id": r"[A-Za-z0-9\-.]{1,64}",
    "uri": r"\S+",
    "string": r"(?s).+",
}
Elements = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def elements(shared_data: Path) -> Elements:
    """Return every element of every type, by the path of its parent and its own."""
    found: Elements = defaultdict(dict)
    with tarfile.open(shared_data / _PACKAGE) as archive:
        for member in archive:
            match = _DEFINITION.fullmatch(member.name)
            if match and match[1][0].isupper():
                definition = json.load(archive.extractfile(member) or pytest.fail("not a file"))
                if definition["derivation" if "derivation" in definition else "kind"] != "constraint":
                    for each in definition["snapshot"]["element"]:
                        found[each["path"].rpartition(".")[0]][each["path"]] = each
    return found


def test_every_resource_is_valid_r4(elements: Elements) -> None:
    for part in generate(99, 60):
        bundle = json.loads(part.encode_bundle())
        assert list(_find_faults(bundle, "Bundle", elements)) == []


def test_the_check_itself_finds_faults(elements: Elements) -> None:
    patient = {"resourceType": "Patient", "birthDate": "1.1.1970", "name": {"family": "X"}, "hair": "grey"}
    assert len(list(_find_faults(patient, "Patient", elements))) == 3
    assert list(_find_faults({"resourceType": "Condition"}, "Condition", elements)) == [
        "Condition.subject is missing"
    ]


def _find_faults(node: dict[str, Any], path: str, elements: Elements) -> Iterator[str]:
    """List what an object gets wrong, itself and below."""
    children = elements[path]
    seen = set()
    for key, value in node.items():
        if key == "resourceType":
            continue
        name, kind = _find_element(path, key, children)
        if name is None:
            yield f"{path}.{key} is unknown"
            continue
        seen.add(name)
        yield from _check_value(value, name, kind, elements)
    for name, element in children.items():
        if element["min"] > 0 and name not in seen:
            yield f"{name} is missing"


def _find_element(path: str, key: str, children: dict[str, Any]) -> tuple[str | None, str]:
    """Find the element and the type that a JSON key means; `value[x]` has a type in its key."""
    if (plain := f"{path}.{key}") in children:
        types = children[plain].get("type", [{"code": ""}])
        return plain, types[0]["code"]
    for name, element in children.items():
        stem = name.removeprefix(f"{path}.").removesuffix("[x]")
        for kind in element.get("type", []):
            if name.endswith("[x]") and key == stem + kind["code"][0].upper() + kind["code"][1:]:
                return name, kind["code"]
    return None, ""


def _check_value(value: object, name: str, kind: str, elements: Elements) -> Iterator[str]:
    is_list = elements[name.rpartition(".")[0]][name]["max"] != "1"
    if isinstance(value, list) != is_list or value == []:
        yield f"{name} must {'' if is_list else 'not '}repeat"
        return
    values: list[Any] = value if isinstance(value, list) else [value]
    for each in values:
        if kind == "Resource":
            yield from _find_faults(each, each["resourceType"], elements)
        elif isinstance(each, dict):
            yield from _find_faults(each, name if kind in _BACKBONES else kind, elements)
        elif kind in {"boolean", "decimal"}:
            if isinstance(each, bool) != (kind == "boolean") or not isinstance(each, bool | int | float):
                yield f"{name} is not a {kind}"
        elif not re.fullmatch(_SPELLINGS.get(kind, r"\S+"), each):
            yield f"{name} is misspelled"
