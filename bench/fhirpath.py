"""FHIRPath, compiled, beside fhirpathpy in the same run: the published expressions that both evaluate.

Where the suite is not beside the checkout, a few expressions on a sample patient take its place, and the
unit says so.
"""

import contextlib
import gc
import io
import json
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple
from xml.etree import ElementTree as ET

import fhirpathpy
from fhirpathpy.models import models

from bench.harness import RUNS, Figure, compare
from iamata.fhir.exact import read_exact
from iamata.fhir.path.expressions import compile_expression
from iamata.fhir.path.folding import is_constant
from iamata.fhir.path.parser import parse
from iamata.fhir.path.temporal import parse_datetime
from iamata.model.reasons import Refused

SUITE: Final = Path(__file__).parents[2] / "shared/data/fhirpath"
TIMES: Final = 20
PEER_TIMES: Final = 4
NOW: Final = parse_datetime("2026-11-26T08:30:00.000+01:00")
SAMPLE: Final = {
    "resourceType": "Patient",
    "name": [{"use": "official", "family": "Vogel", "given": ["Anna", "Maria"]}, {"given": ["Anni"]}],
    "gender": "female",
    "birthDate": "1980-02-29",
}
EXPRESSIONS: Final = (
    "name.given",
    "Patient.name.where(use = 'official').family",
    "name.exists() and gender = 'female'",
    "name.select(given.first() & ' ' & family)",
    "birthDate < @2000-01-01",
    "name.given.count() > 2",
)


class Case(NamedTuple):
    """One expression, compiled by both, and the resource that it is asked of."""

    ours: Callable[[], object]
    theirs: Callable[[], object]
    is_constant: bool


def measure() -> dict[str, Figure]:
    """Count the evaluations in a second: of all expressions, and of those that look at the resource."""
    cases, unit = list(list_cases()), "evaluations/s" if SUITE.exists() else "evaluations/s, of a few"
    looking = [case for case in cases if not case.is_constant]
    gc.collect()
    gc.freeze()
    figures = {"fhirpath.rate": _compare(cases, unit), "fhirpath.rate_looking": _compare(looking, unit)}
    gc.unfreeze()
    return figures


def list_cases() -> Iterator[Case]:
    """List what both evaluate without complaint."""
    for text, raw in _list_expressions():
        tree, plain = read_exact(raw), json.loads(raw)
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            try:
                path = compile_expression(text, type_name=str(tree["resourceType"]))
                path.evaluate(tree, now=NOW)
                peer: Any = fhirpathpy.compile(text, models["r4"])
                peer(plain)
            except Refused:
                continue
            except Exception:  # noqa: BLE001, S112  the peer raises whatever it likes
                continue
        yield _make_case(path, tree, peer, plain, is_fixed=is_constant(parse(text)[1]))


def _make_case(path: Any, tree: Any, peer: Any, plain: Any, *, is_fixed: bool) -> Case:  # noqa: ANN401
    return Case(lambda: path.evaluate(tree, now=NOW), lambda: peer(plain), is_fixed)


def _list_expressions() -> Iterator[tuple[str, bytes]]:
    if not SUITE.exists():
        yield from ((text, json.dumps(SAMPLE).encode()) for text in EXPRESSIONS)
        return
    for test in ET.parse(SUITE / "tests-fhir-r4.xml").getroot().iter("test"):  # noqa: S314  a published file
        expression = test.find("expression")
        if expression is None or "invalid" in {*expression.attrib, *test.attrib}:
            continue
        name = (test.get("inputfile") or "patient-example.xml").rpartition(".")[0]
        paths = (SUITE / part / f"{name}.json" for part in ("json/r4", "input", "input/examples"))
        text = expression.text or ""
        if "trace" not in text:  # the peer prints
            yield text, next(path for path in paths if path.exists()).read_bytes()


def _compare(cases: list[Case], unit: str) -> Figure:
    """Time both in turn, several times; the median of each."""
    ours, theirs = [], []
    for _ in range(RUNS):
        ours.append(_time(cases, lambda case: case.ours, TIMES))
        theirs.append(_time(cases, lambda case: case.theirs, PEER_TIMES))
    return compare(len(cases) / statistics.median(ours), unit, len(cases) / statistics.median(theirs))


def _time(cases: list[Case], pick: Callable[[Case], Callable[[], object]], times: int) -> float:
    """Return the seconds that evaluating every expression once takes."""
    begun_s = time.perf_counter()
    for case in cases:
        evaluate = pick(case)
        for _ in range(times):
            evaluate()
    return (time.perf_counter() - begun_s) / times
