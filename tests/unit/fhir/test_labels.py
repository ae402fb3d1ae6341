"""Sensitive codes are labelled, and what the source has labelled stays labelled."""

import tarfile
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from iamata.fhir.labels import label, parse_rules
from iamata.fhir.resources import compact, read_resource
from iamata.intake.rules import load_rules
from iamata.model.reasons import Reason, Refused

_RULES = load_rules()
_SNOMED, _LOINC = "http://snomed.info/sct", "http://loinc.org"
_ICD = "http://hl7.org/fhir/sid/icd-10"
_CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
_ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"


_HL7 = "http://terminology.hl7.org/CodeSystem/"
_TABLE = Path(__file__).parents[3] / "src/iamata/fhir/tables/labels.toml"
_PACKAGE = "fhir-r4/hl7.fhir.r4.core-4.0.1.tar.xz"


class _Concept(msgspec.Struct):
    code: str
    concept: list["_Concept"] = []


class _System(msgspec.Struct):
    content: str
    url: str = ""
    concept: list[_Concept] = []


def _flatten(concepts: list[_Concept]) -> list[str]:
    return [code for one in concepts for code in [one.code, *_flatten(one.concept)]]


def _label(
    *codings: tuple[str, str], security: tuple[tuple[str, str], ...] = (), kind: str = "Observation"
) -> Any:
    resource = {
        "resourceType": kind,
        "meta": {"security": [{"system": system, "code": code} for system, code in security]},
        "code": {"coding": [{"system": system, "code": code} for system, code in codings]},
    }
    return label(read_resource(compact(msgspec.json.encode(resource))), kind, _RULES)


def test_what_no_rule_names_is_normal() -> None:
    assert _label() == ("N",)
    assert _label((_LOINC, "2339-0"), (_SNOMED, "55277-8"), ("", "F20")) == ("N",)


@pytest.mark.parametrize(
    ("coding", "labels"),
    [
        ((_SNOMED, "171207006"), ("R", "PSY")),
        ((_LOINC, "44261-6"), ("R", "PSY")),
        ((_ICD, "F32.1"), ("R", "PSY")),
        ((_ICD, "f32.1"), ("R", "PSY")),
        ((_LOINC, "55277-8"), ("R", "HIV")),
        ((_ICD, "B20"), ("R", "HIV")),
        ((_SNOMED, "31676001"), ("R", "HIV")),
        ((_LOINC, "65750-2"), ("R", "ETH")),
        ((_ICD, "F10.2"), ("R", "ETHUD")),
        ((_SNOMED, "5602001"), ("R", "OPIOIDUD")),
        (("http://www.whocc.no/atc", "N07BC02"), ("R", "OPIOIDUD")),
        ((_SNOMED, "19169002"), ("R", "SEX")),
        (("http://www.nlm.nih.gov/research/umls/rxnorm", "748856"), ("R", "SEX")),
        ((_LOINC, "81247-9"), ("R", "GDIS")),
        ((_ICD, "Q90.0"), ("R", "GDIS")),
        ((_LOINC, "28245-9"), ("R", "SDV")),
        ((_SNOMED, "706893006"), ("R", "SDV")),
        ((_HL7 + "v3-RoleCode", "PHU"), ("R", "PSY")),
        ((_HL7 + "discharge-disposition", "psy"), ("R", "PSY")),
        ((_SNOMED, "394587001"), ("R", "PSY")),
        ((_LOINC, "34788-0"), ("R", "PSY")),
        ((_HL7 + "v2-0177", "AID"), ("R", "HIV")),
        ((_HL7 + "service-type", "108"), ("R", "ETH", "ETHUD")),
        ((_HL7 + "v2-0074", "GE"), ("R", "GDIS")),
        (("http://hl7.org/fhir/gender-identity", "female"), ("R", "SEX")),
        (("http://hl7.org/fhir/administrative-gender", "female"), ("N",)),
        ((_ICD, "F17.2"), ("N",)),
        ((_ICD, "E11.9"), ("N",)),
        ((_ICD, "F" * 100_000), ("N",)),
    ],
)
def test_each_category_has_rules_that_fire(coding: tuple[str, str], labels: tuple[str, ...]) -> None:
    assert _label(coding) == labels


def test_a_molecular_sequence_is_genetic_whatever_its_codes() -> None:
    assert _label(kind="MolecularSequence") == ("R", "GDIS")


def test_labels_of_the_source_are_kept_and_confidentiality_only_rises() -> None:
    assert _label(security=((_CONFIDENTIALITY, "V"), (_ACT, "PSY"))) == ("V", "PSY")
    assert _label(security=((_CONFIDENTIALITY, "L"),)) == ("L",)
    assert _label((_LOINC, "55277-8"), security=((_CONFIDENTIALITY, "N"),)) == ("R", "HIV")
    assert _label(security=((_ACT, "SDV"),)) == ("R", "SDV")
    assert _label(security=((_ACT, "XYZ"), ("other", "R"))) == ("N", "XYZ")


def test_a_sensitivity_under_another_name_becomes_ours_and_keeps_its_own() -> None:
    assert _label(security=((_ACT, "MH"),)) == ("R", "MH", "PSY")
    assert _label(security=((_ACT, "STD"),)) == ("R", "SEX", "STD")
    assert _label(security=((_CONFIDENTIALITY, "HIV"),)) == ("R", "HIV")


def test_codes_of_published_systems_are_in_the_published_package(shared_data: Path) -> None:
    table = tomllib.loads(_TABLE.read_text(encoding="utf-8"))
    names = {url: name for name, urls in table["systems"].items() for url in urls}
    known: dict[str, list[str]] = {}
    with tarfile.open(shared_data / _PACKAGE) as package:
        for member in package:
            if "/CodeSystem-" in member.name and (content := package.extractfile(member)) is not None:
                system = msgspec.json.decode(content.read(), type=_System)
                if system.url in names and system.content != "not-present":
                    known[names[system.url]] = _flatten(system.concept)

    assert len(known) == 11
    for rule in table["rule"]:
        for name, codes in rule.get("codes", {}).items():
            assert [code for code in codes if code not in known.get(name, codes)] == []


def test_a_code_of_two_categories_gets_both() -> None:
    assert _label((_SNOMED, "171207006"), (_LOINC, "28245-9")) == ("R", "PSY", "SDV")


def test_every_rule_names_its_source() -> None:
    with pytest.raises(Refused) as caught:
        parse_rules('version = "1"\n[systems]\n[[rule]]\nname = "x"\nlabels = ["PSY"]')
    assert caught.value.reason is Reason.INPUT_INVALID


@pytest.mark.parametrize("text", ["=", "version = 1", 'version = "1"\n[systems]\nrule = 7'])
def test_a_malformed_table_is_refused(text: str) -> None:
    with pytest.raises(Refused):
        parse_rules(text)
