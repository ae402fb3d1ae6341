"""Check a resource against the structure that FHIR R4 gives its type.

Looked at are elements, their types, number and order of nesting, how primitives are spelt, codes of
required bindings, what references may point to, and contained resources. Not looked at are profiles,
invariants that need FHIRPath, terminology beyond required bindings, and whether a reference's target
exists outside of the resource.
"""

from collections.abc import Mapping
from typing import Final

from iamata.fhir.definitions import is_resource_type
from iamata.fhir.validation.compiling import compile_checks
from iamata.fhir.validation.issues import ISSUES_MAX, Issue, IssueType, Severity

_MORE: Final = "more is wrong than is told here"
_RESOURCE: Final = "Resource"


def validate(elements: Mapping[str, object]) -> tuple[Issue, ...]:
    """Check a resource's elements, as `read_resource` gives them; tell what is wrong, or nothing."""
    name = elements.get("resourceType")
    is_known = type(name) is str and is_resource_type(name)
    return check(_RESOURCE, elements, path=str(name) if is_known else _RESOURCE)


def check(type_name: str, value: object, *, path: str) -> tuple[Issue, ...]:
    """Check a value of a type that stands at a path."""
    found = compile_checks()[type_name](value, {})
    if found is None:
        return ()
    issues = [
        Issue(severity=Severity.ERROR, type=kind, path=path + below, text=text)
        for below, kind, text in found[:ISSUES_MAX]
    ]
    return (*issues, state_incompleteness(path)) if len(found) > ISSUES_MAX else tuple(issues)


def state_incompleteness(path: str) -> Issue:
    """Say that more is wrong than is told."""
    return Issue(severity=Severity.INFORMATION, type=IssueType.INCOMPLETE, path=path, text=_MORE)
