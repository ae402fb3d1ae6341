"""What withdrawal asks of a custodian: those who left go from the dataset in tens, or the dataset goes.

Who takes single records out, of the kinds that a study asks for, leaves like who withdraws.

Ten or more of those who train are taken out together, at once. Fewer wait; before the custodian's word on
the dataset would be due the next time, the dataset is retired if anybody of them still waits, or replaced
without its holdout if only others do. So nobody waits longer than 30 days, and no difference between two
releases is anybody's row. What may not be used any more, by its permit or by the conditions on the data, is
not replaced: it goes with those who leave it.

Who is erased has no row left to wait with: the dataset is replaced or retired at once, as when the word is
due. One with noise in every sum goes on without that row, and whoever was erased waits like the others.
"""

import enum
from typing import Final

import msgspec

from iamata.consent import data_use
from iamata.learning.protocols import Protocol
from iamata.ledger.tables import DATASETS, STUDIES
from iamata.ledger.transactions.datasets import ConfirmDataset, RetireDataset
from iamata.model.ids import DatasetId, StudyId
from iamata.model.instants import MS_PER_DAY, compute_day
from iamata.model.reasons import Reason, Refused, require
from iamata.ports import LedgerView
from iamata.workflows.datasets import (
    find_agreed,
    find_dataset,
    get_study,
    is_as_before,
    is_permitted,
    list_erased,
    post,
)
from iamata.workflows.frozen_tables import Participant, Roll, get_roll, list_rolls, read_rows
from iamata.workflows.hiding import PATIENTS_MIN, Hiding, part
from iamata.workflows.office import Office

AHEAD_MS: Final = 5 * MS_PER_DAY
"""How long before it is due the custodian gives its word."""


class Step(enum.StrEnum):
    """What a custodian did about a dataset."""

    NOTHING = "nothing"
    WAITING = "waiting"
    """Somebody has left, and is taken out when ten who train have, or by the day when its word is due."""
    CONFIRMED = "confirmed"
    REPLACED = "replaced"
    RETIRED = "retired"


class Done(msgspec.Struct, frozen=True):
    """What a custodian did about a dataset, and why its data may not be used any more, if so."""

    step: Step
    objection: str


def look_after(office: Office, study_id: StudyId) -> Step:
    """Do what withdrawals, and the time that has passed, ask of this site's dataset in a study.

    What it does follows from the ledger and the dataset alone, so it can be asked again after a crash.
    """
    return _look_after(office, study_id).step


def _look_after(office: Office, study_id: StudyId) -> Done:
    view = office.take_view()
    study, protocol = get_study(office, view, study_id)
    dataset_id = find_dataset(view, office, study)
    if dataset_id is None:
        return Done(Step.NOTHING, "")
    roll = get_roll(office.custody, dataset_id)
    objection = _find_objection(office, view, roll, protocol)
    # Once the permit is over no dataset can be posted, so what cannot be replaced is retired.
    is_usable = is_permitted(office, view, study) and not objection
    return Done(_take_out(office, view, dataset_id, roll, protocol, is_usable=is_usable), objection)


def _take_out(  # noqa: PLR0913  a dataset, and what becomes of it
    office: Office,
    view: LedgerView,
    dataset_id: DatasetId,
    roll: Roll,
    protocol: Protocol,
    *,
    is_usable: bool,
) -> Step:
    """Take those who have left out of a dataset, as far as it is time to."""
    staying = _list_staying(office, view, roll)
    leaving = len(roll.participants) - len(staying)
    is_due = _is_word_due(office, view, dataset_id) or _is_torn(office, view, roll, protocol)
    if leaving == 0:
        return _confirm(office, dataset_id) if is_due else Step.NOTHING
    if leaving < PATIENTS_MIN and not is_due:
        return Step.WAITING
    patients = [one.patient for one in staying]
    # Who is kept out trains nothing: where too few others stay, no more leavers would ever change that.
    is_replaceable = len(part(protocol, patients)[0]) >= PATIENTS_MIN and is_usable
    rows = read_rows(office.custody, dataset_id, patients) if is_replaceable else {}
    if is_replaceable and Hiding.look_up(office, view, protocol).is_training_hidden(rows):
        post(office, view, roll.study, rows, staying, conditions=roll.conditions, replaces=dataset_id)
        return Step.REPLACED
    if is_due or not is_replaceable:
        office.author.submit(RetireDataset, dataset=dataset_id)
        return Step.RETIRED
    return Step.WAITING


def _confirm(office: Office, dataset_id: DatasetId) -> Step:
    office.author.submit(ConfirmDataset, dataset=dataset_id)
    return Step.CONFIRMED


def look_after_all(office: Office) -> dict[StudyId, Done]:
    """Look after every dataset of this site; a study that refuses does not stop the others."""
    view = office.take_view()
    done: dict[StudyId, Done] = {}
    for study_id in list_studies(office, view):
        try:
            done[study_id] = _look_after(office, study_id)
        except Refused as refused:
            require(refused.reason is not Reason.ENGINE_STOPPED, refused.reason, refused.detail)
    return done


def list_studies(office: Office, view: LedgerView) -> list[StudyId]:
    """List the studies in which this site has a dataset."""
    found = dict.fromkeys(roll.study for _, roll in list_rolls(office.custody))
    return [one for one in found if (entry := STUDIES.find(view, one)) is not None and entry.datasets]


def _find_objection(office: Office, view: LedgerView, roll: Roll, protocol: Protocol) -> str:
    if roll.conditions is None:
        return ""
    today = compute_day(office.tell_time(view))
    return data_use.find_objection(roll.conditions, protocol.purpose, day=today)


def _list_staying(office: Office, view: LedgerView, roll: Roll) -> list[Participant]:
    """List who still agrees by the same consent, and denies no more of their records than before.

    Which records are in a frozen row nobody can tell, so whoever takes some out leaves.
    """
    study, protocol = get_study(office, view, roll.study)
    staying = []
    for one in roll.participants:
        agreed = find_agreed(office, view, one.patient, study, protocol)
        if agreed is not None and is_as_before(office.custody, agreed, one):
            staying.append(one)
    return staying


def _is_torn(office: Office, view: LedgerView, roll: Roll, protocol: Protocol) -> bool:
    """Tell whether a dataset is of no use: somebody's row is gone, and no noise hides that."""
    return not protocol.spends_micro and bool(list_erased(office, view, roll))


def _is_word_due(office: Office, view: LedgerView, dataset_id: DatasetId) -> bool:
    dataset = DATASETS.find(view, dataset_id)
    return dataset is not None and office.tell_time(view) > dataset.confirm_until_ms - AHEAD_MS
