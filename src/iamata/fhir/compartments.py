"""Say whose record a resource is, by the R4 Patient compartment (CompartmentDefinition/patient).

Only the compartment's own parameters confer membership; `Observation.focus` and every other element
never do. A resource that names no patient belongs to the member itself. One that names a patient in a
way that cannot be followed is refused: filing it as nobody's would hide it from its owner's consent.
"""

import functools
import re
from typing import Final

from iamata.fhir.definitions import get_compartment, list_parameters
from iamata.fhir.paths import Path, find_elements
from iamata.fhir.resources import Tree
from iamata.model.reasons import Reason, Refused

_PATIENT: Final = re.compile(r"(Patient/[A-Za-z0-9\-.]{1,64})(/_history/[A-Za-z0-9\-.]{1,64})?", re.ASCII)
_FOREIGN_PATIENT: Final = re.compile(r".*[/:]Patient/.*", re.DOTALL)

_PLAIN: Final = re.compile(r"[A-Za-z]+(\.[A-Za-z]+)+", re.ASCII)
_CLAUSE: Final = ".where(resolve() is Patient)"

_OWNERS: Final = ("subject", "patient")
"""Elements in which a bare identifier is most likely a patient's."""


def find_patients(elements: Tree, resource_type: str, resource_id: str) -> tuple[str, ...]:
    """List the patients (`Patient/…`) in whose compartments a resource lies, the most direct first."""
    patients = {f"Patient/{resource_id}": None} if resource_type == "Patient" else {}
    is_unclear = False
    for path in list_patient_paths(resource_type):
        for element in find_elements(elements, path):
            if type(element) is dict:
                if type(literal := element.get("reference")) is str and (
                    match := _PATIENT.fullmatch(literal)
                ):
                    patients[match[1]] = None
                elif _may_be_patient(elements, element, literal, path[-1]):
                    is_unclear = True
    if is_unclear and not patients:
        raise Refused(Reason.PATIENT_UNCLEAR, resource_type)
    return tuple(patients)


@functools.cache
def list_patient_paths(resource_type: str) -> tuple[Path, ...]:
    """List where a reference to a patient puts a resource of a type into that patient's compartment.

    The compartment names search parameters; the expression of each is a plain path, but for the clause
    that the target is a patient, so that membership is decided without evaluating FHIRPath.
    """
    paths: dict[Path, None] = {}
    for code in get_compartment("Patient").get(resource_type, ()):
        for expression in list_parameters(resource_type)[code].expression.split(" | "):
            path = expression.removesuffix(_CLAUSE)
            if not _PLAIN.fullmatch(path):
                raise ValueError(expression)
            paths[tuple(path.split(".")[1:])] = None
    return tuple(paths)


def _may_be_patient(elements: Tree, element: dict[str, object], literal: object, name: str) -> bool:
    """Tell whether a reference that is no `Patient/id` may mean a patient all the same."""
    if element.get("type") == "Patient":
        return True
    if type(literal) is not str:
        return name in _OWNERS and "identifier" in element and element.get("type") is None
    if literal.startswith("#"):
        return _find_contained_type(elements, literal[1:]) == "Patient"
    return literal.startswith("Patient") or _FOREIGN_PATIENT.fullmatch(literal) is not None


def _find_contained_type(elements: Tree, local_id: str) -> object:
    contained = elements.get("contained")
    for resource in contained if type(contained) is list else []:
        if type(resource) is dict and resource.get("id") == local_id:
            return resource.get("resourceType")
    return None
