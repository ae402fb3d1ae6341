"""A consent that the custodian signs for a patient without a key: two vouch for it, for care alone."""

from typing import Any

import pytest

from iamata.consent.terms import Rule, Ruling, Terms
from iamata.ledger.parameters import DEFAULT_PARAMETERS
from iamata.ledger.transactions.consents import ConfirmConsent, StaffApproval, WithdrawConsent
from iamata.model.ids import ConsentId
from iamata.model.instants import MS_PER_DAY, Day
from iamata.model.reasons import Reason, Refused
from iamata.testing import offices
from iamata.testing.scenes import LABELS, Scene
from iamata.testing.world import Party
from iamata.workflows import consents, reads


@pytest.fixture
def scene() -> Scene:
    """Anna has no key: hospital A holds one for her."""
    scene = Scene.make()
    scene.anna = scene.world.enrol_patient("vera", custodian="hospital-a", is_custodial=True)
    offices.keep_records(scene.a, scene.anna, {f"v-{name}": labels for name, labels in LABELS.items()})
    return scene


def vouch(scene: Scene, terms: Terms, *, by: tuple[str, str] = ("ada", "abe"), **changes: Any) -> ConsentId:
    """Let the custodian grant for the patient, on the word of two of its staff."""
    salted, consent = offices.salt(scene.anna, terms), ConsentId(scene.world.derive_id("custodial"))
    until, evidence = Day(scene.world.today + 365), scene.world.derive_commitment("evidence")
    said: dict[str, Any] = {"consent": consent, "patient": scene.anna.id, "terms": salted.commit()}
    said |= {"until_day": until, "evidence": evidence} | changes
    staff = {name: scene.world.register_person(name, member="hospital-a") for name in dict.fromkeys(by)}
    first, second = (staff[name].author.state(StaffApproval, **said) for name in by)
    signed = offices.sign_grant(
        scene.anna.author, salted, consent=consent, patient=scene.anna, until_day=until
    )
    consents.grant_for_patient(scene.a, signed.text, salted, approvals=(first, second), evidence=evidence)
    return consent


def take_over(scene: Scene) -> None:
    author = scene.world.stranger("vera herself")
    offices.take_over(scene.a, scene.anna.id, author)
    scene.anna = Party(scene.anna.id, scene.anna.custodian, author)


def test_one_person_of_the_staff_is_not_two(scene: Scene) -> None:
    with pytest.raises(Refused) as refused:
        vouch(scene, scene.terms(), by=("ada", "ada"))

    assert refused.value.reason is Reason.STAFF_SIGNATURES_MISSING
    assert scene.read() == []


def test_the_staff_vouches_for_just_this_evidence(scene: Scene) -> None:
    with pytest.raises(Refused) as refused:
        vouch(scene, scene.terms(), evidence=scene.world.derive_commitment("other evidence"))

    assert refused.value.reason is Reason.STAFF_SIGNATURES_MISSING
    assert scene.read() == []


def test_it_serves_treatment(scene: Scene) -> None:
    vouch(scene, scene.terms())

    assert scene.read() == ["v-plain"]


@pytest.mark.parametrize("purposes", [("HRESCH",), ("TREAT", "HRESCH"), ("CLINTRCH",), ("HPAYMT",), ()])
def test_it_never_serves_more_than_care(scene: Scene, purposes: tuple[str, ...]) -> None:
    vouch(scene, scene.terms(purposes=purposes))

    for purpose in ("TREAT", *purposes):
        assert scene.read(scene.ask(purpose=purpose)) == []


def test_an_exception_for_research_is_taken_out_and_the_rest_stays(scene: Scene) -> None:
    research = Rule(decision=Ruling.PERMIT, purposes=("HRESCH",))
    vouch(scene, scene.terms(exceptions=(research, offices.deny("PSY"))))

    assert scene.read(scene.ask(purpose="HRESCH")) == []
    assert scene.read() == ["v-plain"]


def test_what_it_denies_stays_denied(scene: Scene) -> None:
    """A denial serves nobody: it is not dropped for naming no purpose."""
    ada = scene.world.register_person("eva", member="hospital-a")
    read: dict[str, Any] = {"person": ada.id, "patient": scene.anna.id, "purpose": "TREAT"}
    assert reads.read_records(scene.a, ["Observation/v-mind"], **read)

    vouch(scene, scene.terms(decision=Ruling.DENY, recipients=(), purposes=(), labels=("PSY",)))

    with pytest.raises(Refused):
        reads.read_records(scene.a, ["Observation/v-mind"], **read)
    assert reads.read_records(scene.a, ["Observation/v-plain"], **read)


def test_after_take_over_it_lapses_unless_confirmed(scene: Scene) -> None:
    vouch(scene, scene.terms())
    take_over(scene)
    assert scene.read() == ["v-plain"]

    scene.world.clock.advance((DEFAULT_PARAMETERS.confirm_days + 1) * MS_PER_DAY)

    assert scene.read() == []


def test_confirmed_it_is_the_patients_own(scene: Scene) -> None:
    consent = vouch(scene, scene.terms())
    take_over(scene)

    scene.anna.author.submit(ConfirmConsent, consent=consent)
    scene.world.clock.advance((DEFAULT_PARAMETERS.confirm_days + 1) * MS_PER_DAY)

    assert scene.read() == ["v-plain"]
    scene.anna.author.submit(WithdrawConsent, consent=consent)
    assert scene.read() == []


def test_the_custodian_may_narrow_and_only_the_patient_undoes_it(scene: Scene) -> None:
    consent = vouch(scene, scene.terms(labels=("N", "R")))
    narrower = offices.salt(scene.anna, scene.terms(decision=Ruling.DENY, labels=("R",)))
    evidence = scene.world.derive_commitment("a court order")

    consents.restrict_for_patient(scene.a, scene.anna.id, consent, narrower, evidence=evidence)

    assert scene.read() == ["v-plain"]
