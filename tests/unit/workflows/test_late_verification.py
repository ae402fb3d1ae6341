"""What left late is verified: three signatures, the ledger, and that it was posted before anything else."""

from collections.abc import Callable

import msgspec
import pytest

from iamata.crypto.ed25519 import SigningKey
from iamata.ledger.envelope import read_statement
from iamata.ledger.transaction import Signed
from iamata.ledger.transactions.access import Disclose
from iamata.ledger.transactions.late_emergencies import LateDeclaration, PostLateEmergency
from iamata.model.ids import AccessId
from iamata.model.reasons import Refused
from iamata.testing import offices
from iamata.testing.scenes import Scene
from iamata.testing.world import Party
from iamata.vault.journal import JournalEntry, JournalKind, OpenedEntry, append_entries, read_entries
from iamata.workflows import disclosures, planning
from iamata.workflows.asking import check_request
from iamata.workflows.late_posting import finish_late_emergencies
from iamata.workflows.messages import (
    LateDetails,
    RecordRequest,
    ReleaseNote,
    name_request,
    read_details,
    read_message,
)
from iamata.workflows.replayed import History, Replayed
from iamata.workflows.verification import MemberReport, check_journal


def verify(scene: Scene) -> MemberReport:
    """Check A's journal against the ledger, as `iamata verify` does."""
    history = History()
    for leaf in scene.engine.leaves:
        history.take(leaf)
    report = MemberReport(member=scene.a.member)
    check_journal(scene.a.custody, Replayed(scene.engine.state, history), report)
    return report


def find_fault(scene: Scene) -> str:
    with pytest.raises(Refused, match="FAULT_FOUND") as refused:
        verify(scene)
    return refused.value.detail


def release_late(scene: Scene) -> tuple[Party, AccessId]:
    """Let records leave while the ledger is silent."""
    emil = scene.privileged("emil")
    scene.engine.stops_before = True
    scene.answer(scene.ask_late(emil))
    scene.engine.stops_before = False
    return emil, read_late(scene).header.id


def read_late(scene: Scene) -> OpenedEntry:
    entries = read_entries(scene.a.custody, scene.anna.id)
    return [entry for entry in entries if entry.header.kind is JournalKind.LATE][-1]


def test_what_was_posted_verifies(scene: Scene) -> None:
    release_late(scene)
    finish_late_emergencies(scene.a)

    assert verify(scene).late_pending == ()
    assert verify(scene).disclosures == 1


def test_what_waits_is_named_and_no_fault(scene: Scene) -> None:
    _, access = release_late(scene)

    assert verify(scene).late_pending == (access,)


def test_what_waits_while_others_were_posted_is_a_fault(scene: Scene) -> None:
    scene.grant()
    _, access = release_late(scene)
    pass_over(scene)

    assert find_fault(scene).startswith(f"late disclosure {access}: ")


def pass_over(scene: Scene) -> None:
    """Let a custodian announce an ordinary disclosure as if nothing waited."""
    message = read_message(scene.ask(), RecordRequest, network=scene.engine.network)
    view = scene.a.take_view()
    asking = check_request(scene.a, view, message)
    (leaving,) = planning.list_leaving(scene.a, view, asking)
    scene.a.author.submit(
        Disclose,
        access=leaving.plan.details.access,
        patient=leaving.plan.details.patient,
        basis=disclosures.read_basis(leaving.plan.details.basis),
        commitment=leaving.plan.commit(),
    )


def test_a_late_disclosure_that_the_journal_lacks_is_a_fault(scene: Scene) -> None:
    emil = scene.privileged("emil")
    declaration = read_statement(scene.declare_late(emil), LateDeclaration)
    scene.a.author.submit(
        PostLateEmergency,
        declaration=declaration,
        access=scene.world.derive_id("access"),
        commitment=scene.world.derive_commitment("list"),
    )

    assert "the journal lacks disclosures" in find_fault(scene)


def test_a_post_of_another_list_is_a_fault(scene: Scene) -> None:
    _, access = release_late(scene)
    declaration = read_declared(scene)
    scene.a.author.submit(
        PostLateEmergency,
        declaration=declaration,
        access=access,
        commitment=scene.world.derive_commitment("another list"),
    )

    assert "the ledger was told something else" in find_fault(scene)


def test_a_post_under_another_declaration_is_a_fault(scene: Scene) -> None:
    emil, access = release_late(scene)
    plan = planning.find_plan(scene.a, access)
    assert plan is not None
    emergency = plan.details.basis.partition("/")[2]
    scene.world.clock.advance(1)
    fields = {"declared_ms": scene.world.clock(), "emergency": emergency}
    other = read_statement(scene.declare_late(emil, **fields), LateDeclaration)
    scene.a.author.submit(PostLateEmergency, declaration=other, access=access, commitment=plan.commit())

    assert "the ledger was told something else" in find_fault(scene)


def read_declared(scene: Scene) -> Signed[LateDeclaration]:
    late = read_details(read_late(scene).payload, LateDetails)
    request = read_statement(late.request, RecordRequest)
    return read_statement(str(request.payload.declaration), LateDeclaration)


Forge = Callable[[Scene, Party, LateDetails], LateDetails]


def resign_note(scene: Scene, late: LateDetails, key: SigningKey, **changes: object) -> str:
    said = offices.read_note(late.note)
    fields = {name: getattr(said, name) for name in said.__struct_fields__ if name != "network"}
    return scene.world.sign_as(key).state(ReleaseNote, **(fields | changes)).text


def resign_request(scene: Scene, late: LateDetails, key: SigningKey, **changes: object) -> LateDetails:
    said = offices.read_request(scene.world, late.request)
    fields = {name: getattr(said, name) for name in said.__struct_fields__ if name != "network"}
    request = scene.world.sign_as(key).state(RecordRequest, **(fields | changes)).text
    note = resign_note(scene, late, scene.a.author.key, request=name_request(request))
    return LateDetails(request=request, note=note)


def cut(text: str) -> str:
    """Change a signature."""
    head, _, signature = text.rpartition(".")
    return f"{head}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}"


FORGERIES: dict[str, tuple[Forge, str]] = {
    "the release, by another member": (
        lambda scene, _, late: LateDetails(
            request=late.request, note=resign_note(scene, late, scene.b.author.key)
        ),
        "another member released it",
    ),
    "the release, of another request": (
        lambda scene, emil, late: LateDetails(request=scene.ask_late(emil), note=late.note),
        "about something else",
    ),
    "the release, unsigned": (
        lambda scene, _, late: LateDetails(request=late.request, note=cut(late.note)),
        "a signature does not hold",
    ),
    "the request, by the custodian itself": (
        lambda scene, _, late: resign_request(scene, late, scene.a.author.key),
        "another member asked",
    ),
    "the declaration, by the custodian itself": (
        lambda scene, emil, late: resign_request(
            scene,
            late,
            scene.b.author.key,
            declaration=redeclare(scene, late, scene.a.author.key),
        ),
        "another person declared",
    ),
    "the declaration, of another emergency": (
        lambda scene, emil, late: resign_request(
            scene, late, scene.b.author.key, declaration=scene.declare_late(emil)
        ),
        "about something else",
    ),
    "the declaration, missing": (
        lambda scene, _, late: resign_request(scene, late, scene.b.author.key, declaration=msgspec.UNSET),
        "cannot be read",
    ),
}


def redeclare(scene: Scene, late: LateDetails, key: SigningKey) -> str:
    request = read_statement(late.request, RecordRequest)
    said = read_statement(str(request.payload.declaration), LateDeclaration).payload
    fields = {name: getattr(said, name) for name in said.__struct_fields__ if name != "network"}
    return scene.world.sign_as(key).state(LateDeclaration, **fields).text


@pytest.mark.parametrize("name", FORGERIES)
def test_forged_evidence_is_named(scene: Scene, name: str) -> None:
    """The custodian holds its own journal's keys: what it made up must not verify all the same."""
    forge, fault = FORGERIES[name]
    emil, access = release_late(scene)
    entry = read_late(scene)
    late = forge(scene, emil, read_details(entry.payload, LateDetails))
    append_entries(
        scene.a.custody,
        [
            JournalEntry(
                kind=JournalKind.LATE,
                patient=scene.anna.id,
                id=access,
                time_ms=entry.header.time_ms,
                payload=msgspec.json.encode(late),
            )
        ],
    )

    assert fault in find_fault(scene)


def test_what_was_never_planned_is_a_fault(scene: Scene) -> None:
    release_late(scene)
    entry = read_late(scene)
    made_up = JournalEntry(
        kind=JournalKind.LATE,
        patient=scene.anna.id,
        id=AccessId(scene.world.derive_id("made up")),
        time_ms=entry.header.time_ms,
        payload=entry.payload,
    )
    append_entries(scene.a.custody, [made_up])

    assert "it was never planned" in find_fault(scene)
