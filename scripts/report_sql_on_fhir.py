"""Run the conformance tests of SQL-on-FHIR v2 and write the official report: `make report-sql-on-fhir`."""

import sys
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec

from iamata.fhir.views.compiling import CompiledView
from iamata.fhir.views.definition import parse_view
from iamata.model.reasons import Refused

ROOT: Final = Path(__file__).resolve().parents[1]
TESTS: Final = ROOT.parent / "shared/data/sql-on-fhir/tests"
REPORT: Final = ROOT / "build/sql-on-fhir/test-report.json"

_READ: Final = msgspec.json.Decoder(float_hook=Decimal)


def run_suite(folder: Path) -> dict[str, Any]:
    """Run every test in a folder, and report as test-report.schema.json says: no file without a test."""
    suites = {path.name: _list_tests(path) for path in sorted(folder.glob("*.json"))}
    return {name: {"tests": [_report(*test) for test in tests]} for name, tests in suites.items() if tests}


def explain_failure(test: dict[str, Any], resources: list[Any]) -> str | None:
    """Run one test both ways, row by row and in columns; say why it fails, or None."""
    is_wrong = test.get("expectError", False)
    try:
        view = CompiledView(parse_view(test["view"]))
        rows = [row for resource in resources for row in view.make_rows(resource)]
        batches = [row for columns in view.make_batches(resources) for row in zip(*columns, strict=True)]
    except Refused as refused:
        return None if is_wrong else str(refused)
    if is_wrong:
        return "a refusal is expected"
    if view.names != test.get("expectColumns", view.names):
        return f"the columns are {', '.join(view.names)}"
    wanted = Counter(_key(row) for row in test.get("expect", []))
    found = Counter(_key(dict(zip(view.names, row, strict=True))) for row in rows)
    again = Counter(_key(dict(zip(view.names, row, strict=True))) for row in batches)
    if found != again:
        return "rows and columns disagree"
    if "expectCount" in test and sum(found.values()) != test["expectCount"]:
        return f"{sum(found.values())} rows"
    return None if "expect" not in test or found == wanted else "other rows"


def _list_tests(path: Path) -> list[tuple[dict[str, Any], list[Any]]]:
    suite = _READ.decode(path.read_bytes())
    return [(test, suite["resources"]) for test in suite["tests"]]


def _report(test: dict[str, Any], resources: list[Any]) -> dict[str, Any]:
    failure = explain_failure(test, resources)
    result = {"passed": True} if failure is None else {"passed": False, "error": failure}
    return {"name": test["title"], "result": result}


def _key(row: dict[str, Any]) -> str:
    """Spell a row so that equal ones are alike, whatever the order of columns or the form of numbers."""
    return repr(sorted((name, _normalize(value)) for name, value in row.items()))


def _normalize(value: object) -> object:
    if isinstance(value, list):
        return [_normalize(one) for one in value]
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return str(Decimal(value).normalize())
    return value


def main() -> int:
    """Write the report, and say how many tests pass."""
    report = run_suite(TESTS)
    if not report:
        print(f"there are no tests in {TESTS}", file=sys.stderr)
        return 2
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
    results = [(name, test) for name, part in report.items() for test in part["tests"]]
    failing = [(name, test) for name, test in results if not test["result"]["passed"]]
    for name, test in failing:
        print(f"{name}: {test['name']}: {test['result']['error']}")
    print(f"{len(results) - len(failing)} of {len(results)} tests pass: {REPORT.relative_to(ROOT)}")
    return 1 if failing else 0


if __name__ == "__main__":
    sys.exit(main())
