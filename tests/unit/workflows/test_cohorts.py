"""A study's rows out of vaults: what consent permits, journalled first, by the protocol's cohort."""

from typing import Any, Final

import msgspec
import pytest

from iamata.consent.terms import Meaning, Selector
from iamata.learning.protocols import Protocol
from iamata.ledger.entries import EhdsPurpose
from iamata.ledger.tables import STUDIES
from iamata.model.ids import DatasetId, PatientId
from iamata.model.instants import MS_PER_DAY, Day
from iamata.model.reasons import Reason, Refused
from iamata.testing.cohorts import COHORT, SAID, keep_records, write_view
from iamata.testing.learning import HEALTH, OWNER, SITES, StudyWorld, write_protocol
from iamata.vault.journal import JournalKind, read_entries
from iamata.workflows.cohort_reads import build_from_vault, gather_cohort
from iamata.workflows.datasets import build_dataset, find_dataset
from iamata.workflows.frozen_tables import get_roll, read_rows
from iamata.workflows.messages import ReadDetails, read_details
from iamata.workflows.studies import Proposal, check_protocol
from iamata.workflows.withdrawals import Step, look_after

PATIENTS: Final = 14
PROPOSAL: Final = Proposal(
    uses=("DUO:0000006",), purpose=EhdsPurpose.RESEARCH, sites=SITES, until_day=Day(30_000), budget_micro=0
)


SHOTS: Final = write_view("Immunization", day="recorded")


@pytest.fixture
def world() -> StudyWorld:
    """Set up a study with a cohort, whose first site has records."""
    world = StudyWorld(patients=PATIENTS, protocol=COHORT)
    keep_records(world.offices[SITES[0]], world.rows[SITES[0]])
    return world


def name_marker(patient: PatientId) -> tuple[Selector, ...]:
    """Name the record with a patient's marker."""
    return (Selector(meaning=Meaning.INSTANCE, reference=f"Observation/{patient[:8]}-1"),)


DATASET: Final = DatasetId("00000000-0000-4000-8000-000000000001")


def list_read(world: StudyWorld, patient: PatientId, *, purpose: str = "HRESCH") -> list[str]:
    entries = read_entries(world.offices[SITES[0]].custody, patient)
    reads = [
        read_details(one.payload, ReadDetails) for one in entries if one.header.kind is JournalKind.READ
    ]
    assert {(one.recipient, one.purpose) for one in reads} <= {(OWNER, purpose)}
    return [record for one in reads for record in one.records]


def test_rows_come_of_what_is_permitted_and_each_patient_sees_which_records_were_read(
    world: StudyWorld,
) -> None:
    (leaver,) = world.withdraw(SITES[0], 1)

    gathered = gather_cohort(world.offices[SITES[0]], world.study, HEALTH, dataset=DATASET)

    assert gathered.rows == {one: rows for one, rows in world.rows[SITES[0]].items() if one != leaver}
    assert list_read(world, leaver) == []
    for patient, (row,) in gathered.rows.items():
        *read, study, dataset = list_read(world, patient)
        assert (study, dataset) == (f"study/{world.study}", f"dataset/{DATASET}")
        assert len(read) == 4 + int(row["ill"] or 0)  # not the one that is labelled as restricted
        assert not any(one.endswith(f"-{len(read)}") for one in read)


def test_rows_come_of_those_alone_who_agreed_to_the_purpose_and_they_read_which(world: StudyWorld) -> None:
    office, (first, other, *_) = world.offices[SITES[0]], world.patients[SITES[0]]
    study = world.permit(COHORT, purpose=EhdsPurpose.CARE)
    world.agree_anew(SITES[0], first, "HQUALIMP")

    gathered = gather_cohort(office, study, HEALTH, dataset=DATASET)

    assert list(gathered.rows) == [first.id]
    assert f"study/{study}" in list_read(world, PatientId(first.id), purpose="HQUALIMP")
    assert list_read(world, PatientId(other.id)) == []


def test_whoever_withdraws_between_reading_and_freezing_is_not_in_the_dataset(world: StudyWorld) -> None:
    office = world.offices[SITES[0]]
    gathered = gather_cohort(office, world.study, HEALTH, dataset=DATASET)
    (leaver,) = world.withdraw(SITES[0], 1)
    other = next(one for one in gathered.rows if one != leaver)
    another = gathered.consents[leaver].consent
    under = gathered.consents | {other: gathered.consents[other]._replace(consent=another)}

    dataset = build_dataset(office, world.study, gathered.rows, HEALTH, read_under=under)

    taking_part = {one.patient for one in get_roll(office.custody, dataset).participants}
    assert taking_part == set(gathered.rows) - {leaver, other}


def test_whoever_takes_a_record_out_between_reading_and_freezing_is_not_in_the_dataset(
    world: StudyWorld,
) -> None:
    office = world.offices[SITES[0]]
    gathered = gather_cohort(office, world.study, HEALTH, dataset=DATASET)
    (patient,) = world.keep_back(SITES[0], 1, data=name_marker)

    dataset = build_dataset(office, world.study, gathered.rows, HEALTH, read_under=gathered.consents)

    taking_part = {one.patient for one in get_roll(office.custody, dataset).participants}
    assert taking_part == set(gathered.rows) - {patient}


def test_whoever_has_taken_a_record_out_before_takes_part_with_the_others_and_stays() -> None:
    world = StudyWorld(patients=PATIENTS, protocol=COHORT)
    office = world.offices[SITES[0]]
    keep_records(office, world.rows[SITES[0]])
    (patient,) = world.keep_back(SITES[0], 1, data=name_marker)

    dataset = build_from_vault(office, world.study, HEALTH)

    (row,) = read_rows(office.custody, dataset, [patient])[patient]
    told = [one for one in list_read(world, patient) if one.startswith("dataset/")]
    assert told == [f"dataset/{dataset}"] * 2  # for which the records were read, and where the row is
    assert row == {**world.rows[SITES[0]][patient][0], "marker": None}
    world.world.clock.advance(26 * MS_PER_DAY)
    assert look_after(office, world.study) is Step.CONFIRMED


@pytest.mark.parametrize(
    ("count", "step", "later"),
    [(9, Step.WAITING, Step.RETIRED), (10, Step.REPLACED, Step.CONFIRMED)],
)
@pytest.mark.parametrize("by", ["instance", "code"])
def test_whoever_takes_records_out_of_a_dataset_leaves_it(
    count: int, step: Step, later: Step, by: str
) -> None:
    world = StudyWorld(patients=24, protocol=COHORT)
    office = world.offices[SITES[0]]
    keep_records(office, world.rows[SITES[0]])
    build_from_vault(office, world.study, HEALTH)
    rule: dict[str, Any] = {"data": name_marker} if by == "instance" else {"codes": ("http://loinc.org|1",)}
    left = world.keep_back(SITES[0], count, **rule)

    assert look_after(office, world.study) is step

    if step is Step.REPLACED:
        study = STUDIES.find(world.world.engine.snapshot(), world.study)
        assert study is not None
        dataset = find_dataset(office.take_view(), office, study)
        assert dataset is not None
        staying = {one.patient for one in get_roll(office.custody, dataset).participants}
        assert staying == set(world.rows[SITES[0]]) - set(left)
    world.world.clock.advance(26 * MS_PER_DAY)
    assert look_after(office, world.study) is later


@pytest.mark.parametrize("rule", [{"purposes": ("TREAT",)}, {"classes": ("Immunization",)}])
def test_a_restriction_that_says_nothing_of_what_a_study_asks_changes_no_dataset(
    world: StudyWorld, rule: dict[str, Any]
) -> None:
    office = world.offices[SITES[0]]
    build_from_vault(office, world.study, HEALTH)
    world.keep_back(SITES[0], 11, codes=("http://loinc.org|1",), **rule)

    assert look_after(office, world.study) is Step.NOTHING


def test_nothing_is_opened_for_a_dataset_that_could_not_be(world: StudyWorld) -> None:
    office = world.offices[SITES[0]]
    build_dataset(office, world.study, world.rows[SITES[0]], HEALTH)
    patient = next(iter(world.rows[SITES[0]]))
    before = list_read(world, patient)

    with pytest.raises(Refused) as refused:
        gather_cohort(office, world.study, HEALTH, dataset=DATASET)

    assert refused.value.reason is Reason.DATASET_NOT_ACTIVE
    assert list_read(world, patient) == before


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"index": {"view": "visits", "date": "nothing"}}, "no column nothing in the view visits"),
        ({"index": {"view": "stays", "date": "day"}}, "no view stays"),
        (
            {"views": SAID["views"] | {"visits": SHOTS}},
            "none of the classes",
        ),
    ],
)
def test_a_cohort_that_cannot_be_made_is_refused_when_it_is_proposed(
    changes: dict[str, Any], detail: str
) -> None:
    document = msgspec.json.decode(msgspec.json.encode(COHORT))
    document["cohort"] |= changes

    with pytest.raises(Refused) as refused:
        check_protocol(msgspec.json.encode(document), PROPOSAL)

    assert refused.value.reason is Reason.SCHEMA_INVALID
    assert detail in (refused.value.detail or "")


@pytest.mark.parametrize("protocol", [COHORT, write_protocol()], ids=["with a cohort", "with a table"])
def test_a_kind_of_record_that_there_is_not_is_refused_when_it_is_proposed(protocol: Protocol) -> None:
    document = msgspec.json.decode(msgspec.json.encode(protocol))
    document["classes"] = [*document["classes"], "Nonsense"]

    with pytest.raises(Refused) as refused:
        check_protocol(msgspec.json.encode(document), PROPOSAL)

    assert refused.value.reason is Reason.INPUT_INVALID
    assert "FHIR R4 has no Nonsense; of patients' records it has Account, " in refused.value.detail
    assert "Observation, Patient, " in refused.value.detail


def test_a_protocol_without_a_cohort_wants_a_table(world: StudyWorld) -> None:
    study = world.permit(write_protocol(title="Another"))

    with pytest.raises(Refused) as refused:
        gather_cohort(world.offices[SITES[0]], study, HEALTH, dataset=DATASET)

    assert refused.value.reason is Reason.INPUT_INVALID
