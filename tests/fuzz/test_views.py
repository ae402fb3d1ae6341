"""Whatever is said to be a view is one or refused; running one on any JSON gives rows or a refusal."""

import contextlib
import json
import time
from typing import Any, Final

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from iamata.fhir.exact import read_exact
from iamata.fhir.views.compiling import CompiledView
from iamata.fhir.views.definition import read_view
from iamata.model.reasons import Refused
from mutations import bend, damage

SLOW_S: Final = 5.0
VIEW: Final = json.dumps(
    {
        "resourceType": "ViewDefinition",
        "resource": "Observation",
        "constant": [
            {"name": "system", "valueString": "http://loinc.org"},
            {"name": "n", "valueInteger": 1},
        ],
        "where": [{"path": "status = 'final' and code.exists()"}],
        "select": [
            {
                "column": [
                    {"name": "id", "path": "getResourceKey()", "type": "string"},
                    {
                        "name": "code",
                        "path": "code.coding.where(system = %system).code.first()",
                        "type": "code",
                    },
                    {"name": "all", "path": "code.coding.code", "collection": True},
                ]
            },
            {
                "forEachOrNull": "component",
                "column": [{"name": "value", "path": "value.ofType(Quantity).value", "type": "decimal"}],
                "unionAll": [
                    {"column": [{"name": "a", "path": "code.text & %rowIndex.toString()"}]},
                    {"forEach": "extension", "column": [{"name": "a", "path": "url"}]},
                ],
            },
            {"repeat": ["extension"], "column": [{"name": "url", "path": "url", "type": "uri"}]},
        ],
    }
).encode()
OBSERVATION: Final = json.dumps(
    {
        "resourceType": "Observation",
        "id": "o",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "1"}, {"code": "2"}], "text": "t"},
        "component": [{"code": {"text": "a"}, "valueQuantity": {"value": 1.5}}, {"code": {"text": "b"}}],
        "extension": [{"url": "urn:a", "extension": [{"url": "b", "valueString": "x"}]}],
    }
).encode()


def run(definition: bytes, resource: bytes) -> None:
    begun_s = time.perf_counter()
    with contextlib.suppress(Refused):
        view = CompiledView(read_view(definition))
        for read in (read_exact, view.read):
            with contextlib.suppress(Refused):
                tree: Any = read(resource)
                rows = view.make_rows(tree)
                for columns in view.make_batches([tree]):
                    assert all(len(column) == len(rows) for column in columns)
    assert time.perf_counter() - begun_s < SLOW_S


@settings(max_examples=200)
@given(bend((VIEW,)))
def test_a_bent_view_is_run_or_refused(definition: bytes) -> None:
    run(definition, OBSERVATION)


@given(damage((VIEW,)))
def test_a_damaged_view_is_read_or_refused(definition: bytes) -> None:
    run(definition, OBSERVATION)


@settings(max_examples=200)
@given(bend((OBSERVATION,)))
def test_any_resource_gives_rows_or_is_refused(resource: bytes) -> None:
    run(VIEW, resource)


@given(bend((OBSERVATION,)), st.sampled_from(["name", "status"]))
def test_what_a_view_does_not_look_at_changes_nothing(resource: bytes, extra: str) -> None:
    view = CompiledView(read_view(VIEW))
    with contextlib.suppress(Refused):
        tree = read_exact(resource)
        wider = msgspec.json.encode(msgspec.json.decode(resource) | {f"x{extra}": [1, {"a": "b"}]})
        assert view.make_rows(view.read(wider)) == view.make_rows(tree)
