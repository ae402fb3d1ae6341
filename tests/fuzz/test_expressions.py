"""Any text is an expression or refused; evaluating one on any JSON gives items or a refusal, in time."""

import contextlib
import time
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st

from iamata.fhir.path.expressions import compile_expression
from iamata.fhir.path.functions.catalogue import FUNCTIONS
from iamata.fhir.path.parser import LEVELS
from iamata.fhir.path.temporal import parse_datetime
from iamata.model.reasons import Refused

SLOW_S: Final = 5.0
NOW: Final = parse_datetime("2026-11-26T08:30:00.000+01:00")
ATOMS: Final = (
    "name", "given", "birthDate", "value", "contact", "extension", "Patient", "$this", "$index", "$total",
    "%resource", "%sct", "%`vs-x`", "{}", "true", "1", "-1", "0.5", "2147483647", "1000000000000.5", "'a'",
    "''", "'[a-z]+'", "'4.5'", "'2024-01-01'", "4 'mg'", "1 month", "@2024-02-29", "@2024T", "@T10:30",
    "@2024-01-01T00:00:00+14:00",
)  # fmt: skip
RESOURCES: Final[list[dict[str, Any]]] = [
    {
        "resourceType": "Patient",
        "id": "p",
        "name": [{"given": ["Anna", None], "_given": [None, {"id": "x"}]}, {"family": "V"}],
        "birthDate": "1980-02",
        "contact": [{"name": {"given": ["B"]}}],
        "extension": [{"url": "u", "valueDecimal": 1.5}],
    },
    {"resourceType": "Observation", "valueQuantity": {"value": 5, "unit": "mg"}, "status": "final"},
    {
        "resourceType": "Patient",
        "name": "no list",
        "birthDate": 7,
        "contact": [[], None, "x"],
        "gender": {},
    },
    {"resourceType": 3, "name": [{"given": {}}]},
]


def _join(children: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    operators = st.sampled_from([one for level in LEVELS for one in level if one not in {"is", "as"}])
    names = st.sampled_from(sorted(FUNCTIONS))
    return st.one_of(
        st.builds(
            lambda left, operator, right: f"({left} {operator} {right})", children, operators, children
        ),
        st.builds(lambda head, name: f"{head}.{name}()", children, names),
        st.builds(lambda head, name, one: f"{head}.{name}({one})", children, names, children),
        st.builds(
            lambda head, name, one, two: f"{head}.{name}({one}, {two})", children, names, children, children
        ),
        st.builds(lambda head, index: f"{head}[{index}]", children, children),
        st.builds(
            lambda head, kind: f"({head} is {kind})", children, st.sampled_from(["string", "Quantity"])
        ),
    )


EXPRESSIONS: Final = st.recursive(st.sampled_from(ATOMS), _join, max_leaves=12)


def run(text: str, resource: object) -> None:
    begun_s = time.perf_counter()
    with contextlib.suppress(Refused):
        compile_expression(text).evaluate(resource, now=NOW)
    assert time.perf_counter() - begun_s < SLOW_S


@settings(max_examples=400)
@given(EXPRESSIONS, st.sampled_from(RESOURCES))
def test_an_expression_gives_items_or_is_refused(text: str, resource: dict[str, Any]) -> None:
    run(text, resource)


@given(st.text(max_size=60), st.sampled_from(RESOURCES))
def test_any_text_is_an_expression_or_refused(text: str, resource: dict[str, Any]) -> None:
    run(text, resource)


@given(EXPRESSIONS, st.integers(0, 200), st.text(max_size=3))
def test_a_damaged_expression_is_read_or_refused(text: str, at: int, extra: str) -> None:
    run(text[:at] + extra + text[at + 1 :], RESOURCES[0])
