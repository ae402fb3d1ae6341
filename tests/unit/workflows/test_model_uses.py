"""A model is asked about a patient's records: those that the person may read, and the patient sees it."""

from datetime import date
from typing import Any, Final

import pytest

from iamata.ledger.entries import Role
from iamata.ledger.tables import MODELS
from iamata.model.ids import ModelId, PatientId, PersonId
from iamata.model.reasons import Reason, Refused
from iamata.testing import offices
from iamata.testing.cohorts import COHORT, keep_records, write_finding, write_record
from iamata.testing.learning import SITES, StudyWorld, write_protocol
from iamata.testing.world import Party
from iamata.vault.journal import read_entries
from iamata.workflows.messages import ReadDetails, read_details
from iamata.workflows.model_uses import Answer, Application, Studied, apply_model, apply_to_records

SITE: Final = SITES[0]
PATIENTS: Final = 14
NORMAL: Final = ("N",)


class Practice:
    """A study that has learned a model, and a doctor at one of its sites."""

    def __init__(self) -> None:
        self.world = StudyWorld(patients=PATIENTS, protocol=COHORT)
        keep_records(self.world.offices[SITE], self.world.rows[SITE])
        for site in SITES:
            self.world.build(site)
        self.model = self.world.learn()
        entry = MODELS.find(self.world.world.engine.snapshot(), self.model)
        assert entry is not None
        self.studied = Studied(file=self.world.read_model(entry.content), protocol=COHORT)
        self.office = self.world.offices[SITE]
        self.doctor = self.world.world.register_person("doctor", member=SITE, roles=(Role.CLINICIAN,))
        self._waiting = iter(self.world.patients[SITE])

    def draw(self, *kept_back: str) -> Party:
        """Return a patient who was in no test yet, and keeps some classes of record from this hospital."""
        patient = next(self._waiting)
        if kept_back:
            terms = offices.write_terms(
                self.world.world,
                recipients=(f"member:{SITE}",),
                exceptions=(offices.deny("N", classes=kept_back),),
            )
            offices.grant(self.world.world, self.office, patient, terms)
        return patient

    def keep(self, patient: Party, name: int, *, labels: tuple[str, ...] = NORMAL, **body: Any) -> None:
        """Give a patient one more record."""
        offices.keep(self.office, write_record(PatientId(patient.id), 100 + name, labels, **body))

    def ask(self, patient: Party, *, person: str = "", studied: Studied | None = None) -> Answer:
        """Let the doctor ask the model, or somebody else."""
        wanted = Application(
            person=PersonId(person or self.doctor.id), patient=PatientId(patient.id), model=self.model
        )
        return apply_to_records(self.office, wanted, studied or self.studied)

    def list_treated(self, patient: Party) -> list[ReadDetails]:
        """List what the patient's journal says of reads by those who treat them."""
        entries = read_entries(self.office.custody, PatientId(patient.id))
        read = [read_details(one.payload, ReadDetails) for one in entries]
        return [one for one in read if one.purpose == "TREAT"]


@pytest.fixture(scope="module")
def practice() -> Practice:
    """Teach a model once: each test draws patients of its own."""
    return Practice()


def refuse(practice: Practice, patient: Party, **asked: Any) -> Refused:
    with pytest.raises(Refused) as refused:
        practice.ask(patient, **asked)
    return refused.value


def test_a_row_from_records_is_what_training_had_and_scores_as_that_row(practice: Practice) -> None:
    patient = practice.draw()
    (row,) = practice.world.rows[SITE][PatientId(patient.id)]

    answer = practice.ask(patient)

    assert answer.inputs == {"marker": row["marker"], "smokes": row["smokes"]}
    wanted = Application(
        person=PersonId(practice.doctor.id), patient=PatientId(patient.id), model=practice.model
    )
    assert answer.prediction == apply_model(practice.office, wanted, practice.studied, row).prediction
    assert answer.origin is not None
    assert answer.origin.index_day == date(2020, 3, 1)
    assert answer.origin.outcome_days == (date(2020, 3, 2), date(2021, 3, 1))
    assert answer.origin.is_past


def test_a_row_that_came_along_is_not_scored_where_the_patient_keeps_single_records_back(
    practice: Practice,
) -> None:
    patient = practice.draw()
    wanted = Application(
        person=PersonId(practice.doctor.id), patient=PatientId(patient.id), model=practice.model
    )
    (row,) = practice.world.rows[SITE][PatientId(patient.id)]
    denied = offices.deny(codes=("http://loinc.org|2345-7",))
    terms = offices.write_terms(practice.world.world, recipients=(f"member:{SITE}",), exceptions=(denied,))
    offices.grant(practice.world.world, practice.office, patient, terms)

    with pytest.raises(Refused) as refused:
        apply_model(practice.office, wanted, practice.studied, row)

    assert refused.value.reason is Reason.NOT_FOUND
    assert practice.list_treated(patient) == []
    assert practice.ask(patient).inputs["marker"] == row["marker"]  # no record of that code is in the vault


def test_the_patient_sees_each_record_that_was_read_and_the_model(practice: Practice) -> None:
    patient = practice.draw()

    answer = practice.ask(patient)

    (seen,) = practice.list_treated(patient)
    assert seen.person == practice.doctor.id
    assert seen.basis == "policy/own-care"
    assert seen.records[-1] == f"model/{practice.model}"
    assert answer.origin is not None
    assert len(seen.records) - 1 == answer.origin.records >= 4
    restricted = f"Observation/{patient.id[:8]}-{answer.origin.records}"
    assert restricted not in seen.records


def test_the_last_index_event_so_far_counts_and_nothing_after_it(practice: Practice) -> None:
    patient = practice.draw()
    practice.keep(patient, 0, resourceType="Encounter", period={"start": "2021-06-01"})
    practice.keep(patient, 1, resourceType="Encounter", period={"start": "2999-01-01"})
    practice.keep(patient, 2, **write_finding("marker", "2021-05-31", valueQuantity={"value": 1.25}))
    practice.keep(patient, 3, **write_finding("marker", "2021-06-02", valueQuantity={"value": -3}))

    answer = practice.ask(patient)

    assert answer.origin is not None
    assert answer.origin.index_day == date(2021, 6, 1)
    assert answer.inputs == {"marker": 1.25, "smokes": None}  # the word is older than a year


def test_what_the_patient_keeps_back_is_missing_in_the_row(practice: Practice) -> None:
    patient = practice.draw("Observation", "Condition")

    answer = practice.ask(patient)

    assert answer.inputs == {"marker": None, "smokes": None}
    (seen,) = practice.list_treated(patient)
    assert [one.split("/")[0] for one in seen.records] == ["Encounter", "model"]


def test_without_an_index_event_there_is_no_answer_and_the_read_is_seen(practice: Practice) -> None:
    patient = practice.draw("Encounter")

    refused = refuse(practice, patient)

    assert (refused.reason, refused.detail) == (
        Reason.NOT_IN_COHORT,
        "no index event in the records that may be read",
    )
    assert len(practice.list_treated(patient)) == 1


def test_whoever_permits_nothing_or_is_asked_about_by_a_stranger_is_unknown(practice: Practice) -> None:
    patient = practice.draw("Encounter", "Observation", "Condition")
    known = practice.draw()
    stranger = practice.world.reviewers[1]  # of another member

    refusals = [refuse(practice, patient), refuse(practice, known, person=stranger.id)]

    assert {(one.reason, one.detail) for one in refusals} == {(Reason.NOT_FOUND, "")}
    assert practice.list_treated(patient) == practice.list_treated(known) == []


def test_a_protocol_without_a_cohort_wants_a_row(practice: Practice) -> None:
    patient = practice.draw()

    refused = refuse(
        practice, patient, studied=Studied(file=practice.studied.file, protocol=write_protocol())
    )

    assert refused.reason is Reason.INPUT_INVALID
    assert practice.list_treated(patient) == []


def test_a_changed_file_and_an_unknown_model_are_refused_before_anything_is_read(
    practice: Practice,
) -> None:
    patient = practice.draw()
    changed = Studied(file=practice.studied.file.replace(b"1", b"2", 1), protocol=COHORT)

    refused = refuse(practice, patient, studied=changed)

    assert refused.reason is Reason.MODEL_CHANGED
    assert practice.list_treated(patient) == []
    wanted = Application(
        person=PersonId(practice.doctor.id), patient=PatientId(patient.id), model=ModelId("A" * 26)
    )
    with pytest.raises(Refused) as unknown:
        apply_to_records(practice.office, wanted, practice.studied)
    assert unknown.value.reason is Reason.UNKNOWN_MODEL
