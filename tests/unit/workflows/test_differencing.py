"""The differencing attack: what two models of a study, subtracted, tell of those who left in between.

The attacker has every model file and every ledger entry, and knows the method. A regression's file has
count and mean of each column, so two files give the count and the sum of those who are in one only. With
a single leaver that is the leaver's row; the rule is that there never is a single one. Another study
over the same tables makes files that are subtracted as well. A file of trees has the cuts at which they
split, and what is in one of two files only is not where a leaver's value was.
"""

import contextlib
import random
import re
from collections.abc import Mapping

import numpy as np
import pytest

from iamata.learning.estimators.growing import Boosting, is_kept_back
from iamata.learning.estimators.linear_model import LinearModel
from iamata.learning.estimators.model_files import decode_model, identify_model
from iamata.learning.estimators.tree_model import TreeModel
from iamata.learning.programmes import Site, run
from iamata.learning.protocols import MICRO, Private, Protocol, Trees, is_kept_out, learn, split_site
from iamata.learning.schemas import Numeric, Outcome, Schema
from iamata.ledger.entries import DatasetStatus, ModelStatus, Study
from iamata.ledger.tables import DATASETS, MODELS, STUDIES
from iamata.ledger.transactions.consents import WithdrawConsent
from iamata.model.ids import ModelId, PatientId
from iamata.model.instants import MS_PER_DAY
from iamata.model.reasons import Reason, Refused
from iamata.testing.learning import OWNER, SITES, StudyWorld, draw_rows, write_protocol
from iamata.testing.offices import grant, write_terms
from iamata.testing.world import Party
from iamata.workflows import withdrawals
from iamata.workflows.frozen_tables import PatientRows, Roll, Row, get_roll, list_rolls, make_table
from iamata.workflows.hiding import PATIENTS_MIN

SITE = SITES[1]
STEPS = 70
WITH_HOLDOUT = write_protocol(holdout_percent=40)
OPEN = Schema(
    columns=(Numeric(name="marker", low=-5.0, high=5.0, outside="clip"),), outcome=Outcome(name="ill")
)
PRIVATE = write_protocol(schema=OPEN, estimator=Private(epsilon_micro=MICRO))


def get_study(world: StudyWorld) -> Study:
    study = STUDIES.find(world.world.engine.snapshot(), world.study)
    assert study is not None
    return study


def read_sums(raw: bytes) -> np.ndarray:
    """Read what a model's file gives away: how many rows, and the sum of each column over them."""
    model = decode_model(raw, identify_model(raw))
    assert isinstance(model, LinearModel)
    moments = model.fit.moments
    return np.array([moments.rows, *(term.mean * moments.rows for term in moments.terms)])


def fetch(world: StudyWorld, model: ModelId) -> bytes:
    entry = MODELS.find(world.world.engine.snapshot(), model)
    assert entry is not None
    return world.read_model(entry.content)


def fit_pooled(protocol: Protocol, rows: PatientRows) -> bytes:
    site = split_site(protocol, make_table(rows, protocol.schema), number=0)
    return run(lambda: learn(protocol), [site]).model


def list_cuts(raw: bytes) -> set[float]:
    """List at which numbers the trees of a model's file split."""
    model = decode_model(raw, identify_model(raw))
    assert isinstance(model, TreeModel)
    splits = [node.split for tree in model.boosted.trees for node in tree.nodes]
    return {split.cut for split in splits if split is not None and split.cut is not None}


def list_released(protocol: Protocol, roll: Roll) -> list[set[str]]:
    """List whom the queries of a run over a dataset are about: in all, at training, at evaluation."""
    row: Row = {"marker": 0, "smokes": "no", "ill": 0}
    rows: PatientRows = {one.patient: [row] for one in roll.participants}
    table = make_table(rows, protocol.schema)
    site = split_site(protocol, table, number=0, has_holdout=roll.has_holdout)
    stages = [part for part in site.memory.values() if isinstance(part, Site)]
    assert len(stages) == 2
    return [set(one.table.patients) for one in (site, *stages)]


def read_card(world: StudyWorld, model: ModelId) -> str:
    entry = MODELS.find(world.world.engine.snapshot(), model)
    assert entry is not None
    return world.read_model(entry.card).decode()


def count_evaluated(world: StudyWorld, model: ModelId) -> int:
    (found,) = re.findall(r"On (\d+) rows of patients", read_card(world, model))
    return int(found)


def pool(world: StudyWorld) -> dict[PatientId, list[Mapping[str, float | int | str | None]]]:
    return {patient: list(rows) for site in SITES for patient, rows in world.rows[site].items()}


def test_without_the_rule_the_attack_finds_the_row_of_a_single_leaver() -> None:
    world = StudyWorld(patients=24)
    everybody = pool(world)
    leaver = next(iter(everybody))
    others = {patient: rows for patient, rows in everybody.items() if patient != leaver}

    found = read_sums(fit_pooled(world.protocol, everybody)) - read_sums(fit_pooled(world.protocol, others))

    (row,) = everybody[leaver]
    marker, smokes = float(row["marker"] or 0), float(row["smokes"] == "yes")
    assert np.allclose(found[:2], [1.0, marker], atol=1e-6)
    assert np.isclose(found[2:], smokes, atol=1e-6).any()


def test_files_of_trees_are_the_same_whatever_the_few_had_who_lie_by_themselves() -> None:
    settings = Boosting(trees_max=20, bins_max=256, stops_early=False)
    protocol = write_protocol(estimator=Trees(settings=settings))
    # The second and third fell ill, like all who have no marker: the best cut is at the first one's.
    rows = [{**row, "ill": int(at in (1, 2))} for at, row in enumerate(draw_rows(60, seed=3))]
    without: list[Row] = [{"marker": None, "smokes": "no", "ill": 1}] * 180
    pairs = set()
    for values in ([3.6, 3.7, 4.9], [4.1, 4.4, 4.5], [3.1, 4.3, 4.999]):
        few = [{**row, "marker": value} for row, value in zip(rows, values, strict=False)]
        everybody: PatientRows = {
            PatientId(f"patient-{at:03}"): [row] for at, row in enumerate([*few, *rows[3:], *without])
        }
        staying = dict(list(everybody.items())[10:])  # with the few, seven others leave

        pairs.add((fit_pooled(protocol, everybody), fit_pooled(protocol, staying)))

    ((before, after),) = pairs
    assert before != after
    assert list_cuts(before)


def test_fewer_than_ten_who_leave_change_no_model_and_then_the_hospital_is_gone() -> None:
    world = StudyWorld(patients=24)
    for site in SITES:
        world.build(site)
    before = world.learn()
    world.withdraw(SITE, 9)
    step = withdrawals.look_after(world.offices[SITE], world.study)
    after = world.learn(supersedes=before)

    assert step is withdrawals.Step.WAITING
    assert fetch(world, before) == fetch(world, after)  # to the last bit: nothing to subtract

    world.world.clock.advance(26 * MS_PER_DAY)
    for site in SITES:
        withdrawals.look_after(world.offices[site], world.study)
    last = world.learn()
    entry = MODELS.find(world.world.engine.snapshot(), after)
    assert entry is not None
    assert entry.status is ModelStatus.RETIRED
    gone = read_sums(fetch(world, after)) - read_sums(fetch(world, last))
    # a whole hospital's patients, of whom those who left are nine among 24
    assert gone[0] == len(world.rows[SITE])


@pytest.mark.parametrize("seed", range(3))
def test_no_two_releases_over_a_site_differ_by_one_to_nine_patients(seed: int) -> None:
    chance = random.Random(seed)
    world = StudyWorld(patients=60, protocol=WITH_HOLDOUT)
    protocols = {world.study: WITH_HOLDOUT}
    for percent in (0, 40):
        another = write_protocol(holdout_percent=percent, title="Another")
        protocols[world.permit(another)] = another
    terms = write_terms(world.world, recipients=(f"member:{OWNER}",), purposes=("HRESCH",))
    for site in SITES:
        world.build(site)
    told: list[str] = []
    for _ in range(STEPS):
        site, study = chance.choice(SITES[:2]), chance.choice(list(protocols))
        what = chance.choices(("leave", "come back", "wait", "look", "build"), (4, 1, 1, 4, 2))[0]
        told.append(f"{site} {study} {what}")
        with contextlib.suppress(Refused):
            if what == "leave":
                world.withdraw(site, chance.choice((1, 2, 5, 9, 10, 11)), kept_out=chance.random() < 0.3)
            elif what == "come back":
                gone = [one for one in world.patients[site] if one.id not in world.consents]
                for one in gone[: chance.choice((1, 9, 10))]:
                    world.consents[one.id] = grant(world.world, world.offices[site], one, terms)
            elif what == "wait":
                world.world.clock.advance(chance.choice((3, 12, 27)) * MS_PER_DAY)
            elif what == "look":
                told[-1] += f" {withdrawals.look_after(world.offices[site], study)}"
            else:
                world.build(site, study=study)

    released = 0
    for site in SITES:
        rolls = [roll for _, roll in list_rolls(world.offices[site].custody)]
        released += len(rolls)
        groups = [set(), *(one for roll in rolls for one in list_released(protocols[roll.study], roll))]
        differing = [len(one ^ other) for at, one in enumerate(groups) for other in groups[:at]]
        assert all(size == 0 or size >= PATIENTS_MIN for size in differing), (site, differing, told)
    assert released >= len(SITES) + 3, told  # or the sequence has shown nothing


def test_what_two_models_tell_of_ten_who_left_is_of_a_group_and_the_ledger_does_not_name_them() -> None:
    world = StudyWorld(patients=40)
    datasets = {site: world.build(site) for site in SITES}
    first = world.learn()
    left = world.withdraw(SITE, 10)
    assert withdrawals.look_after(world.offices[SITE], world.study) is withdrawals.Step.REPLACED
    second = world.learn(supersedes=first)

    found = read_sums(fetch(world, first)) - read_sums(fetch(world, second))

    assert round(found[0]) == len(left)
    markers = [float(world.rows[SITE][one][0]["marker"] or 0) for one in left]
    assert np.isclose(found[1], sum(markers), atol=1e-6)  # of the group, and of no one in it
    assert not np.isclose(found[1], markers, atol=1e-6).any()
    replaced = DATASETS.find(world.world.engine.snapshot(), datasets[SITE])
    assert replaced is not None
    assert replaced.status is DatasetStatus.REPLACED


def test_ten_who_leave_wait_where_fewer_of_them_trained_and_then_the_dataset_goes() -> None:
    world = StudyWorld(patients=60, protocol=WITH_HOLDOUT)
    world.build(SITE)
    office = world.offices[SITE]
    world.withdraw(SITE, 6)
    world.withdraw(SITE, 5, kept_out=True)

    assert withdrawals.look_after(office, world.study) is withdrawals.Step.WAITING
    world.world.clock.advance(26 * MS_PER_DAY)
    assert withdrawals.look_after(office, world.study) is withdrawals.Step.RETIRED


def test_ten_who_leave_wait_where_trees_grew_on_fewer_of_them() -> None:
    world = StudyWorld(patients=60, protocol=write_protocol(estimator=Trees()))
    world.build(SITE)
    growing = [one for one in world.patients[SITE] if not is_kept_back(one.id)]
    kept_back = [one for one in world.patients[SITE] if is_kept_back(one.id)]

    def leave(patients: list[Party]) -> withdrawals.Step | None:
        for one in patients:
            one.author.submit(WithdrawConsent, consent=world.consents.pop(one.id))
        return withdrawals.look_after(world.offices[SITE], world.study)

    assert leave([*growing[:9], kept_back[0]]) is withdrawals.Step.WAITING
    assert leave(growing[9:10]) is withdrawals.Step.REPLACED


def test_ten_who_leave_do_not_wait_where_too_few_who_train_stay_whoever_leaves_next() -> None:
    world = StudyWorld(patients=40, protocol=WITH_HOLDOUT)
    world.build(SITE)
    training = sum(not is_kept_out(world.protocol, one) for one in world.rows[SITE])
    world.withdraw(SITE, training - PATIENTS_MIN + 1)
    world.withdraw(SITE, 1, kept_out=True)

    assert withdrawals.look_after(world.offices[SITE], world.study) is withdrawals.Step.RETIRED


@pytest.mark.parametrize(("leaving", "is_left_out"), [(4, True), (10, False)])
def test_where_fewer_than_ten_of_those_kept_out_leave_a_site_is_no_longer_evaluated_on(
    leaving: int,
    is_left_out: bool,  # noqa: FBT001  a case
) -> None:
    world = StudyWorld(patients=60, protocol=WITH_HOLDOUT)
    for site in SITES:
        world.build(site)
    first = world.learn()
    held = sum(is_kept_out(world.protocol, one) for one in world.rows[SITE])
    world.withdraw(SITE, leaving, kept_out=True)
    world.world.clock.advance(26 * MS_PER_DAY)
    assert withdrawals.look_after(world.offices[SITE], world.study) is withdrawals.Step.REPLACED
    for site in SITES:
        withdrawals.look_after(world.offices[site], world.study)

    second = world.learn(supersedes=first)

    assert fetch(world, first) == fetch(world, second)  # nobody who trained has left
    gone = count_evaluated(world, first) - count_evaluated(world, second)
    assert gone == (held if is_left_out else leaving)


def test_where_all_sites_keep_out_fewer_than_ten_a_model_is_not_evaluated() -> None:
    world = StudyWorld(patients=24, protocol=write_protocol(holdout_percent=20))
    built = {site: world.build(site) for site in SITES}

    model = world.learn()

    rolls = [get_roll(world.offices[site].custody, one) for site, one in built.items()]
    assert not any(roll.has_holdout for roll in rolls)
    assert "Too few patients were kept out" in read_card(world, model)


def test_two_studies_of_the_same_columns_do_not_differ_by_who_agreed_to_one_of_them() -> None:
    world = StudyWorld(patients=24)
    another = world.permit(write_protocol(title="Another"))
    for site in SITES:
        world.build(site)
    first = world.learn()
    left = world.withdraw(SITE, 1)

    with pytest.raises(Refused) as refused:
        world.build(SITE, study=another)

    assert refused.value.reason is Reason.TOO_FEW_PATIENTS
    assert "another study" in refused.value.detail
    left += world.withdraw(SITE, 9)
    for site in SITES:
        world.build(site, study=another)
    world.study = another
    found = read_sums(fetch(world, first)) - read_sums(fetch(world, world.learn()))
    assert round(found[0]) == len(left)
    markers = [float(world.rows[SITE][one][0]["marker"] or 0) for one in left]
    assert np.isclose(found[1], sum(markers), atol=1e-6)


@pytest.mark.parametrize("suffix", ["", "_1"])
def test_two_studies_differ_by_no_few_patients_whatever_their_columns_are_called(suffix: str) -> None:
    world = StudyWorld(patients=24)
    world.build(SITE)
    world.withdraw(SITE, 1)
    columns = (Numeric(name=f"marker{suffix}", low=-5.0, high=5.0),)
    schema = Schema(columns=columns, outcome=Outcome(name=f"ill{suffix}"))
    another = world.permit(write_protocol(title="Another", schema=schema))
    for rows in world.rows[SITE].values():
        rows[:] = [{f"{name}{suffix}": value for name, value in row.items()} for row in rows]

    with pytest.raises(Refused) as refused:
        world.build(SITE, study=another)

    assert refused.value.reason is Reason.TOO_FEW_PATIENTS


@pytest.mark.parametrize(
    ("changed", "is_refused"), [(0, False), (1, True), (9, True), (10, False), (24, False)]
)
@pytest.mark.parametrize("what", ["marker", "smokes", "ill"])
def test_two_studies_of_the_same_patients_do_not_differ_by_the_rows_of_a_few(
    changed: int,
    is_refused: bool,  # noqa: FBT001  a case
    what: str,
) -> None:
    world = StudyWorld(patients=24)
    world.build(SITE)
    another = world.permit(write_protocol(title="Another"))
    for rows in list(world.rows[SITE].values())[:changed]:
        other: Row = {
            "marker": 0.5,
            "smokes": "no" if rows[0]["smokes"] == "yes" else "yes",
            "ill": 1 - int(rows[0]["ill"] or 0),
        }
        rows[0] = {**rows[0], what: other[what]}

    if is_refused:
        with pytest.raises(Refused) as refused:
            world.build(SITE, study=another)
        assert refused.value.reason is Reason.TOO_FEW_PATIENTS
        assert "hardly differs" in refused.value.detail
    else:
        world.build(SITE, study=another)


def test_where_rows_of_a_few_who_are_kept_out_changed_a_site_is_not_evaluated_on() -> None:
    world = StudyWorld(patients=60, protocol=WITH_HOLDOUT)
    first = world.build(SITE)
    another = world.permit(write_protocol(holdout_percent=40, title="Another"))
    held = [one for one in world.rows[SITE] if is_kept_out(world.protocol, one)]
    world.rows[SITE][held[0]] = [{**world.rows[SITE][held[0]][0], "marker": 0.5}]

    second = world.build(SITE, study=another)

    custody = world.offices[SITE].custody
    assert [get_roll(custody, one).has_holdout for one in (first, second)] == [True, False]


def test_bounds_that_cut_the_value_of_one_patient_only_are_seen() -> None:
    world = StudyWorld(patients=24)
    markers = sorted(float(row["marker"] or 0) for (row,) in world.rows[SITE].values())
    high = (markers[-1] + markers[-2]) / 2
    columns = (Numeric(name="marker", low=-5.0, high=high, outside="clip"),)
    cut = world.permit(write_protocol(title="Cut", schema=Schema(columns=columns, outcome=OPEN.outcome)))
    world.build(SITE)

    with pytest.raises(Refused) as refused:
        world.build(SITE, study=cut)

    assert refused.value.reason is Reason.TOO_FEW_PATIENTS


def test_studies_with_noise_are_held_against_none() -> None:
    world = StudyWorld(patients=24)
    noisy = world.permit(PRIVATE, budget_micro=MICRO)
    world.build(SITE)
    world.withdraw(SITE, 1)

    world.build(SITE, study=noisy)


def test_a_study_of_other_columns_over_the_same_patients_is_built() -> None:
    world = StudyWorld(patients=24)
    schema = Schema(columns=(Numeric(name="age", low=0.0, high=120.0),), outcome=Outcome(name="dead"))
    unlike = world.permit(write_protocol(title="Unlike", schema=schema))
    world.build(SITE)
    for at, rows in enumerate(world.rows[SITE].values()):
        rows[:] = [{"age": 50.0 + at, "dead": at % 2}]

    world.build(SITE, study=unlike)


def test_two_columns_of_one_dataset_do_not_tell_of_the_one_who_is_clipped_in_one_of_them() -> None:
    columns = tuple(
        Numeric(name=name, low=-5.0, high=high, outside="clip")
        for name, high in (("marker", 5.0), ("cut", 2.0))
    )
    protocol = write_protocol(schema=Schema(columns=columns, outcome=Outcome(name="ill")))
    world = StudyWorld(patients=24, protocol=protocol)
    someone = next(one for one in world.rows[SITES[0]] if not is_kept_out(protocol, one))
    for patient, (row,) in world.rows[SITES[0]].items():
        marker = 2.7 if patient == someone else min(float(row["marker"] or 0), 1.9)
        world.rows[SITES[0]][patient] = [{**row, "marker": marker, "cut": marker}]

    with pytest.raises(Refused) as refused:
        world.build(SITES[0])

    assert refused.value.reason is Reason.TOO_FEW_PATIENTS
    assert refused.value.detail.startswith("marker and cut differ for fewer than 10")
