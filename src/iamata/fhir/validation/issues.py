"""What validation finds, and how it is told: plain words, a path, and never what stood there."""

import enum
from collections.abc import Sequence
from typing import Final

import msgspec

ISSUES_MAX: Final = 100
"""So many are told of one resource; whoever mends these may ask again."""


class Severity(enum.StrEnum):
    """How bad it is (IssueSeverity)."""

    ERROR = "error"
    """What FHIR forbids."""
    INFORMATION = "information"


class IssueType(enum.StrEnum):
    """What is wrong (IssueType)."""

    STRUCTURE = "structure"
    """An element that does not belong there, or is not shaped like its type."""
    REQUIRED = "required"
    """An element that must be there and is not."""
    VALUE = "value"
    """A value that is not spelt as its type asks."""
    CODE = "code-invalid"
    """A code outside the value set that is binding."""
    INVARIANT = "invariant"
    """Elements that do not go together."""
    NOT_FOUND = "not-found"
    """A reference into the resource itself to what is not in it."""
    INCOMPLETE = "incomplete"
    """There is more to say than is said."""
    INFORMATIONAL = "informational"


class Issue(msgspec.Struct, frozen=True, gc=False):
    """One thing that is wrong."""

    severity: Severity
    type: IssueType
    path: str
    """Where, as FHIRPath: `Patient.name[0].given[1]`."""
    text: str
    """What was expected, in words."""


def write_outcome(issues: Sequence[Issue]) -> dict[str, object]:
    """Write issues as an OperationOutcome, which says so where there are none."""
    written: list[dict[str, object]] = [
        {
            "severity": issue.severity.value,
            "code": issue.type.value,
            "diagnostics": issue.text,
            "expression": [issue.path],
        }
        for issue in issues
    ]
    fine = {"severity": "information", "code": "informational", "diagnostics": "nothing wrong was found"}
    return {"resourceType": "OperationOutcome", "issue": written or [fine]}
