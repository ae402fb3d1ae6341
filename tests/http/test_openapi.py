"""The OpenAPI document is true: whatever it allows is answered as it says, and refused in the one shape."""

import json
from typing import Any, Final
from urllib.parse import urlencode

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.core.result import Ok

from house import House
from iamata.api.openapi import write_openapi
from iamata.api.routes import ROUTES
from iamata.model.reasons import Reason

DOCUMENT: Final[dict[str, Any]] = json.loads(write_openapi(ROUTES))
SCHEMA: Final = schemathesis.openapi.from_dict(DOCUMENT)
OPERATIONS: Final = [one.ok() for one in SCHEMA.get_all_operations() if isinstance(one, Ok)]
KNOCKERS: Final = ("stranger", "member", "own staff", "patient")


def test_every_operation_is_asked() -> None:
    assert len(OPERATIONS) == len(ROUTES)


def test_the_document_names_every_route() -> None:
    named = {f"{method.upper()} {path}" for path, one in DOCUMENT["paths"].items() for method in one}

    assert named == {route.name for route in ROUTES}
    assert DOCUMENT["openapi"].startswith("3.1")


def test_every_reference_leads_somewhere() -> None:
    text = json.dumps(DOCUMENT)
    schemas = DOCUMENT["components"]["schemas"]

    assert "\\\\Z" not in text
    for part in text.split('"$ref": "')[1:]:
        assert part.partition('"')[0].removeprefix("#/components/schemas/") in schemas


def test_a_route_that_needs_a_signature_says_so() -> None:
    for route in ROUTES:
        operation = DOCUMENT["paths"][route.path][route.method.lower()]
        assert ("security" in operation) == (route.access.value not in {"anyone", "this machine"})


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.label)
@pytest.mark.parametrize("who", KNOCKERS)
def test_whatever_the_document_allows_is_answered_as_it_says(
    house: House, operation: Any, who: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.serving.watch.close()  # nobody waits for news here
    monkeypatch.setattr("iamata.workflows.office.LAG_S_MAX", 0)

    @given(case=operation.as_strategy())
    @settings(
        max_examples=8,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
        derandomize=True,
        deadline=None,
    )
    def ask(case: Any) -> None:
        query = urlencode(case.query or {}, doseq=True)
        target = f"{case.formatted_path}?{query}" if query else case.formatted_path
        check(house, case.method, target, case.body, who)

    ask()


def check(house: House, method: str, target: str, body: Any, who: str) -> None:
    house.scene.world.clock.advance(1_000)
    key = house.keys[who]
    response = house.get(target, key) if method == "GET" else house.post(target, body, key)

    assert response.status_code != 500
    if response.status_code == 200:
        return
    problem = response.json()
    assert sorted(problem) == ["name", "reason", "sentence"]
    assert Reason(problem["reason"]).name == problem["name"]


@given(st.binary(max_size=400))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_as_a_body_are_refused_by_name(house: House, raw: bytes) -> None:
    house.scene.world.clock.advance(1_000)
    for path in ("/v1/transactions", "/v1/enrolments"):
        assert house.post(path, raw).json()["name"] == "MALFORMED"
