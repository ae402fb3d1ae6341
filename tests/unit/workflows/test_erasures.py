"""Erasing: on the ledger first, finished after a crash, again after a restored backup, and for good."""

import copy
from typing import Any

import pytest

from iamata.ledger.events import RecordsErased
from iamata.model.reasons import Reason, Refused
from iamata.testing import offices
from iamata.testing.scenes import LABELS, Scene
from iamata.workflows import erasures, reads


def count_erasures(scene: Scene) -> int:
    return sum(isinstance(leaf.event, RecordsErased) for _, leaf in scene.engine.events(0))


def has_key(scene: Scene) -> bool:
    return scene.stores.keys.find(scene.anna.id) is not None


def list_rows(scene: Scene) -> int:
    return sum(1 for _ in scene.stores.records.read_of_patient(scene.anna.id))


def test_key_records_and_openings_go_and_a_receipt_stays(scene: Scene) -> None:
    scene.grant()

    erased = erasures.erase_patient(scene.a, scene.anna.id)

    assert (has_key(scene), list_rows(scene)) == (False, 0)
    assert (erased.shredded.records, erased.shredded.openings) == (len(LABELS), 1)
    assert erased.receipt.count(".") == 2
    assert scene.read() == []


def test_other_patients_keep_theirs(scene: Scene) -> None:
    boris = scene.world.enrol_patient("boris", custodian="hospital-a")
    (ref,) = offices.keep_records(scene.a, boris, {"boris": ("N",)})
    ada = scene.world.register_person("ada", member="hospital-a")

    erasures.erase_patient(scene.a, scene.anna.id)

    assert reads.read_records(scene.a, [ref], person=ada.id, patient=boris.id, purpose="TREAT")


@pytest.mark.parametrize("who", ["nobody", "another custodian's", "erased before"])
def test_only_an_own_living_patient_is_erased(scene: Scene, who: str) -> None:
    carl = scene.world.enrol_patient("carl", custodian="hospital-c")
    erasures.erase_patient(scene.a, scene.anna.id)
    patients = {
        "nobody": scene.world.derive_id("nobody"),
        "another custodian's": carl.id,
        "erased before": scene.anna.id,
    }

    with pytest.raises(Refused) as refused:
        erasures.erase_patient(scene.a, patients[who])

    assert refused.value.reason is Reason.UNKNOWN_PATIENT
    assert count_erasures(scene) == 1


def test_a_ledger_that_stops_before_leaves_everything(scene: Scene) -> None:
    scene.engine.stops_before = True

    with pytest.raises(Refused):
        erasures.erase_patient(scene.a, scene.anna.id)

    assert (has_key(scene), list_rows(scene)) == (True, len(LABELS))
    assert erasures.finish_erasures(scene.a) == []


def test_a_crash_between_ledger_and_shredding_is_finished_at_the_next_start(scene: Scene) -> None:
    scene.engine.stops_after = True
    with pytest.raises(Refused):
        erasures.erase_patient(scene.a, scene.anna.id)
    scene.engine.stops_after = False
    assert has_key(scene)
    assert scene.read() == []
    scene.a = offices.open_office(scene.world, "hospital-a", stores=scene.stores)

    (finished,) = erasures.finish_erasures(scene.a)

    assert (finished.had_key, finished.records) == (True, len(LABELS))
    assert (has_key(scene), list_rows(scene)) == (False, 0)
    assert erasures.finish_erasures(scene.a) == []


def take_backup(scene: Scene) -> dict[str, dict[str, Any]]:
    """Copy what the stores hold."""
    return {
        name: {
            part: copy.copy(held)
            for part, held in vars(getattr(scene.stores, name)).items()
            if part != "lock"
        }
        for name in ("records", "keys", "openings")
    }


def test_a_restored_backup_is_shredded_again_before_it_serves(scene: Scene) -> None:
    backup = take_backup(scene)
    erasures.erase_patient(scene.a, scene.anna.id)
    for name, content in backup.items():
        vars(getattr(scene.stores, name)).update(content)
    scene.a = offices.open_office(scene.world, "hospital-a", stores=scene.stores)
    assert has_key(scene)

    assert [one.records for one in erasures.finish_erasures(scene.a)] == [len(LABELS)]

    assert (has_key(scene), list_rows(scene)) == (False, 0)


def test_another_members_erasure_is_none_of_ours(scene: Scene) -> None:
    carl = scene.world.enrol_patient("carl", custodian="hospital-c")
    erasures.erase_patient(offices.open_office(scene.world, "hospital-c"), carl.id)

    assert erasures.finish_erasures(scene.a) == []
