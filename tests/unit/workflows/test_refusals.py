"""Refused, unknown and absent look the same: one answer, no detail, no record touched, nothing written."""

from collections.abc import Callable

import pytest

from iamata.consent.terms import Ruling
from iamata.ledger.entries import ReviewOutcome, Role
from iamata.ledger.transactions.consents import RestrictConsent, WithdrawConsent
from iamata.model.ids import AccessId
from iamata.model.instants import MS_PER_DAY, MS_PER_HOUR, MS_PER_MINUTE
from iamata.model.reasons import Reason, Refused
from iamata.testing import offices
from iamata.testing.scenes import Scene
from iamata.testing.world import Party
from iamata.workflows import disclosures, emergencies, receiving
from iamata.workflows.erasures import erase_patient
from iamata.workflows.office import Office

Prepare = Callable[[Scene], str]


def without_consent(scene: Scene) -> str:
    return scene.ask()


def for_an_unknown_patient(scene: Scene) -> str:
    unknown = Party(scene.world.derive_id("x"), scene.anna.custodian, scene.anna.author)
    return offices.ask(scene.b, scene.ben, unknown)


def for_another_custodians_patient(scene: Scene) -> str:
    carl = scene.world.enrol_patient("carl", custodian="hospital-c")
    share = offices.share_code(Party(carl.id, scene.anna.custodian, carl.author))
    return scene.ask(share=share)


def for_another_custodian(scene: Scene) -> str:
    scene.grant()
    carl = scene.world.enrol_patient("carl", custodian="hospital-c")
    return offices.ask(scene.b, scene.ben, carl)


def with_a_code_by_a_stranger(scene: Scene) -> str:
    scene.grant()
    forger = Party(scene.anna.id, scene.anna.custodian, scene.world.stranger("forger"))
    return scene.ask(share=offices.share_code(forger))


def with_a_code_for_somebody_else(scene: Scene) -> str:
    scene.grant()
    return scene.ask(share=offices.share_code(scene.anna, recipient="hospital-c"))


def with_an_expired_code(scene: Scene) -> str:
    scene.grant()
    share = offices.share_code(scene.anna, minutes=1)
    scene.world.clock.advance(2 * MS_PER_MINUTE)
    return scene.ask(share=share)


def with_a_used_code(scene: Scene) -> str:
    scene.grant()
    share = offices.share_code(scene.anna)
    scene.answer(scene.ask(share=share))
    return scene.ask(share=share)


def with_a_malformed_code(scene: Scene) -> str:
    scene.grant()
    return scene.ask(share="not.a.code")


def for_a_revoked_person(scene: Scene) -> str:
    scene.grant()
    scene.revoke(scene.ben)
    return scene.ask()


def for_a_person_of_another_member(scene: Scene) -> str:
    scene.grant()
    cora = scene.world.register_person("cora", member="hospital-c")
    return scene.ask(person=cora)


def for_a_suspended_member(scene: Scene) -> str:
    scene.grant()
    scene.suspend("hospital-b")
    return scene.ask()


def by_a_key_that_is_no_node(scene: Scene) -> str:
    scene.grant()
    stranger = offices.open_office(scene.world, "hospital-b")
    impostor = Office(scene.world.stranger("impostor"), stranger.custody, stranger.sealing_key)
    return offices.ask(impostor, scene.ben, scene.anna)


def for_a_purpose_that_is_not_permitted(scene: Scene) -> str:
    scene.grant()
    return scene.ask(purpose="HRESCH")


def for_an_unknown_purpose(scene: Scene) -> str:
    scene.grant(purposes=())
    return scene.ask(purpose="whatever")


def for_an_emergency_without_one(scene: Scene) -> str:
    scene.grant(purposes=("TREAT", "ETREAT"))
    return scene.ask(purpose="BTG")


def in_an_undeclared_emergency(scene: Scene) -> str:
    return offices.ask_in_emergency(scene.b, scene.ben, scene.anna, AccessId(scene.world.derive_id("none")))


def in_another_persons_emergency(scene: Scene) -> str:
    emergency = scene.declare(scene.privileged("emil"))
    return offices.ask_in_emergency(scene.b, scene.ben, scene.anna, emergency)


def in_an_emergency_about_another_custodians_patient(scene: Scene) -> str:
    carl, emil = scene.world.enrol_patient("carl", custodian="hospital-c"), scene.privileged("emil")
    return offices.ask_in_emergency(scene.b, emil, scene.anna, scene.declare(emil, patient=carl))


def in_an_emergency_that_is_over(scene: Scene) -> str:
    emil = scene.privileged("emil")
    emergency = scene.declare(emil)
    scene.world.clock.advance(MS_PER_HOUR + MS_PER_MINUTE)
    return offices.ask_in_emergency(scene.b, emil, scene.anna, emergency)


def for_treatment_in_an_emergency(scene: Scene) -> str:
    emil = scene.privileged("emil")
    return offices.ask_in_emergency(scene.b, emil, scene.anna, scene.declare(emil), purpose="TREAT")


def with_an_expired_request(scene: Scene) -> str:
    scene.grant()
    request = scene.ask()
    scene.world.clock.advance(receiving.REQUEST_MS + 1)
    return request


def after_withdrawal(scene: Scene) -> str:
    scene.anna.author.submit(WithdrawConsent, consent=scene.grant())
    return scene.ask()


def after_the_last_day_on_an_idle_ledger(scene: Scene) -> str:
    scene.grant(days=1)
    scene.world.clock.advance(2 * MS_PER_DAY)
    return scene.ask()


def with_a_restriction_that_is_not_held(scene: Scene) -> str:
    consent = scene.grant()
    narrower = offices.salt(scene.anna, scene.terms(decision=Ruling.DENY, labels=("R",)))
    scene.anna.author.submit(RestrictConsent, consent=consent, terms=narrower.commit())
    return scene.ask()


def for_an_erased_patient(scene: Scene) -> str:
    scene.grant()
    erase_patient(scene.a, scene.anna.id)
    return scene.ask()


CASES: list[Prepare] = [
    without_consent,
    for_an_unknown_patient,
    for_another_custodians_patient,
    for_another_custodian,
    with_a_code_by_a_stranger,
    with_a_code_for_somebody_else,
    with_an_expired_code,
    with_a_used_code,
    with_a_malformed_code,
    for_a_revoked_person,
    for_a_person_of_another_member,
    for_a_suspended_member,
    by_a_key_that_is_no_node,
    for_a_purpose_that_is_not_permitted,
    for_an_unknown_purpose,
    for_an_emergency_without_one,
    in_an_undeclared_emergency,
    in_another_persons_emergency,
    in_an_emergency_about_another_custodians_patient,
    in_an_emergency_that_is_over,
    for_treatment_in_an_emergency,
    with_an_expired_request,
    after_withdrawal,
    after_the_last_day_on_an_idle_ledger,
    with_a_restriction_that_is_not_held,
    for_an_erased_patient,
]


@pytest.mark.parametrize("prepare", CASES, ids=lambda case: case.__name__)
def test_every_refusal_is_one_answer_that_touches_and_writes_nothing(
    scene: Scene, prepare: Prepare
) -> None:
    request = prepare(scene)
    before, blocks = scene.stores.count(), len(scene.engine.blocks)

    with pytest.raises(Refused) as refused:
        scene.answer(request)

    assert (refused.value.reason, refused.value.detail) == (Reason.NOT_FOUND, "")
    assert scene.stores.count() == before
    assert len(scene.engine.blocks) == blocks


def test_the_same_request_is_answered_with_consent(scene: Scene) -> None:
    scene.grant()

    assert scene.read() == ["plain"]


def test_a_consent_to_nothing_that_is_there_is_the_same_answer(scene: Scene) -> None:
    scene.grant(classes=("Encounter",))
    blocks, journal = len(scene.engine.blocks), scene.stores.journal.appended

    with pytest.raises(Refused) as refused:
        scene.answer()

    assert (refused.value.reason, refused.value.detail) == (Reason.NOT_FOUND, "")
    assert (len(scene.engine.blocks), scene.stores.journal.appended) == (blocks, journal)


def test_a_code_that_led_to_nothing_is_good_until_it_serves(scene: Scene) -> None:
    share = offices.share_code(scene.anna)
    assert scene.read(scene.ask(share=share)) == []

    scene.grant()

    assert scene.read(scene.ask(share=share)) == ["plain"]
    assert scene.read(scene.ask(share=share)) == []


def test_a_custodian_answers_only_what_is_addressed_to_it(scene: Scene) -> None:
    c = offices.open_office(scene.world, "hospital-c")
    scene.grant()

    with pytest.raises(Refused) as refused:
        disclosures.answer_request(c, scene.ask())

    assert refused.value.reason is Reason.NOT_FOUND


def test_our_own_trouble_is_told_apart_and_tells_nothing(scene: Scene) -> None:
    scene.grant()
    scene.stores.journal.is_full = True

    with pytest.raises(Refused) as refused:
        scene.answer()

    assert (refused.value.reason, refused.value.detail) == (Reason.STORAGE_FULL, "")
    assert scene.stores.records.bodies_read == 0


def test_an_emergency_found_unjustified_is_over(scene: Scene) -> None:
    emil = scene.privileged("emil")
    emergency = scene.declare(emil)
    rita = scene.world.register_person("rita", member="hospital-a", roles=(Role.REVIEWER,))
    request = offices.ask_in_emergency(scene.b, emil, scene.anna, emergency)
    assert scene.answer(request)

    emergencies.review(rita.author, emergency, ReviewOutcome.UNJUSTIFIED, reason="Nobody was unconscious.")

    with pytest.raises(Refused):
        scene.answer(request)
