"""Every published conformance test of SQL-on-FHIR v2 passes, and the report has the official form."""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest

_SCRIPT = Path(__file__).parents[4] / "scripts/report_sql_on_fhir.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("report_sql_on_fhir", _SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_conformance_test_passes(shared_data: Path, script: ModuleType) -> None:
    report = script.run_suite(shared_data / "sql-on-fhir/tests")

    results = [
        (name, test["name"], test["result"]) for name, part in report.items() for test in part["tests"]
    ]
    assert len(results) >= 91
    assert [one for one in results if one[2] != {"passed": True}] == []


def test_the_report_has_the_official_form(shared_data: Path, script: ModuleType) -> None:
    schema = msgspec.json.decode((shared_data / "sql-on-fhir/test-report.schema.json").read_bytes())

    check(script.run_suite(shared_data / "sql-on-fhir/tests"), schema)


def test_a_test_that_fails_is_reported_as_failing(script: ModuleType) -> None:
    view = {"resource": "Patient", "select": [{"column": [{"name": "id", "path": "id", "type": "id"}]}]}
    resources = [{"resourceType": "Patient", "id": "p"}]

    assert script.explain_failure({"view": view, "expect": [{"id": "p"}]}, resources) is None
    assert script.explain_failure({"view": view, "expect": [{"id": "q"}]}, resources) == "other rows"
    assert script.explain_failure({"view": view, "expectError": True}, resources) is not None
    assert script.explain_failure({"view": {}, "expect": []}, resources) is not None
    assert script.explain_failure({"view": {}, "expectError": True}, resources) is None


def check(node: Any, schema: dict[str, Any]) -> None:
    """Check what this schema uses of JSON Schema: types, properties, patterns, required, items."""
    kinds = {"object": dict, "array": list, "string": str, "boolean": bool}
    assert isinstance(node, kinds[schema["type"]])
    if isinstance(node, dict):
        assert all(name in node for name in schema.get("required", ()))
        (anything,) = schema.get("patternProperties", {".*": None}).values()
        for name, child in node.items():
            below = schema.get("properties", {}).get(name, anything)
            assert below is not None, name
            check(child, below)
    elif isinstance(node, list):
        assert len(node) >= schema.get("minItems", 0)
        for child in node:
            check(child, schema["items"])
