"""What a check returns: nothing, or what is wrong, with paths that begin below what was checked."""

from collections.abc import Callable
from typing import TypeAlias

from iamata.fhir.validation.issues import ISSUES_MAX, IssueType
from iamata.fhir.validation.references import Contained

Finding: TypeAlias = tuple[str, IssueType, str]
"""The path, the kind and the words; a path is empty, or begins with `.` or `[`."""
Findings: TypeAlias = list[Finding]
Check: TypeAlias = Callable[[object, Contained], Findings | None]
"""Judges a value inside a resource with these contained resources."""


def state(kind: IssueType, text: str, path: str = "") -> Findings:
    """State one finding about the value itself, or about something below it."""
    return [(path, kind, text)]


def gather(found: Findings | None, prefix: str, more: Findings) -> Findings:
    """Add findings from further down to what was found; beyond so many they are counted out."""
    if found is None:
        found = []
    for path, kind, text in more[: ISSUES_MAX + 1 - len(found)]:
        found.append((prefix + path, kind, text))
    return found
