"""Consents in force: narrowed and ended at once, kept only from whom they are, ended by the clock."""

import msgspec
import pytest

from iamata.consent.terms import Ruling
from iamata.ledger.transactions.consents import RestrictConsent
from iamata.model.instants import MS_PER_DAY
from iamata.model.reasons import Reason, Refused
from iamata.testing import offices
from iamata.testing.scenes import Scene
from iamata.vault.openings import find_opening
from iamata.workflows import consents


def test_a_replaced_consent_gives_way_to_its_successor(scene: Scene) -> None:
    first = scene.grant()
    assert scene.read() == ["plain"]

    scene.grant(replaces=first, labels=("PSY",))

    assert scene.read() == ["mind"]


def test_a_restriction_takes_away_at_once_and_all_until_it_is_held(scene: Scene) -> None:
    consent = scene.grant(labels=("N", "R", "PSY"))
    narrower = offices.salt(scene.anna, scene.terms(decision=Ruling.DENY, labels=("PSY",)))
    assert scene.read() == ["plain", "private", "mind"]

    scene.anna.author.submit(RestrictConsent, consent=consent, terms=narrower.commit())
    assert scene.read() == []

    consents.accept_restriction(scene.a, scene.anna.id, narrower)
    assert scene.read() == ["plain", "private"]


def test_a_consent_ends_with_its_terms_on_an_idle_ledger(scene: Scene) -> None:
    last = msgspec.structs.replace(scene.terms().validity, last=scene.world.today)
    scene.grant(validity=last)
    assert scene.read() == ["plain"]

    scene.world.clock.advance(MS_PER_DAY)

    assert scene.read() == []


def test_a_grant_by_a_stranger_is_not_even_kept(scene: Scene) -> None:
    """Else a stranger could name another patient's consent, and lock this patient's records for good."""
    carl = scene.world.enrol_patient("carl", custodian="hospital-c")
    of_carl = scene.world.grant("carls", carl)
    scene.grant()
    salted = offices.salt(scene.anna, scene.terms())
    forger = scene.world.stranger("forger")
    forged = offices.sign_grant(forger, salted, consent=of_carl, patient=scene.anna)
    before = scene.stores.openings.added

    with pytest.raises(Refused) as refused:
        consents.accept_grant(scene.a, forged.text, salted)

    assert refused.value.reason is Reason.NOT_THE_PATIENT
    assert scene.stores.openings.added == before


def test_naming_somebody_elses_consent_changes_nothing(scene: Scene) -> None:
    carl = scene.world.enrol_patient("carl", custodian="hospital-c")
    of_carl = scene.world.grant("carls", carl)
    scene.grant()
    salted = offices.salt(scene.anna, scene.terms(labels=("PSY",)))
    own = offices.sign_grant(scene.anna.author, salted, consent=of_carl, patient=scene.anna)

    with pytest.raises(Refused):
        consents.accept_grant(scene.a, own.text, salted)

    assert scene.read() == ["plain"]


def test_a_consent_whose_opening_was_lost_denies_everything(scene: Scene) -> None:
    """A backup without the newest opening must not let an older consent speak for the patient alone."""
    scene.grant()
    backup = dict(vars(scene.stores.openings))
    scene.grant(decision=Ruling.DENY, labels=(), purposes=(), recipients=())
    assert scene.read() == []

    vars(scene.stores.openings).update(backup)

    assert scene.read() == []


def test_terms_that_permit_are_no_restriction(scene: Scene) -> None:
    consent, wider = scene.grant(), offices.salt(scene.anna, scene.terms(labels=("N", "PSY")))
    evidence = scene.world.derive_commitment("a court order")

    for attempt in (
        lambda: consents.accept_restriction(scene.a, scene.anna.id, wider),
        lambda: consents.restrict_for_patient(scene.a, scene.anna.id, consent, wider, evidence=evidence),
    ):
        with pytest.raises(Refused) as refused:
            attempt()
        assert refused.value.reason is Reason.INPUT_INVALID

    assert find_opening(scene.a.custody, wider.commit()) is None
