"""Records come in: each unit whole or not at all, once, never for an erased patient, under an anchor."""

import json
from typing import Any

import pytest

from iamata.fhir.labels import LabelRules
from iamata.fhir.preparing import Batch, Known, Prepared, prepare_document
from iamata.intake.rules import load_rules
from iamata.ledger.tables import PATIENTS
from iamata.model.ids import PatientId
from iamata.model.reasons import Reason, Refused
from iamata.testing import offices
from iamata.testing.scenes import Scene
from iamata.vault.opening import list_facts
from iamata.workflows import erasures, records
from iamata.workflows.records import Importer, ImportTally


@pytest.fixture(scope="module")
def rules() -> LabelRules:
    """Load the rule table that ships with the package."""
    return load_rules()


def patient(name: str) -> dict[str, Any]:
    identifier = [{"system": "urn:mrn", "value": name}]
    return {"resourceType": "Patient", "id": name, "identifier": identifier}


def observation(name: str, subject: str, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": name,
        "status": "final",
        "code": {"text": "weight"},
        "subject": {"reference": subject},
        **more,
    }


def prepare(importer: Importer, rules: LabelRules, *resources: dict[str, Any]) -> Batch:
    bundle = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"resource": resource} for resource in resources],
    }
    content = json.dumps(bundle, separators=(",", ":")).encode()
    known = Known(importer.find_identifier, importer.is_patient_known)
    return prepare_document(content, known=known, rules=rules)


def add(importer: Importer, rules: LabelRules, *resources: dict[str, Any]) -> tuple[Prepared, ...]:
    batch = prepare(importer, rules, *resources)
    assert batch.faults == ()
    importer.add(batch.prepared)
    return batch.prepared


def import_all(scene: Scene, rules: LabelRules, *units: tuple[dict[str, Any], ...]) -> ImportTally:
    importer = Importer(scene.a)
    for unit in units:
        add(importer, rules, *unit)
    return importer.finish()


JANE = (patient("jane"), observation("w1", "Patient/jane"))
JOHN = (patient("john"), observation("w2", "Patient/john"))


def list_of(scene: Scene, name: str) -> list[str]:
    pseudonym = scene.a.compute_pseudonym(f"Patient/{name}")
    return [one.facts.record for one in list_facts(scene.a.custody, pseudonym)]


def test_patients_are_enrolled_records_kept_and_everything_anchored(
    scene: Scene, rules: LabelRules
) -> None:
    tally = import_all(scene, rules, JANE, JOHN)

    assert (tally.added, tally.patients_enrolled) == (4, 2)
    assert list_of(scene, "jane") == ["Patient/jane", "Observation/w1"]
    entry = PATIENTS.find(scene.engine.snapshot(), scene.a.compute_pseudonym("Patient/jane"))
    assert entry is not None
    assert entry.is_custodial
    head = scene.a.custody.records.read_head()
    assert head.settled == head.last


def test_the_same_again_adds_nothing(scene: Scene, rules: LabelRules) -> None:
    import_all(scene, rules, JANE, JOHN)
    blocks = len(scene.engine.blocks)

    again = import_all(scene, rules, JANE, JOHN)

    assert (again.added, again.unchanged, again.patients_enrolled, again.anchors) == (0, 4, 0, 0)
    assert len(scene.engine.blocks) == blocks


def test_a_conditional_reference_finds_what_is_kept_and_what_waits(scene: Scene, rules: LabelRules) -> None:
    import_all(scene, rules, JANE)
    importer = Importer(scene.a)
    add(importer, rules, *JOHN)

    add(importer, rules, observation("w3", "Patient?identifier=urn:mrn|jane"))
    add(importer, rules, observation("w4", "Patient?identifier=urn:mrn|john"))
    importer.finish()

    assert list_of(scene, "jane") == ["Patient/jane", "Observation/w1", "Observation/w3"]
    assert list_of(scene, "john") == ["Patient/john", "Observation/w2", "Observation/w4"]


def test_a_conditional_reference_to_nobody_or_to_two_is_refused(scene: Scene, rules: LabelRules) -> None:
    twin = patient("twin") | {"identifier": [{"system": "urn:mrn", "value": "jane"}]}
    import_all(scene, rules, JANE, (twin,))
    importer = Importer(scene.a)

    for who in ("nobody", "jane"):
        batch = prepare(importer, rules, observation("w3", f"Patient?identifier=urn:mrn|{who}"))
        assert [fault.reason for fault in batch.faults] == [Reason.REFERENCE_UNRESOLVED]


def test_an_erased_patient_does_not_come_back(scene: Scene, rules: LabelRules) -> None:
    import_all(scene, rules, JANE)
    jane = scene.a.compute_pseudonym("Patient/jane")
    erasures.erase_patient(scene.a, jane)
    importer = Importer(scene.a)

    with pytest.raises(Refused) as refused:
        add(importer, rules, *JANE)

    assert refused.value.reason is Reason.ERASED
    assert importer.finish().added == 0
    assert scene.stores.keys.find(jane) is None


def test_a_unit_with_an_erased_patient_is_refused_whole(scene: Scene, rules: LabelRules) -> None:
    import_all(scene, rules, JANE)
    erasures.erase_patient(scene.a, scene.a.compute_pseudonym("Patient/jane"))
    importer = Importer(scene.a)
    linked = patient("john") | {"link": [{"other": {"reference": "Patient/jane"}, "type": "seealso"}]}

    for unit in ([*JOHN, *JANE], [linked]):
        with pytest.raises(Refused) as refused:
            add(importer, rules, *unit)
        assert refused.value.reason is Reason.ERASED

    assert importer.finish().added == 0
    assert list_of(scene, "john") == []


def test_erasing_while_an_import_waits_wins(scene: Scene, rules: LabelRules) -> None:
    """Else the waiting unit would make the erased patient a new key."""
    import_all(scene, rules, JANE)
    jane = scene.a.compute_pseudonym("Patient/jane")
    importer = Importer(scene.a)
    add(importer, rules, observation("w6", "Patient/jane"))
    add(importer, rules, *JOHN)
    erasures.erase_patient(scene.a, jane)

    tally = importer.finish()

    assert (tally.added, tally.units_erased) == (2, 1)
    assert scene.stores.keys.find(jane) is None
    assert list_of(scene, "john") == ["Patient/john", "Observation/w2"]


@pytest.mark.parametrize("trouble", ["stops_before", "stops_after"])
def test_an_anchor_that_a_crash_left_half_done_is_finished_under_its_id(
    scene: Scene, rules: LabelRules, trouble: str
) -> None:
    records.anchor_records(scene.a)
    offices.keep_records(scene.a, scene.anna, {"one": ("N",), "two": ("N",)})
    setattr(scene.engine, trouble, True)
    with pytest.raises(Refused):
        records.anchor_records(scene.a)
    setattr(scene.engine, trouble, False)
    scene.a = offices.open_office(scene.world, "hospital-a", stores=scene.stores)
    planned = [anchor.id for anchor in scene.stores.records.read_anchors()]

    tally = import_all(scene, rules, JANE)

    assert tally.anchors == 2
    assert [anchor.id for anchor in scene.stores.records.read_anchors()][:2] == planned
    assert [anchor.count for anchor in scene.stores.records.read_anchors()] == [4, 2, 2]
    assert records.anchor_records(scene.a) == []


@pytest.mark.parametrize("trouble", ["stops_before", "stops_after"])
def test_an_import_that_stopped_while_enrolling_goes_on(
    scene: Scene, rules: LabelRules, trouble: str
) -> None:
    setattr(scene.engine, trouble, True)
    with pytest.raises(Refused):
        import_all(scene, rules, JANE, JOHN)
    setattr(scene.engine, trouble, False)

    assert import_all(scene, rules, JANE, JOHN).added == 4
    assert list_of(scene, "jane") == ["Patient/jane", "Observation/w1"]


def test_a_pseudonym_is_the_same_each_time_and_for_one_custodian_alone(scene: Scene) -> None:
    again = offices.open_office(scene.world, "hospital-a", stores=scene.stores)
    pseudonyms = {office.compute_pseudonym("Patient/jane") for office in (scene.a, again)}

    assert len(pseudonyms) == 1
    assert scene.b.compute_pseudonym("Patient/jane") not in pseudonyms
    assert PatientId(next(iter(pseudonyms)))


@pytest.mark.parametrize("is_kept", [True, False], ids=["kept", "waiting"])
def test_a_record_of_one_patient_is_not_taken_over_by_another(
    scene: Scene, rules: LabelRules, *, is_kept: bool
) -> None:
    importer = Importer(scene.a)
    add(importer, rules, *JANE)
    if is_kept:
        importer.flush()

    with pytest.raises(Refused) as refused:
        add(importer, rules, patient("john"), observation("w1", "Patient/john"))

    assert refused.value.reason is Reason.PATIENT_UNCLEAR
    assert importer.finish().added == 2
    assert (list_of(scene, "jane"), list_of(scene, "john")) == (["Patient/jane", "Observation/w1"], [])


def test_an_id_that_stands_twice_adds_nothing_the_second_time(scene: Scene, rules: LabelRules) -> None:
    units = (JANE, (observation("w1", "Patient/jane", note=[{"text": "corrected"}]),))
    assert import_all(scene, rules, *units).added == 3

    assert import_all(scene, rules, *units).added == 0


def test_a_record_about_a_stranger_enrols_nobody(scene: Scene, rules: LabelRules) -> None:
    importer = Importer(scene.a)

    batch = prepare(importer, rules, observation("w1", "Patient/jane"))

    assert [(fault.reason, fault.is_waiting) for fault in batch.faults] == [
        (Reason.PATIENT_NOT_IMPORTED, True)
    ]
    tally = importer.finish()
    assert (tally.added, tally.patients_enrolled) == (0, 0)


@pytest.mark.parametrize("is_kept", [True, False], ids=["kept", "waiting"])
def test_a_patient_who_came_before_is_no_stranger(
    scene: Scene, rules: LabelRules, *, is_kept: bool
) -> None:
    importer = Importer(scene.a)
    add(importer, rules, patient("jane"))
    if is_kept:
        importer.flush()

    add(importer, rules, observation("w1", "Patient/jane"))

    assert (importer.finish().added, list_of(scene, "jane")) == (2, ["Patient/jane", "Observation/w1"])


def test_whoever_was_erased_is_told_to_be_and_no_stranger(scene: Scene, rules: LabelRules) -> None:
    import_all(scene, rules, JANE)
    erasures.erase_patient(scene.a, scene.a.compute_pseudonym("Patient/jane"))

    with pytest.raises(Refused) as refused:
        add(Importer(scene.a), rules, observation("w2", "Patient/jane"))

    assert refused.value.reason is Reason.ERASED


BOTH = observation("w3", "Patient/jane", performer=[{"reference": "Patient/john"}])


def test_a_record_about_two_patients_is_kept_for_both_once(scene: Scene, rules: LabelRules) -> None:
    units = (JANE, JOHN, (BOTH,))
    tally = import_all(scene, rules, *units)

    assert (tally.added, tally.patients_enrolled) == (5, 2)
    for name in ("jane", "john"):
        assert list_of(scene, name)[-1] == "Observation/w3"
    labels = [
        one.facts.labels
        for name in ("jane", "john")
        for one in list_facts(scene.a.custody, scene.a.compute_pseudonym(f"Patient/{name}"))
        if one.facts.record == "Observation/w3"
    ]
    assert labels[0] == labels[1]
    again = import_all(scene, rules, *units)
    assert (again.added, again.unchanged, again.anchors) == (0, 5, 0)
    (anchor,) = scene.stores.records.read_anchors(after=0)
    assert anchor.count == 4 + 6


def test_erasing_either_while_an_import_waits_keeps_out_what_is_about_both(
    scene: Scene, rules: LabelRules
) -> None:
    import_all(scene, rules, JANE, JOHN)
    importer = Importer(scene.a)
    add(importer, rules, BOTH)
    erasures.erase_patient(scene.a, scene.a.compute_pseudonym("Patient/john"))

    assert importer.finish() == ImportTally(units_erased=1)
    assert list_of(scene, "jane") == ["Patient/jane", "Observation/w1"]
