"""The definitions say what the published specification says."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from iamata.fhir import definitions
from iamata.fhir.compartments import list_patient_paths
from iamata.fhir.definitions import (
    Kind,
    find_type,
    get_compartment,
    get_type,
    is_kind_of,
    is_resource_type,
    list_codes,
    list_parameters,
    list_resource_types,
)

_SCRIPT = Path(__file__).parents[3] / "scripts/make_fhir_definitions.py"
_PACKAGE = "fhir-r4/hl7.fhir.r4.core-4.0.1.tar.xz"
_LOAD_MS_MAX = 50


def test_the_table_is_what_the_script_writes(shared_data: Path) -> None:
    spec = importlib.util.spec_from_file_location("make_fhir_definitions", _SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert script.render_table(shared_data / _PACKAGE) == script.PLACE.read_bytes()


def test_the_table_loads_in_an_instant() -> None:
    program = (
        "import time; from iamata.fhir import definitions as d; begun = time.perf_counter();"
        "d.is_resource_type('Patient'); print((time.perf_counter() - begun) * 1000)"
    )
    times_ms = [
        float(subprocess.run([sys.executable, "-c", program], check=True, capture_output=True).stdout)  # noqa: S603  our own
        for _ in range(5)
    ]

    assert min(times_ms) < _LOAD_MS_MAX


def test_every_type_of_an_element_is_defined() -> None:
    types = {name for one in definitions._read_table().types.values() for name in [one.name, one.base]}  # noqa: SLF001  the whole
    used = {name for one in types - {""} for element in get_type(one).elements for name in element.types}

    assert {name for name in used if find_type(name) is None} == set()


def test_resources_are_those_that_can_be_made() -> None:
    assert len(list_resource_types()) == 146
    assert is_resource_type("Observation")
    assert not any(
        is_resource_type(name) for name in ("Resource", "DomainResource", "HumanName", "Martian")
    )


def test_elements_stand_in_order_those_of_the_base_first() -> None:
    names = [element.name for element in get_type("Observation").elements]

    assert names[:8] == [
        "id",
        "meta",
        "implicitRules",
        "language",
        "text",
        "contained",
        "extension",
        "modifierExtension",
    ]
    assert names[8:12] == ["identifier", "basedOn", "partOf", "status"]


def test_an_element_says_how_often_and_of_which_types() -> None:
    observation = get_type("Observation")
    status, category, subject, focus, value, component = (
        observation.find_element(name)
        for name in ("status", "category", "subject", "focus", "value", "component")
    )

    assert status is not None
    assert (status.min, status.max, status.types, status.codes) == (1, 1, ("code",), "observation-status")
    assert category is not None
    assert (category.min, category.max, category.is_list) == (0, None, True)
    assert subject is not None
    assert subject.targets == ("Patient", "Group", "Device", "Location")
    assert focus is not None
    assert focus.targets == ()
    assert value is not None
    assert value.is_choice
    assert value.spell_names()["valueQuantity"] == "Quantity"
    assert value.spell_names()["valueString"] == "string"
    assert component is not None
    assert component.types == ("Observation.component",)


def test_a_reference_to_other_content_names_its_type() -> None:
    element = get_type("Observation.component").find_element("referenceRange")

    assert element is not None
    assert element.types == ("Observation.referenceRange",)
    assert get_type("Observation.referenceRange").kind is Kind.BACKBONE


@pytest.mark.parametrize(
    ("path", "name"), [("Patient", "id"), ("Element", "string"), ("Narrative", "string")]
)
def test_an_id_is_an_id_in_resources_and_a_string_elsewhere(path: str, name: str) -> None:
    element = get_type(path).find_element("id")

    assert element is not None
    assert element.types == (name,)


def test_kinds_of_types_are_known() -> None:
    assert is_kind_of("Age", "Quantity")
    assert is_kind_of("code", "string")
    assert is_kind_of("Patient", "Resource")
    assert is_kind_of("Patient.contact", "BackboneElement")
    assert not is_kind_of("Binary", "DomainResource")
    assert not is_kind_of("Martian", "Resource")


def test_codes_are_listed_by_system() -> None:
    assert list_codes("administrative-gender") == {
        "http://hl7.org/fhir/administrative-gender": ("male", "female", "other", "unknown")
    }


def test_parameters_include_those_of_every_resource() -> None:
    parameters = list_parameters("Observation")

    assert parameters["_id"].expression == "Resource.id"
    assert parameters["code"].expression == "Observation.code"
    assert parameters["patient"].targets == ("Patient", "Group")
    assert parameters["code-value-quantity"].components == (
        ("code", "code"),
        ("value-quantity", "value.as(Quantity)"),
    )


def test_focus_confers_no_membership() -> None:
    compartment = get_compartment("Patient")
    paths = {name: list_patient_paths(name) for name in list_resource_types()}

    assert len(compartment) == 66
    assert all(paths[name] for name in compartment)
    assert paths["Observation"] == (("subject",), ("performer",))
    assert not any("focus" in path for one in paths.values() for path in one)
