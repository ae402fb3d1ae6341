"""A release opens for whom it was meant, just as the ledger was told, with the notices that must travel."""

import msgspec
import pytest

from iamata.crypto.merkle import hash_leaf
from iamata.model.ids import Digest, encode_digest
from iamata.model.reasons import Reason, Refused
from iamata.testing import offices
from iamata.testing.scenes import Scene
from iamata.vault.journal import JournalKind, read_entries
from iamata.workflows import disclosures, receiving
from iamata.workflows.messages import ReceiptNote, Release, ReleaseNote
from iamata.workflows.receiving import Received


def test_substance_use_leaves_with_consent_scope_and_notice(scene: Scene) -> None:
    consent = scene.grant(labels=("N", "R", "ETH"))

    received = scene.receive(scene.answer()[0])

    (obligation,) = received.obligations
    assert (obligation.code, obligation.notice, obligation.consent) == ("NORDSCLCD", "42-cfr-2.32", consent)
    assert obligation.records == ("Observation/alcohol",)
    assert "substance use" in obligation.scope[0]


def test_substance_use_without_its_notice_is_refused_by_the_recipient(scene: Scene) -> None:
    scene.grant(labels=("N", "R", "ETH"))
    received = scene.receive(scene.answer()[0])

    with pytest.raises(Refused) as refused:
        receiving.check_obligations(received.records, ())

    assert refused.value.reason is Reason.CANNOT_OPEN


def test_what_is_not_protected_leaves_without_a_notice(scene: Scene) -> None:
    scene.grant()

    assert scene.receive(scene.answer()[0]).obligations == ()


def exchange(scene: Scene) -> tuple[Release, Received]:
    scene.grant()
    (released,) = scene.answer()
    return released, scene.receive(released)


def test_a_receipt_is_kept_once_and_shown(scene: Scene) -> None:
    _, received = exchange(scene)
    assert [one.is_confirmed for one in scene.looked()] == [False]

    disclosures.accept_receipt(scene.a, received.receipt)
    disclosures.accept_receipt(scene.a, received.receipt)

    assert [one.is_confirmed for one in scene.looked()] == [True]
    kinds = [entry.header.kind for entry in read_entries(scene.a.custody, scene.anna.id)]
    assert kinds.count(JournalKind.RECEIPT) == 1


def test_a_receipt_counts_from_its_recipient_alone(scene: Scene) -> None:
    released, received = exchange(scene)
    note = read_note(released)
    c = scene.world.node("hospital-c").author
    forged = [
        c.state(ReceiptNote, access=received.access, ciphertext=note.ciphertext),
        scene.ben.author.state(ReceiptNote, access=received.access, ciphertext=note.ciphertext),
        scene.a.author.state(ReceiptNote, access=received.access, ciphertext=note.ciphertext),
        scene.world.stranger("x").state(ReceiptNote, access=received.access, ciphertext=note.ciphertext),
        scene.b.author.state(ReceiptNote, access=received.access, ciphertext=note.plan),
        scene.b.author.state(ReceiptNote, access=scene.world.derive_id("none"), ciphertext=note.ciphertext),
    ]

    for one in forged:
        with pytest.raises(Refused) as refused:
            disclosures.accept_receipt(scene.a, one.text)
        assert refused.value.reason is Reason.NOT_FOUND
    assert [one.is_confirmed for one in scene.looked()] == [False]


def read_note(released: Release) -> ReleaseNote:
    return offices.read_note(released.note)


def resign(scene: Scene, released: Release, **changes: object) -> Release:
    """Let A itself sign something else: an honest signature over a dishonest release."""
    note = read_note(released)
    fields = {key: getattr(note, key) for key in ("access", "recipient", "list_root", "ciphertext", "plan")}
    signed = scene.a.author.state(ReleaseNote, **(fields | changes))
    return msgspec.structs.replace(released, note=signed.text)


def name(blob: bytes) -> Digest:
    return Digest(encode_digest(hash_leaf(blob)))


def test_a_release_that_was_changed_is_refused(scene: Scene) -> None:
    scene.grant()
    (released,), (other,) = scene.answer(), scene.answer()
    swapped = msgspec.structs.replace(released, ciphertext=other.ciphertext)
    planned = msgspec.structs.replace(released, plan=other.plan)
    flipped = msgspec.structs.replace(released, ciphertext=released.ciphertext[:-1] + b"\x00")

    tampered = [
        swapped,
        planned,
        flipped,
        msgspec.structs.replace(released, note=released.note[:-4] + "AAAA"),
        resign(scene, swapped, ciphertext=name(other.ciphertext)),
        resign(scene, planned, plan=name(other.plan)),
        resign(scene, released, recipient="hospital-c"),
        resign(scene, released, list_root=name(b"another list")),
        resign(scene, released, access=read_note(other).access),
        resign(scene, released, access=scene.world.derive_id("never announced")),
    ]

    for one in tampered:
        with pytest.raises(Refused):
            scene.receive(one)
    assert scene.receive(released).records


def test_a_release_opens_for_the_person_who_asked_alone(scene: Scene) -> None:
    scene.grant()
    (released,) = scene.answer()
    bella = scene.world.register_person("bella", member="hospital-b")

    with pytest.raises(Refused) as refused:
        scene.receive(released, person=bella)

    assert refused.value.reason is Reason.NOT_THE_PERSON


def test_a_release_is_for_one_member(scene: Scene) -> None:
    scene.grant()
    (released,) = scene.answer()
    scene.b = offices.open_office(scene.world, "hospital-c")

    with pytest.raises(Refused):
        scene.receive(released)
