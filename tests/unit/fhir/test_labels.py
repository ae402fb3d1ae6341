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


@pytest.mark.parametrize(
    ("resource", "labels"),
    [
        ({"resourceType": "Condition", "code": {"text": "Major DEPRESSION, recurrent"}}, ("R", "PSY")),
        ({"resourceType": "Condition", "code": {"text": "Schizophrenie"}}, ("R", "PSY")),
        ({"resourceType": "Condition", "code": {"text": "Gelbsucht"}}, ("N",)),
        (
            {
                "resourceType": "Condition",
                "code": {"text": "no depression", "coding": [{"system": "s", "code": "1"}]},
            },
            ("N",),
        ),
        ({"resourceType": "MedicationRequest", "reasonCode": [{"text": "Alkoholismus"}]}, ("R", "ETHUD")),
        ({"resourceType": "Observation", "valueCodeableConcept": {"text": "HIV positive"}}, ("R", "HIV")),
        ({"resourceType": "DocumentReference", "description": "Prenatal visit"}, ("R", "SEX")),
        (
            {"resourceType": "QuestionnaireResponse", "questionnaire": "http://loinc.org/q/44249-1"},
            ("R", "PSY"),
        ),
        ({"resourceType": "QuestionnaireResponse", "questionnaire": "http://a.example/feet"}, ("N",)),
        (
            {
                "resourceType": "Observation",
                "extension": [{"url": "http://hl7.org/fhir/StructureDefinition/observation-geneticsGene"}],
            },
            ("R", "GDIS"),
        ),
        (
            {
                "resourceType": "Patient",
                "extension": [
                    {
                        "url": "http://hl7.org/fhir/StructureDefinition/patient-genderIdentity",
                        "valueCodeableConcept": {"text": "x"},
                    }
                ],
            },
            ("R", "SEX"),
        ),
        ({"resourceType": "Patient", "gender": "female"}, ("N",)),
    ],
)
def test_words_without_codes_and_what_is_neither_are_labelled(
    resource: dict[str, Any], labels: tuple[str, ...]
) -> None:
    read = read_resource(compact(msgspec.json.encode(resource)))

    assert label(read, resource["resourceType"], _RULES) == labels


def test_every_list_of_words_and_every_expression_finds_something() -> None:
    table = tomllib.loads(_TABLE.read_text(encoding="utf-8"))

    for rule in table["rule"]:
        for word in rule.get("words", []):
            condition = {"resourceType": "Condition", "code": {"text": f"known {word}-x"}}
            labels = label(read_resource(msgspec.json.encode(condition)), "Condition", _RULES)
            assert set(rule["labels"]) <= set(labels)


def test_what_takes_too_long_to_look_at_is_taken_to_be_sensitive() -> None:
    rules = parse_rules(
        """version = "1"
        systems = {}
        [[rule]]
        name = "x"
        source = "a test"
        labels = ["PSY"]
        expressions = {Patient = ["(1 | 2 | 3).repeat($this + 1).exists()"]}"""
    )

    assert label(read_resource(b'{"resourceType":"Patient"}'), "Patient", rules) == ("R", "PSY")


@pytest.mark.parametrize(
    "more",
    ['texts = {Patient = ["name.("]}', 'texts = {Martian = ["name"]}', 'texts = {Patient = ["nam"]}'],
)
def test_an_expression_that_cannot_mean_anything_is_refused_with_its_place(more: str) -> None:
    with pytest.raises(Refused) as caught:
        parse_rules(f'version = "1"\nsystems = {{}}\nrule = []\n{more}')
    assert caught.value.reason is Reason.INPUT_INVALID
    assert "column" in caught.value.detail or "Martian" in more


def test_every_rule_names_its_source() -> None:
    with pytest.raises(Refused) as caught:
        parse_rules('version = "1"\n[systems]\n[[rule]]\nname = "x"\nlabels = ["PSY"]')
    assert caught.value.reason is Reason.INPUT_INVALID


@pytest.mark.parametrize("text", ["=", "version = 1", 'version = "1"\n[systems]\nrule = 7'])
def test_a_malformed_table_is_refused(text: str) -> None:
    with pytest.raises(Refused):
        parse_rules(text)
