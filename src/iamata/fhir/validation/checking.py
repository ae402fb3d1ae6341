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


def validate(elements: Mapping[str, object]) -> tuple[Issue, ...]:
    """Check a resource's elements, as `read_resource` gives them; tell what is wrong, or nothing."""
    found = compile_checks()["Resource"](elements, {})
    if found is None:
        return ()
    name = elements.get("resourceType")
    root = name if type(name) is str and is_resource_type(name) else "Resource"
    issues = [
        Issue(severity=Severity.ERROR, type=kind, path=root + path, text=text)
        for path, kind, text in found[:ISSUES_MAX]
    ]
    if len(found) > ISSUES_MAX:
        issues.append(
            Issue(severity=Severity.INFORMATION, type=IssueType.INCOMPLETE, path=root, text=_MORE)
        )
    return tuple(issues)
