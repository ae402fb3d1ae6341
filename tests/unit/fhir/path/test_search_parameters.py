"""Every expression of R4's search parameters compiles for the types that it is for."""

from iamata.fhir.definitions import list_parameters, list_resource_types
from iamata.fhir.path.expressions import compile_expression


def test_every_search_parameter_compiles() -> None:
    expressions = [
        (name, parameter.expression)
        for name in list_resource_types()
        for parameter in list_parameters(name).values()
        if parameter.expression
    ]

    assert len(expressions) > 2_000
    for name, text in expressions:
        compile_expression(text, type_name=name)
