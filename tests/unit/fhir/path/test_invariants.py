"""The invariants of R4's own resources, which are FHIRPath, hold on R4's own examples."""

import tarfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from iamata.fhir.exact import read_exact
from iamata.fhir.path.expressions import PathExpression, compile_expression
from iamata.fhir.path.refusals import ExpressionRefused
from iamata.fhir.resources import compact

PACKAGE: Final = "fhir-r4/hl7.fhir.r4.core-4.0.1.tar.xz"
EXAMPLES: Final = "fhir-r4/hl7.fhir.r4.examples-4.0.1-subset.tar.xz"
LEFT_OUT: Final = {
    "dom-3": "asks `as` of many items, which the suite calls an error (testFHIRPathAsFunction21)",
    "cid-0": "asks ChargeItemDefinition for a name, which it does not have",
}
"""Invariants that are not FHIRPath as the published suite has it, and why."""


def test_the_invariants_of_every_resource_hold_on_the_official_examples(shared_data: Path) -> None:
    invariants = compile_invariants(shared_data / PACKAGE)
    broken, count = [], 0

    for name, resource in read_documents(shared_data / EXAMPLES):
        for key, invariant in invariants.get(resource.get("resourceType", ""), {}).items():
            count += 1
            if invariant.evaluate(resource) != [True]:
                broken.append((name, key))

    assert count > 2_500
    assert broken == []


def compile_invariants(package: Path) -> dict[str, dict[str, PathExpression]]:
    """Compile the invariants that are errors and stand at the top of a resource."""
    found: dict[str, dict[str, PathExpression]] = defaultdict(dict)
    for _, definition in read_documents(package):
        is_resource = definition.get("kind") == "resource" and definition.get("derivation") != "constraint"
        if definition["resourceType"] != "StructureDefinition" or not is_resource:
            continue
        kind = definition["type"]
        for rule in definition["snapshot"]["element"][0].get("constraint", ()):
            try:
                expression = compile_expression(rule["expression"], type_name=kind)
            except ExpressionRefused:
                assert rule["key"] in LEFT_OUT
                continue
            if rule["severity"] == "error" and rule["key"] not in LEFT_OUT:
                found[kind][rule["key"]] = expression
    return found


def read_documents(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Read the resources in a package."""
    with tarfile.open(path) as archive:
        for member in archive:
            content = archive.extractfile(member) if member.name.endswith(".json") else None
            raw = b"" if content is None else content.read()
            if b'"resourceType"' in raw:
                yield member.name, msgspec.convert(read_exact(compact(raw)), dict[str, Any])
