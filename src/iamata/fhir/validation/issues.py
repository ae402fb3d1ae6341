"""What validation finds, and how it is told: plain words, a path, and never what stood there."""

import enum
from collections.abc import Sequence
from typing import Final

import msgspec

from iamata.model.reasons import Reason, Refused

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
    """A reference to what should be contained and is not, or a file that is not there."""
    INVALID = "invalid"
    """What cannot be read as a resource at all."""
    TOO_COSTLY = "too-costly"
    """What is larger or deeper than anybody's resource need be."""
    PROCESSING = "processing"
    """What could not be looked at, for a reason that lies outside of it."""
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


def state_refusal(refused: Refused, path: str = "") -> Issue:
    """State what could not even be read; where nothing was, there is no path."""
    return Issue(
        severity=Severity.ERROR,
        type=_REFUSALS.get(refused.reason, IssueType.PROCESSING),
        path=path,
        text=refused.detail or refused.reason.name.lower().replace("_", " "),
    )


def spell_first(issues: Sequence[Issue]) -> str:
    """Say in one line what is wrong first, and how much more is."""
    if not issues:
        return ""
    more = f" (and {len(issues) - 1} more)" if len(issues) > 1 else ""
    return f"{issues[0].path}: {issues[0].text}{more}"


def write_outcome(issues: Sequence[Issue]) -> dict[str, object]:
    """Write issues as an OperationOutcome, which says so where there are none."""
    written = [_write_issue(issue) for issue in issues]
    fine = {"severity": "information", "code": "informational", "diagnostics": "nothing wrong was found"}
    return {"resourceType": "OperationOutcome", "issue": written or [fine]}


def _write_issue(issue: Issue) -> dict[str, object]:
    written = {"severity": issue.severity.value, "code": issue.type.value, "diagnostics": issue.text}
    return written | ({"expression": [issue.path]} if issue.path else {})


_REFUSALS: Final = {
    Reason.RESOURCE_INVALID: IssueType.INVALID,
    Reason.INPUT_INVALID: IssueType.INVALID,
    Reason.ARCHIVE_BROKEN: IssueType.INVALID,
    Reason.ARCHIVE_UNSAFE: IssueType.INVALID,
    Reason.INPUT_TOO_DEEP: IssueType.TOO_COSTLY,
    Reason.INPUT_TOO_LARGE: IssueType.TOO_COSTLY,
    Reason.FILE_NOT_FOUND: IssueType.NOT_FOUND,
}
