"""A resource that breaks the structure is described with where it does, or refused where that is wanted."""

import msgspec

from iamata.fhir.describing import (
    Described,
    Description,
    NotDescribed,
    Resolved,
    ToDescribe,
    describe_here,
    require_structure,
    spell_rules,
)
from iamata.fhir.preparing import Known, prepare_document
from iamata.intake.rules import load_rules
from iamata.model.reasons import Reason

_RULES = load_rules()
_RIGHT = {"resourceType": "Patient", "gender": "female"}
_WRONG = {"resourceType": "Patient", "gender": "f"}
_EXPECTED = "Patient.gender: a code of the value set administrative-gender is expected"


def _ask() -> ToDescribe:
    bodies = [msgspec.json.encode(each) for each in (_RIGHT, _WRONG)]
    resources = [Resolved(index, "Patient", f"p{index}", body) for index, body in enumerate(bodies)]
    return ToDescribe(spell_rules(_RULES), resources)


def test_an_irregularity_is_told_with_its_place() -> None:
    [(_, answers)] = describe_here([_ask()])

    assert [one.irregularity for one in answers if isinstance(one, Described)] == ["", _EXPECTED]


def test_where_structure_is_required_an_irregularity_is_a_refusal() -> None:
    [(asked, answers)] = require_structure(describe_here)([_ask()])

    assert len(asked) == 2
    right, wrong = answers
    assert isinstance(right, Described)
    assert wrong == NotDescribed(Reason.RESOURCE_INVALID, _EXPECTED)


def test_descriptions_survive_the_way_to_another_process() -> None:
    [(_, answers)] = describe_here([_ask()])
    raw = msgspec.msgpack.encode(answers)

    assert msgspec.msgpack.decode(raw, type=list[Description]) == answers


def test_one_that_breaks_the_structure_keeps_its_transaction_out_and_no_neighbour_in_a_batch() -> None:
    entries = [
        {"resource": each, "request": {"method": "PUT", "url": f"Patient/p{index}"}}
        for index, each in enumerate((_RIGHT, _WRONG))
    ]
    known = Known(lambda *_: (), is_patient_known=lambda _: True)

    def prepare(kind: str) -> tuple[int, list[tuple[int | None, str]]]:
        bundle = msgspec.json.encode({"resourceType": "Bundle", "type": kind, "entry": entries})
        strictly = require_structure(describe_here)
        batch = prepare_document(bundle, known=known, rules=_RULES, describe=strictly)
        return len(batch.prepared), [(fault.index, fault.detail) for fault in batch.faults]

    assert prepare("transaction") == (0, [(1, _EXPECTED)])
    assert prepare("batch") == (1, [(1, _EXPECTED)])
