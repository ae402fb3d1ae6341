"""A disclosure is on the ledger before the first byte leaves, and asking again gets the very same list."""

from collections.abc import Callable

import msgspec
import pytest

from iamata.consent.terms import Ruling
from iamata.ledger.events import AccessDisclosed
from iamata.ledger.transactions.consents import RestrictConsent, WithdrawConsent
from iamata.model.instants import MS_PER_DAY, MS_PER_MINUTE
from iamata.model.reasons import Reason, Refused
from iamata.testing import offices
from iamata.testing.scenes import Scene
from iamata.vault.journal import JournalKind, read_entries
from iamata.workflows import consents
from iamata.workflows.messages import read_plan


def list_disclosed(scene: Scene) -> list[str]:
    return [
        leaf.event.basis for _, leaf in scene.engine.events(0) if isinstance(leaf.event, AccessDisclosed)
    ]


def list_kinds(scene: Scene) -> list[JournalKind]:
    return [entry.header.kind for entry in read_entries(scene.a.custody, scene.anna.id)]


def test_the_ledger_knows_of_a_release_and_binds_what_it_says(scene: Scene) -> None:
    consent = scene.grant()

    (released,) = scene.answer()

    received = scene.receive(released)
    (plan,) = (
        read_plan(entry.payload)
        for entry in read_entries(scene.a.custody, scene.anna.id)
        if entry.header.kind is JournalKind.DISCLOSURE
    )
    assert list_disclosed(scene) == [f"consent/{consent}"]
    assert (plan.details.recipient, plan.details.person) == ("hospital-b", scene.ben.id)
    assert plan.details.records == ("Observation/plain",)
    assert [one.body for one in received.records] == [b'{"resourceType":"Observation","id":"plain"}']


@pytest.mark.parametrize("trouble", ["stops_before", "stops_after"])
def test_an_engine_that_stops_leaves_every_record_sealed(scene: Scene, trouble: str) -> None:
    scene.grant()
    request = scene.ask()
    setattr(scene.engine, trouble, True)

    with pytest.raises(Refused) as refused:
        scene.answer(request)

    assert refused.value.reason is Reason.ENGINE_STOPPED
    assert scene.stores.records.bodies_read == 0
    assert list_kinds(scene) == [JournalKind.DISCLOSURE]


@pytest.mark.parametrize("trouble", ["stops_before", "stops_after"])
def test_asking_again_after_a_crash_gets_the_same_list_and_one_disclosure(
    scene: Scene, trouble: str
) -> None:
    scene.grant()
    request = scene.ask()
    setattr(scene.engine, trouble, True)
    with pytest.raises(Refused):
        scene.answer(request)
    setattr(scene.engine, trouble, False)
    scene.a = offices.open_office(scene.world, "hospital-a", stores=scene.stores)
    offices.keep_records(scene.a, scene.anna, {"newer": ("N",)})

    assert scene.read(request) == ["plain"]
    assert scene.read(request) == ["plain"]
    assert len(list_disclosed(scene)) == 1
    assert list_kinds(scene).count(JournalKind.DISCLOSURE) == 1


def test_a_ledger_that_refuses_in_that_very_block_releases_nothing(scene: Scene) -> None:
    """The consent ends between the decision and the block: the node's view was a moment old."""
    consent = scene.grant()
    request, stale = scene.ask(), scene.engine.snapshot()
    scene.anna.author.submit(WithdrawConsent, consent=consent)
    scene.engine.snapshot, fresh = (lambda: stale), scene.engine.snapshot  # type: ignore[method-assign]

    with pytest.raises(Refused) as refused:
        scene.answer(request)

    scene.engine.snapshot = fresh  # type: ignore[method-assign]
    assert refused.value.reason is Reason.NOT_FOUND
    assert scene.stores.records.bodies_read == 0
    (shown,) = scene.looked()
    assert (shown.is_released, shown.is_proven) == (False, False)


def test_a_later_request_sees_what_is_new(scene: Scene) -> None:
    scene.grant()
    assert scene.read() == ["plain"]

    offices.keep_records(scene.a, scene.anna, {"newer": ("N",)})

    assert scene.read() == ["plain", "newer"]


def test_a_new_version_does_not_change_what_a_request_was_promised(scene: Scene) -> None:
    scene.grant()
    request = scene.ask()
    first = scene.receive(scene.answer(request)[0]).records
    record = offices.write_record(scene.anna.id, "plain", ("N",))
    offices.keep(scene.a, msgspec.structs.replace(record, body=b'{"resourceType":"Observation","v":2}'))

    again = scene.receive(scene.answer(request)[0]).records

    assert [one.body for one in again] == [one.body for one in first]
    assert len(list_disclosed(scene)) == 1


def test_a_restriction_that_speaks_of_an_old_version_stops_it(scene: Scene) -> None:
    """The newest version is harmless, but the one that was promised is what the patient now excludes."""
    consent = scene.grant(labels=("N", "R", "PSY"))
    request = scene.ask()
    assert len(scene.read(request)) == 3
    record = offices.write_record(scene.anna.id, "mind", ("N",))
    offices.keep(scene.a, msgspec.structs.replace(record, body=b'{"resourceType":"Observation","v":2}'))
    narrower = offices.salt(scene.anna, scene.terms(decision=Ruling.DENY, labels=("PSY",)))
    scene.anna.author.submit(RestrictConsent, consent=consent, terms=narrower.commit())
    consents.accept_restriction(scene.a, scene.anna.id, narrower)

    assert scene.read(request) == []
    assert scene.read() == ["plain", "private", "mind"]


@pytest.mark.parametrize(
    "end",
    [
        lambda scene, consent: scene.anna.author.submit(WithdrawConsent, consent=consent),
        lambda scene, _: scene.world.clock.advance(2 * MS_PER_DAY),
        lambda scene, _: scene.revoke(scene.ben),
        lambda scene, _: scene.suspend("hospital-b"),
        lambda scene, consent: scene.grant(replaces=consent, labels=("U",)),
    ],
    ids=["withdrawn", "expired", "revoked", "suspended", "replaced"],
)
def test_asking_again_gets_nothing_once_the_basis_is_gone(
    scene: Scene, end: Callable[[Scene, str], object]
) -> None:
    consent = scene.grant(days=1)
    request = scene.ask()
    assert scene.read(request) == ["plain"]

    end(scene, consent)

    assert scene.read(request) == []


def test_a_request_is_promised_one_basis_though_another_comes(scene: Scene) -> None:
    first = scene.grant()
    request = scene.ask()
    assert scene.read(request) == ["plain"]

    for _ in range(4):  # whatever order their random ids give them
        scene.grant(labels=("N", "R"))

    assert scene.read(request) == ["plain"]
    assert list_disclosed(scene) == [f"consent/{first}"]
    scene.anna.author.submit(WithdrawConsent, consent=first)
    assert scene.read(request) == []


def test_another_question_under_the_same_id_is_refused(scene: Scene) -> None:
    scene.grant(purposes=("TREAT", "HPAYMT"))
    share = offices.share_code(scene.anna)
    request = scene.ask(share=share)
    assert scene.read(request) == ["plain"]
    bella = scene.world.register_person("bella", member="hospital-b")
    said = offices.read_request(scene.world, request)

    for changes in ({"person": bella.id}, {"purpose": "HPAYMT"}):
        fields = {
            key: getattr(said, key) for key in ("access", "custodian", "person", "purpose", "expires_ms")
        }
        other = scene.b.author.state(type(said), **{**fields, **changes, "share": share})
        with pytest.raises(Refused) as refused:
            scene.answer(other.text)
        assert refused.value.reason is Reason.NOT_FOUND


def test_two_consents_to_different_records_make_two_disclosures(scene: Scene) -> None:
    plain, mind = scene.grant(), scene.grant(labels=("PSY",))

    releases = scene.answer()

    assert len(releases) == 2
    assert sorted(list_disclosed(scene)) == sorted([f"consent/{plain}", f"consent/{mind}"])
    assert sorted(scene.read()) == ["mind", "plain"]


def test_one_basis_that_ends_leaves_the_others_list(scene: Scene) -> None:
    scene.grant()
    mind = scene.grant(labels=("PSY",))
    request = scene.ask()
    assert sorted(scene.read(request)) == ["mind", "plain"]

    scene.anna.author.submit(WithdrawConsent, consent=mind)

    assert scene.read(request) == ["plain"]


def test_a_request_expires_by_the_nodes_clock(scene: Scene) -> None:
    scene.grant()
    request = scene.ask()
    assert scene.read(request) == ["plain"]

    scene.world.clock.advance(6 * MS_PER_MINUTE)

    assert scene.read(request) == []
