"""A study's purpose is held against what patients agreed to: whoever said yes to another one stays out."""

from typing import Any, Final, cast

import msgspec
import pytest

from iamata.consent.purposes import is_known
from iamata.ledger.entries import EhdsPurpose
from iamata.model.ids import MemberId, PatientId, StudyId
from iamata.model.instants import Day, Instant
from iamata.model.reasons import Reason, Refused
from iamata.testing.learning import HEALTH, OWNER, SITES, StudyWorld, write_protocol
from iamata.vault.journal import JournalKind, read_entries
from iamata.workflows import datasets, withdrawals
from iamata.workflows.datasets import Agreed, make_participant
from iamata.workflows.documents import get_document
from iamata.workflows.frozen_tables import get_roll
from iamata.workflows.lineages import get_study
from iamata.workflows.messages import ReadDetails, read_details
from iamata.workflows.model_verification import Evidence, verify_model
from iamata.workflows.studies import Proposal, check_protocol, check_study
from iamata.workflows.study_purposes import CODES, find_request, spell_purpose

SITE, GREEDY = SITES[0], SITES[3]
PURPOSES: Final = (EhdsPurpose.EDUCATION, EhdsPurpose.CARE, EhdsPurpose.RESEARCH)
GROUP: Final = 12
"""Patients of each site who agree to each of these."""
UNSPOKEN: Final = (EhdsPurpose.POLICY, EhdsPurpose.STATISTICS)


class Asked(StudyWorld):
    """Patients of whom some agree to teaching, some to better care, some to research; a study for each."""

    def __init__(self) -> None:
        super().__init__(patients=len(PURPOSES) * GROUP, protocol=write_protocol(holdout_percent=0))
        self.studies = {one: self.permit(self.protocol, purpose=one) for one in PURPOSES}
        for site in SITES:
            for number, patient in enumerate(self.patients[site]):
                self.agree_anew(site, patient, CODES[PURPOSES[number // GROUP]])

    def list_agreed(self, purpose: EhdsPurpose) -> list[str]:
        """List who of a site agreed to a purpose."""
        first = PURPOSES.index(purpose) * GROUP
        return sorted(one.id for one in self.patients[SITE][first : first + GROUP])

    def take_everybody(self, site: MemberId, study: StudyId) -> None:
        """Build a dataset of a site as a custodian might who holds no purpose against a consent."""
        office, agreed = self.offices[site], sorted(self.rows[site])
        taking_part = [
            make_participant(office, study, one, Agreed(self.consents[one], ())) for one in agreed
        ]
        view, rows = self.world.engine.snapshot(), self.rows[site]
        datasets.post(office, view, study, rows, taking_part, conditions=HEALTH, replaces=None)

    def list_used(self, patient: str) -> set[tuple[str, str]]:
        """List what a patient reads of at the first site: for which purposes, in datasets or runs."""
        entries = read_entries(self.offices[SITE].custody, PatientId(patient))
        reads = [
            read_details(one.payload, ReadDetails) for one in entries if one.header.kind is JournalKind.READ
        ]
        return {(one.purpose, record.partition("/")[0]) for one in reads for record in one.records}

    def verify_consents(self) -> dict[str, bool]:
        """Learn from the datasets of the study, and say of each site whether everybody had agreed."""
        model, engine = self.learn(), cast("Any", self.world.engine)
        evidence = Evidence(
            view=engine.snapshot(),
            networks=(engine.network,),
            at_ms=Instant(self.world.clock()),
            read_log=lambda: (leaf for _, leaf in engine.events(0)),
            tell_block_ms=lambda height: Instant(engine.blocks[height - 1].time_ms),
            custodies={one: self.offices[one].custody for one in SITES},
            find_document=lambda digest: get_document(self.offices[OWNER].custody, digest),
        )
        said = verify_model(evidence, model)
        return {one.says: one.holds for one in said if one.name == "consents"}


@pytest.fixture(scope="module")
def asked() -> Asked:
    """Let them agree once."""
    return Asked()


def test_who_is_in_a_dataset_agreed_to_just_its_studys_purpose(asked: Asked) -> None:
    built = {one: asked.build(SITE, study=asked.studies[one]) for one in PURPOSES}

    rolls = {one: get_roll(asked.offices[SITE].custody, dataset) for one, dataset in built.items()}
    assert {one: [each.patient for each in roll.participants] for one, roll in rolls.items()} == {
        one: asked.list_agreed(one) for one in PURPOSES
    }
    for purpose in PURPOSES:
        assert asked.list_used(asked.list_agreed(purpose)[0]) == {(CODES[purpose], "dataset")}
    assert all(
        withdrawals.look_after(asked.offices[SITE], study) is withdrawals.Step.NOTHING
        for study in asked.studies.values()
    )


def test_whoever_checks_a_model_sees_that_a_custodian_took_consents_to_another_purpose() -> None:
    asked = Asked()
    asked.study = asked.studies[EhdsPurpose.EDUCATION]
    for site in SITES[:3]:
        asked.build(site)
    asked.take_everybody(GREEDY, asked.study)

    held = asked.verify_consents()

    assert held == {
        **{f"{one}: of 12 in its dataset, 12 had agreed by then": True for one in SITES[:3]},
        f"{GREEDY}: of 36 in its dataset, 12 had agreed by then": False,
    }
    assert asked.list_used(asked.list_agreed(EhdsPurpose.EDUCATION)[0]) == {
        ("TRAIN", "dataset"),
        ("TRAIN", "run"),
    }


@pytest.mark.parametrize("purpose", UNSPOKEN)
def test_what_no_consent_can_name_is_not_proposed_approved_or_built(
    asked: Asked, purpose: EhdsPurpose, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = msgspec.json.encode(asked.protocol)
    proposal = Proposal(
        uses=("DUO:0000006",), purpose=purpose, sites=SITES, until_day=Day(asked.world.today + 9)
    )
    study = get_study(asked.world.engine.snapshot(), asked.study)
    other = msgspec.structs.replace(study, purpose=purpose)
    monkeypatch.setattr(datasets, "get_study", lambda *_: (other, asked.protocol))

    for act in (
        lambda: check_protocol(document, proposal),
        lambda: check_study(other, document),
        lambda: asked.build(SITES[1]),
    ):
        with pytest.raises(Refused) as refused:
            act()
        assert refused.value.reason is Reason.PURPOSE_NOT_PERMITTED
        assert f"no consent can name «{purpose}»" in refused.value.detail
        assert "research (HRESCH)" in refused.value.detail
    patient = PatientId(asked.patients[SITE][0].id)
    view = asked.world.engine.snapshot()
    assert datasets.find_agreed(asked.offices[SITE], view, patient, other, asked.protocol) is None


def test_each_purpose_is_one_that_consents_know_or_has_no_word_there(asked: Asked) -> None:
    study = get_study(asked.world.engine.snapshot(), asked.study)

    assert sorted((*CODES, *UNSPOKEN)) == sorted(EhdsPurpose)
    assert len(set(CODES.values())) == len(CODES)
    assert all(is_known(code) for code in CODES.values())
    said = {one: msgspec.structs.replace(study, purpose=one) for one in EhdsPurpose}
    assert [one for one in EhdsPurpose if find_request(said[one]) is None] == [*UNSPOKEN]
    assert spell_purpose(said[EhdsPurpose.EDUCATION]) == "training and education"
    assert spell_purpose(said[EhdsPurpose.POLICY]) == "policy"
