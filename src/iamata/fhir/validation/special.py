"""Checks of what a type alone does not tell: references, required codes, resources inside resources."""

from collections.abc import Mapping
from typing import Final

from iamata.fhir.definitions import is_resource_type
from iamata.fhir.validation.findings import Check, Findings, gather, state
from iamata.fhir.validation.issues import IssueType
from iamata.fhir.validation.objects import make_list_check
from iamata.fhir.validation.references import LOCAL, Contained, read_target

_NO_REFERENCE: Final = state(
    IssueType.VALUE,
    "Type/id, an address, or # and the id of a contained resource is expected",
    ".reference",
)
_NOT_CONTAINED: Final = state(
    IssueType.NOT_FOUND, "no contained resource has the id of this reference", ".reference"
)
_OTHER_TYPE: Final = state(IssueType.INVARIANT, "the type is not that of the reference", ".type")
_NO_RESOURCE: Final = state(IssueType.STRUCTURE, "a resource is expected")
_NO_TYPE: Final = state(IssueType.STRUCTURE, "a type of resource of FHIR R4 is expected", ".resourceType")
_NESTED: Final = state(IssueType.INVARIANT, "a contained resource must contain none", ".contained")
_NO_ID: Final = state(IssueType.REQUIRED, "a contained resource needs an id", ".id")
_SAME_ID: Final = state(IssueType.INVARIANT, "contained resources must have different ids")


def make_reference_check(check_object: Check, targets: tuple[str, ...]) -> Check:
    """Make the check of a Reference to some types of resource, or to any where none is named."""
    wrong = f"a reference to {' or '.join(targets)} is expected"
    wrong_target = state(IssueType.VALUE, wrong, ".reference")
    wrong_type = state(IssueType.VALUE, wrong, ".type")

    def check_reference(value: object, contained: Contained) -> Findings | None:
        bad = check_object(value, contained)
        if bad is not None or type(value) is not dict:
            return bad
        literal, named = value.get("reference"), value.get("type")
        target = "" if literal is None else read_target(literal, contained)
        if target is None:
            return _NO_REFERENCE
        if target == LOCAL:
            return _NOT_CONTAINED
        if target and targets and target not in targets:
            return wrong_target
        return None if named is None else check_type(named, target)

    def check_type(named: str, target: str) -> Findings | None:
        if target and is_resource_type(named) and named != target:
            return _OTHER_TYPE
        return wrong_type if targets and is_resource_type(named) and named not in targets else None

    return check_reference


def make_coded_check(check_object: Check, wrong: Findings, systems: Mapping[str, tuple[str, ...]]) -> Check:
    """Make the check of a CodeableConcept of which one coding must be of a value set."""

    def check_coded(value: object, contained: Contained) -> Findings | None:
        bad = check_object(value, contained)
        if bad is not None or type(value) is not dict:
            return bad
        codings = value.get("coding", [])
        is_bound = any(one.get("code") in systems.get(one.get("system"), ()) for one in codings)
        return None if is_bound else wrong

    return check_coded


def make_resource_check(checks: Mapping[str, Check]) -> Check:
    """Make the check of a resource of any type, which stands on its own or in an envelope."""

    def check_resource(value: object, _: Contained) -> Findings | None:
        if type(value) is not dict:
            return _NO_RESOURCE
        name = value.get("resourceType")
        if type(name) is not str or not is_resource_type(name):
            return _NO_TYPE
        return checks[name](value, list_contained(value))

    return check_resource


def make_contained_check(checks: Mapping[str, Check]) -> Check:
    """Make the check of the resources that a resource contains; they may refer to each other."""

    def check_one(value: object, contained: Contained) -> Findings | None:
        if type(value) is not dict:
            return _NO_RESOURCE
        name = value.get("resourceType")
        if type(name) is not str or not is_resource_type(name):
            return _NO_TYPE
        if "contained" in value:
            return _NESTED
        found = checks[name](value, contained)
        return found if "id" in value else gather(found, "", _NO_ID)

    check_all = make_list_check(check_one)

    def check_contained(value: object, contained: Contained) -> Findings | None:
        found = check_all(value, contained)
        if found is None and type(value) is list and len(contained) < len(value):
            return _SAME_ID
        return found

    return check_contained


def list_contained(resource: Mapping[str, object]) -> Contained:
    """List the resources that are contained in one, whatever else is wrong with them."""
    contained = resource.get("contained")
    if type(contained) is not list:
        return _NONE
    return {
        one["id"]: one["resourceType"]
        for one in contained
        if type(one) is dict and type(one.get("id")) is str and type(one.get("resourceType")) is str
    }


_NONE: Final[Contained] = {}
