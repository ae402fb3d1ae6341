"""The reference of FHIRPath names every function and every limit."""

import re

from documents import ROOT
from iamata.fhir.path import refusals
from iamata.fhir.path.functions.catalogue import FUNCTIONS


def read_reference() -> str:
    return (ROOT / "docs/reference/fhirpath.md").read_text(encoding="utf-8")


def test_every_function_is_named_and_no_other() -> None:
    table = read_reference().partition("## Functions")[2].partition("`memberOf` knows")[0]

    assert sorted(re.findall(r"`(\w+)`", table)) == sorted(FUNCTIONS)


def test_the_limits_are_those_that_hold() -> None:
    limits = read_reference().partition("## Limits")[2]

    for limit in (
        refusals.EXPRESSION_CHARS_MAX,
        refusals.NESTING_MAX,
        refusals.HEIGHT_MAX,
        refusals.CHAIN_MAX,
        refusals.STEPS_MAX,
        refusals.STRING_CHARS_MAX,
        refusals.REGEX_CHARS_MAX,
    ):
        assert f"{limit:,}" in limits
