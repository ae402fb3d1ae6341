"""Every function, by its name."""

from typing import Final

from iamata.fhir.path.functions.boundaries import BOUNDARIES
from iamata.fhir.path.functions.calls import Function
from iamata.fhir.path.functions.collections import COLLECTIONS
from iamata.fhir.path.functions.conversions import CONVERSIONS
from iamata.fhir.path.functions.fhir import FHIR
from iamata.fhir.path.functions.mathematics import MATHEMATICS
from iamata.fhir.path.functions.strings import STRINGS
from iamata.fhir.path.functions.tree import TREE

FUNCTIONS: Final[dict[str, Function]] = {
    **COLLECTIONS,
    **STRINGS,
    **MATHEMATICS,
    **CONVERSIONS,
    **BOUNDARIES,
    **TREE,
    **FHIR,
}
