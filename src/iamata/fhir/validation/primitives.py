"""Checks of values that have no elements: texts, numbers, truth."""

from typing import Final

from iamata.fhir.validation.findings import Check, Findings, state
from iamata.fhir.validation.formats import INTEGER_MAX, INTEGERS, IsText, is_decimal
from iamata.fhir.validation.issues import IssueType
from iamata.fhir.validation.references import Contained

_NO_TRUTH: Final = state(IssueType.VALUE, "true or false is expected")
_NO_NUMBER: Final = state(IssueType.VALUE, "a number is expected")
_NO_STRING: Final = state(IssueType.STRUCTURE, "a JSON string is expected")


def make_plain_check(name: str) -> Check:
    """Make the check of a primitive type that is no string."""
    if name == "boolean":
        return check_boolean
    return check_decimal if name == "decimal" else _make_integer_check(*INTEGERS[name])


def make_text_check(is_text: IsText, wrong: Findings) -> Check:
    """Make the check of a string."""

    def check_text(value: object, _: Contained) -> Findings | None:
        if type(value) is str:
            return None if is_text(value) else wrong
        return _NO_STRING

    return check_text


def check_boolean(value: object, _: Contained) -> Findings | None:
    """Check a boolean."""
    return None if value is True or value is False else _NO_TRUTH


def check_decimal(value: object, _: Contained) -> Findings | None:
    """Check a number."""
    return None if is_decimal(value) else _NO_NUMBER


def _make_integer_check(least: int, expected: str) -> Check:
    wrong = state(IssueType.VALUE, f"{expected} is expected")

    def check_integer(value: object, _: Contained) -> Findings | None:
        return None if type(value) is int and least <= value <= INTEGER_MAX else wrong

    return check_integer
