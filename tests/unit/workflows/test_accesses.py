"""Who looked: everything, nothing of others, and no word of the custodian's that the ledger denies."""

from typing import Any

import msgspec
import pytest

from iamata.ledger.tables import ACCESSES
from iamata.ledger.transactions.consents import WithdrawConsent
from iamata.model.ids import PersonId
from iamata.model.reasons import Reason, Refused
from iamata.testing import offices
from iamata.testing.scenes import Scene
from iamata.testing.world import Party
from iamata.vault.journal import JournalEntry, JournalKind, append_entries
from iamata.workflows import disclosures, reads
from iamata.workflows.accesses import AccessProof
from iamata.workflows.erasures import erase_patient
from iamata.workflows.messages import ReceiptNote, read_plan


def act(scene: Scene) -> None:
    """Let a disclosure, its receipt and a read inside happen, and anchor the journal."""
    scene.grant()
    (released,) = scene.answer()
    disclosures.accept_receipt(scene.a, scene.receive(released).receipt)
    read_inside(scene)
    reads.anchor_reads(scene.a)


def read_inside(scene: Scene) -> None:
    ada = scene.world.register_person("ada", member="hospital-a")
    person, patient = PersonId(ada.id), scene.anna.id
    reads.read_records(scene.a, ["Observation/mind"], person=person, patient=patient, purpose="TREAT")


def list_proofs(scene: Scene) -> dict[JournalKind, AccessProof]:
    return {proof.header.kind: proof for proof in offices.list_accesses(scene.a, scene.anna)}


def change(proof: AccessProof, **changes: Any) -> AccessProof:
    return msgspec.structs.replace(proof, **changes)


def test_disclosures_and_reads_inside_stand_in_one_list_each_proven(scene: Scene) -> None:
    act(scene)

    outside, inside = scene.looked(height_min=scene.engine.snapshot().height)

    assert (outside.kind, outside.recipient, outside.person) == ("disclosure", "hospital-b", scene.ben.id)
    assert (inside.kind, inside.recipient, inside.records) == ("read", "hospital-a", 1)
    assert (outside.purpose, inside.basis) == ("TREAT", "policy/own-care")
    for one in (outside, inside):
        assert (one.is_proven, one.is_released, one.is_confirmed) == (True, True, True)


def test_a_read_is_listed_at_once_and_proven_once_it_is_anchored(scene: Scene) -> None:
    read_inside(scene)
    assert [(one.is_released, one.is_proven) for one in scene.looked()] == [(True, False)]

    reads.anchor_reads(scene.a)

    assert [(one.is_released, one.is_proven) for one in scene.looked()] == [(True, True)]


def test_the_list_holds_nothing_of_another_patient(scene: Scene) -> None:
    boris = scene.world.enrol_patient("boris", custodian="hospital-a")
    act(scene)

    assert offices.list_accesses(scene.a, boris) == ()


@pytest.mark.parametrize("who", ["stranger", "boris", "ben", "node"])
def test_nobody_but_the_patient_gets_the_list(scene: Scene, who: str) -> None:
    boris = scene.world.enrol_patient("boris", custodian="hospital-a")
    authors = {
        "stranger": scene.world.stranger("x"),
        "boris": boris.author,
        "ben": scene.ben.author,
        "node": scene.a.author,
    }
    act(scene)

    with pytest.raises(Refused) as refused:
        offices.list_accesses(scene.a, Party(scene.anna.id, scene.anna.custodian, authors[who]))

    assert refused.value.reason is Reason.NOT_FOUND


def test_silence_about_a_disclosure_is_found_out(scene: Scene) -> None:
    act(scene)
    proofs = tuple(
        proof for proof in offices.list_accesses(scene.a, scene.anna) if proof.header.kind != "disclosure"
    )

    with pytest.raises(Refused) as refused:
        scene.check(proofs)

    assert refused.value.reason is Reason.FAULT_FOUND


def test_an_omitted_proof_is_never_shown_as_proven_nor_as_not_released(scene: Scene) -> None:
    act(scene)
    proofs = list_proofs(scene)
    bare = change(proofs[JournalKind.DISCLOSURE], access_state=None)
    loose = change(proofs[JournalKind.READ], anchor=None, anchor_state=None)

    shown = scene.check((bare, loose))

    assert [(one.is_proven, one.is_released) for one in shown] == [(False, True), (False, True)]


def test_absence_from_an_old_ledger_proves_nothing(scene: Scene) -> None:
    before = scene.engine.snapshot()
    act(scene)
    proof = list_proofs(scene)[JournalKind.DISCLOSURE]
    stale = change(proof, access_state=before.prove_entry(ACCESSES.key(proof.header.id)))

    with pytest.raises(Refused) as refused:
        scene.check((stale,), height_min=scene.engine.snapshot().height)

    assert refused.value.reason is Reason.FAULT_FOUND


def test_a_disclosure_told_otherwise_is_refused(scene: Scene) -> None:
    act(scene)
    proof = list_proofs(scene)[JournalKind.DISCLOSURE]
    plan = read_plan(proof.payload)

    for changes in ({"recipient": "hospital-c"}, {"purpose": "HPAYMT"}, {"records": ()}, {"person": "x"}):
        details = msgspec.structs.replace(plan.details, **changes)
        forged = msgspec.json.encode(msgspec.structs.replace(plan, details=details))
        with pytest.raises(Refused):
            scene.check((change(proof, payload=forged),))


def test_a_read_told_otherwise_is_refused(scene: Scene) -> None:
    act(scene)
    proof = list_proofs(scene)[JournalKind.READ]
    payload = proof.payload.replace(b"TREAT", b"PATRQT")

    with pytest.raises(Refused) as refused:
        scene.check((change(proof, payload=payload),), disclosed=())

    assert refused.value.reason is Reason.FAULT_FOUND


def test_what_is_no_entry_is_refused_without_a_traceback(scene: Scene) -> None:
    act(scene)

    for kind, proof in list_proofs(scene).items():
        if kind is not JournalKind.RECEIPT:
            for payload in (b"", b"\xff", b"{}", b"[" * 10_000):
                with pytest.raises(Refused):
                    scene.check((change(proof, payload=payload),), disclosed=())


def test_another_patients_entry_is_refused(scene: Scene) -> None:
    act(scene)
    proof = list_proofs(scene)[JournalKind.READ]
    header = msgspec.structs.replace(proof.header, patient="somebody else")

    with pytest.raises(Refused):
        scene.check((change(proof, header=header),), disclosed=())


def test_a_receipt_that_the_custodian_made_up_confirms_nothing(scene: Scene) -> None:
    scene.grant()
    (released,) = scene.answer()
    access = scene.receive(released).access
    note = offices.read_note(released.note)
    forged = scene.a.author.state(ReceiptNote, access=access, ciphertext=note.ciphertext)
    entry = JournalEntry(
        kind=JournalKind.RECEIPT,
        patient=scene.anna.id,
        id=access,
        time_ms=scene.a.tell_time(scene.a.take_view()),
        payload=forged.text.encode("ascii"),
    )
    append_entries(scene.a.custody, [entry])

    assert [one.is_confirmed for one in scene.looked()] == [False]


def test_a_key_proof_of_somebody_else_is_refused(scene: Scene) -> None:
    act(scene)
    proofs = list_proofs(scene)
    receipt = proofs[JournalKind.RECEIPT]
    swapped = change(receipt, key_state=proofs[JournalKind.DISCLOSURE].access_state)

    with pytest.raises(Refused):
        scene.check((proofs[JournalKind.DISCLOSURE], swapped))
    assert [one.is_confirmed for one in scene.check((proofs[JournalKind.DISCLOSURE],))] == [False]


def test_the_list_outlives_withdrawal_and_erasure(scene: Scene) -> None:
    consent = scene.grant()
    scene.answer()
    scene.anna.author.submit(WithdrawConsent, consent=consent)
    assert len(scene.looked()) == 1

    erase_patient(scene.a, scene.anna.id)

    assert len(scene.looked()) == 1
