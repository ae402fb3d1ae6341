"""From a study to a model, and from a withdrawal to a model that never saw who left."""

import base64
import hashlib
import json
import re
from typing import Any
from xml.etree import ElementTree as ET

import msgspec
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from iamata.consent.terms import Meaning, Rule, Ruling, Selector
from iamata.learning import membership
from iamata.learning.estimators.bayes import BayesModel
from iamata.learning.estimators.growing import Boosting
from iamata.learning.estimators.linear_model import LinearModel
from iamata.learning.estimators.model_files import decode_model, identify_model
from iamata.learning.estimators.splitting import Growth
from iamata.learning.evaluation.evaluating import Evaluation, Plan
from iamata.learning.membership import compute_leaf, derive_member_key, is_member
from iamata.learning.programmes import run
from iamata.learning.protocols import Bayes, Protocol, Trees, is_kept_out, learn, split_site
from iamata.learning.worth import CURVES
from iamata.ledger import transactions
from iamata.ledger.entries import DatasetStatus, Model, ModelStatus, RunStatus, StudyStatus
from iamata.ledger.tables import DATASETS, MODELS, RUNS, STUDIES
from iamata.model.ids import ModelId
from iamata.model.instants import MS_PER_DAY
from iamata.model.reasons import Reason, Refused
from iamata.testing.learning import OWNER, SITES, StudyWorld, write_protocol
from iamata.testing.offices import grant, write_terms
from iamata.vault.journal import read_entries
from iamata.vault.openings import find_opening
from iamata.workflows import studies, withdrawals
from iamata.workflows.datasets import find_dataset
from iamata.workflows.documents import get_document
from iamata.workflows.frozen_tables import Roll, get_roll, load_table, make_table
from iamata.workflows.model_cards import list_figures

SITE = SITES[1]


@pytest.fixture(scope="module")
def told() -> StudyWorld:
    """Set a study up to where its datasets are posted."""
    world = StudyWorld(protocol=write_protocol(holdout_percent=30))
    for site in SITES:
        world.build(site)
    return world


def get_model(world: StudyWorld, model: ModelId) -> Model:
    entry = MODELS.find(world.world.engine.snapshot(), model)
    assert entry is not None
    return entry


def read_coefficients(world: StudyWorld, model: ModelId) -> np.ndarray:
    raw = world.read_model(get_model(world, model).content)
    decoded = decode_model(raw, identify_model(raw))
    assert isinstance(decoded, LinearModel)
    return np.array(decoded.fit.coefficients)


def fit_pooled(world: StudyWorld) -> np.ndarray:
    """Fit on the rows of everybody who takes part now, at one site."""
    rows = {
        patient: row
        for site in SITES
        for patient, row in world.rows[site].items()
        if patient in world.consents
    }
    site = split_site(world.protocol, make_table(rows, world.protocol.schema), number=0)
    pooled = run(lambda: learn(world.protocol), [site])
    decoded = decode_model(pooled.model, identify_model(pooled.model))
    assert isinstance(decoded, LinearModel)
    return np.array(decoded.fit.coefficients)


def sum_bands(rolls: list[Roll]) -> int:
    return sum(membership.compute_band(len(one.participants)) for one in rolls)


def test_a_dataset_has_as_many_leaves_as_the_ledger_takes() -> None:
    bounds = membership.LEAVES_MIN, membership.LEAVES_MAX

    assert bounds == (transactions.datasets.LEAVES_MIN, transactions.datasets.LEAVES_MAX)


def test_a_model_comes_of_consented_rows_and_leaves_with_those_who_withdraw(told: StudyWorld) -> None:
    view = told.world.engine.snapshot
    study = STUDIES.find(view(), told.study)
    assert study is not None
    assert (study.status, len(study.datasets)) == (StudyStatus.GRANTED, 4)

    first = told.learn()
    entry = get_model(told, first)
    assert entry.status is ModelStatus.CURRENT
    run_entry = RUNS.find(view(), entry.run)
    assert run_entry is not None
    assert run_entry.status is RunStatus.FINISHED
    assert {one.model for one in run_entry.attestations} == {entry.content}
    assert np.abs(read_coefficients(told, first) - fit_pooled(told)).max() < 1e-6

    left = told.withdraw(SITE, 10)
    before = find_dataset(view(), told.offices[SITE], study)
    assert withdrawals.look_after(told.offices[SITE], told.study) is withdrawals.Step.REPLACED
    assert before is not None
    replaced = DATASETS.find(view(), before)
    assert replaced is not None
    assert replaced.status is DatasetStatus.REPLACED
    assert get_model(told, first).status is ModelStatus.STALE

    second = told.learn(supersedes=first)
    assert get_model(told, first).status is ModelStatus.SUPERSEDED
    assert get_model(told, second).status is ModelStatus.CURRENT
    assert np.abs(read_coefficients(told, second) - fit_pooled(told)).max() < 1e-9
    assert np.abs(read_coefficients(told, second) - read_coefficients(told, first)).max() > 1e-4
    assert len(left) == 10


def test_a_card_tells_worth_and_lineage_in_hugging_faces_form(told: StudyWorld) -> None:
    model = told.learn()

    card = read_card(told, model)

    _, front, text = card.split("---\n", 2)
    lines = (line.split(": ", 1) for line in front.splitlines())
    metadata = {key: json.loads(value) for key, value in lines}
    assert metadata["license"] == "other"
    assert metadata["pipeline_tag"] == "tabular-classification"
    (named,) = metadata["model-index"]
    (result,) = named["results"]
    metrics = {one["type"]: one["value"] for one in result["metrics"]}
    assert metrics.keys() == {"roc_auc", "average_precision", "brier_score", "accuracy"}
    assert result["dataset"]["type"] == told.study
    assert f"| AUROC | {metrics['roc_auc']:.3f} |" in text
    assert "no medical device" in text
    assert f"Study `{told.study}`" in text


def test_a_card_says_how_a_model_was_learned_and_from_how_many(told: StudyWorld) -> None:
    view, model = told.world.engine.snapshot(), told.learn()
    fit = msgspec.json.decode(told.read_model(get_model(told, model).content))["model"]["fit"]
    study = STUDIES.find(view, told.study)
    assert study is not None
    datasets = {site: find_dataset(view, told.offices[site], study) for site in SITES}
    rolls = [get_roll(told.offices[site].custody, one) for site, one in datasets.items() if one]
    patients = [one.patient for roll in rolls for one in roll.participants]
    trained = sum(not is_kept_out(told.protocol, one) for one in patients)
    most = f"at most {sum_bands(rolls)} in the datasets, whose sizes the ledger has in bands"

    (said,) = re.findall(r"## Training\n\n(.*?)\n\n", read_card(told, model), re.DOTALL)

    assert said.splitlines() == [
        "- Method: logistic regression, L2 penalty 1 on standardised columns, by Newton's method",
        "- Settings: regression (family logistic, l2 1.0, rounds_max 25)",
        f"- Patients: {trained} trained it, with {trained} rows; {most}",
        f"- Rounds: {fit['rounds']}, each a sum over 4 sites",
        "- Kept out of training: 30 patients in a hundred",
    ]


def test_a_curve_whose_steps_would_tell_of_few_is_not_drawn(told: StudyWorld) -> None:
    model = told.learn()

    card = read_card(told, model)

    assert list(list_figures(card.encode())) == [f"{model}-evaluation.json"]
    assert "No curve is drawn: each step of one would tell of fewer than ten" in card


@pytest.fixture(scope="module")
def judged() -> tuple[StudyWorld, ModelId]:
    """Learn by naive Bayes, and judge it on half of the patients."""
    protocol = write_protocol(estimator=Bayes(), evaluation=Plan(), holdout_percent=50)
    world = StudyWorld(patients=120, protocol=protocol)
    for site in SITES:
        world.build(site)
    return world, world.learn()


def test_a_card_has_what_naive_bayes_is_worth_to_those_kept_out(judged: tuple[StudyWorld, ModelId]) -> None:
    world, model = judged
    kept = {
        patient: rows
        for site in SITES
        for patient, rows in world.rows[site].items()
        if is_kept_out(world.protocol, patient)
    }
    table = make_table(kept, world.protocol.schema)
    raw = world.read_model(get_model(world, model).content)
    bayes = decode_model(raw, identify_model(raw))
    assert isinstance(bayes, BayesModel)

    card = read_card(world, model)

    true = roc_auc_score(table.outcome, bayes.predict(table))
    told = re.search(r"\| AUROC \| ([0-9.]+) \| ([0-9.]+) to ([0-9.]+) \|", card)
    assert told is not None
    value, low, high = map(float, told.groups())
    assert value == pytest.approx(true, abs=0.001)
    assert low < true < high
    open_ = re.search(r"±([0-9.]+) of AUROC, ±([0-9.]+) of AUPRC", card)
    assert open_ is not None
    assert max(map(float, open_.groups())) < 0.005


def test_a_cards_figures_are_named_by_their_hashes_and_kept_beside_it(
    judged: tuple[StudyWorld, ModelId],
) -> None:
    world, model = judged
    custody = world.offices[OWNER].custody
    card = read_card(world, model)

    figures = {name: get_document(custody, one) for name, one in list_figures(card.encode()).items()}

    assert set(figures) == {f"{model}-{name}" for name in (*CURVES, "evaluation.json")}
    for name, raw in figures.items():
        assert f"`{hashlib.sha256(raw).hexdigest()}`" in card
        assert f"]({name})" in card
    worth = msgspec.json.decode(figures[f"{model}-evaluation.json"], type=Evaluation)
    assert "No curve is drawn" not in card
    assert f"area {worth.auprc.value:.3f}" in figures[f"{model}-precision-recall.svg"].decode()
    assert all(
        ET.fromstring(raw).tag.endswith("svg")  # noqa: S314  drawn here
        for name, raw in figures.items()
        if name.endswith(".svg")
    )


@pytest.mark.parametrize(
    ("protocol", "patients", "reason"),
    [
        (write_protocol(holdout_percent=0), 12, "nobody was kept out"),
        (write_protocol(holdout_percent=30), 24, "Too few patients were kept out"),
    ],
    ids=["nobody", "too few"],
)
def test_a_card_says_why_a_model_was_not_evaluated(protocol: Protocol, patients: int, reason: str) -> None:
    world = StudyWorld(patients=patients, protocol=protocol)
    for site in SITES:
        world.build(site)

    card = read_card(world, world.learn())

    assert reason in card
    assert "model-index" not in card
    assert list_figures(card.encode()) == {}


def test_whoever_has_a_card_and_its_evaluation_can_check_them_against_the_ledger(told: StudyWorld) -> None:
    """SUM-RUN-7, spelled out once more by hand."""
    name = told.learn()
    model, card = get_model(told, name), read_card(told, name)
    run = RUNS.find(told.world.engine.snapshot(), model.run)
    assert run is not None
    named = list_figures(card.encode())[f"{name}-evaluation.json"]
    worth = get_document(told.offices[OWNER].custody, named)
    rounds = re.search(r"Rounds of sums: `([0-9a-f]{64})`", card)
    assert rounds is not None

    said = b"iamata/1/attested\x00" + bytes.fromhex(rounds[1]) + hashlib.sha256(worth).digest()

    found = base64.urlsafe_b64encode(hashlib.sha256(said).digest()).decode().rstrip("=")
    assert {one.transcript for one in run.attestations} == {found}


def test_free_text_of_a_study_names_no_figure() -> None:
    line = f"| [{'a' * 26}-roc.svg]({'a' * 26}-roc.svg) | `{'0' * 64}` |"

    assert list_figures(f"question\n## Files\n{line}\n".encode()) != {}
    assert list_figures(f"{line}\n## Files\n\n".encode()) == {}
    assert list_figures(f"x\n## Files\n{line.replace('roc.svg', '../roc.svg')}\n".encode()) == {}


def test_a_patient_proves_to_be_in_a_dataset_and_whoever_left_proves_not_to_be() -> None:
    world = StudyWorld(patients=24)
    first = world.build(SITE)
    office = world.offices[SITE]
    keys = {}
    for patient in world.rows[SITE]:
        opening = find_opening(office.custody, world.consents[patient])
        assert opening is not None
        keys[patient] = derive_member_key(opening.salt)
    left = world.withdraw(SITE, 10)
    withdrawals.look_after(office, world.study)
    study = STUDIES.find(world.world.engine.snapshot(), world.study)
    assert study is not None
    (second,) = study.datasets

    for dataset, absent in ((first, []), (second, left)):
        members, leaves = get_roll(office.custody, dataset).build_members()
        entry = DATASETS.find(world.world.engine.snapshot(), dataset)
        assert entry is not None
        assert leaves == entry.leaves in (16, 32)
        for patient, key in keys.items():
            leaf = compute_leaf(key, world.study)
            assert is_member(entry.members, leaf, members.prove(leaf)) is (patient not in absent)


def test_a_patient_who_never_agreed_is_in_no_dataset() -> None:
    world = StudyWorld(patients=24)
    left = world.withdraw(SITE, 4)
    dataset = world.build(SITE)

    table, _ = load_table(world.offices[SITE].custody, dataset, world.protocol.schema)

    assert table.count_patients() == 20
    assert not set(left) & set(table.patients)


def test_fewer_than_ten_who_leave_wait_and_then_the_dataset_and_its_models_go() -> None:
    world = StudyWorld(patients=24)
    for site in SITES:
        world.build(site)
    model = world.learn()
    world.withdraw(SITE, 9)
    office = world.offices[SITE]

    assert withdrawals.look_after(office, world.study) is withdrawals.Step.WAITING
    assert get_model(world, model).status is ModelStatus.CURRENT
    world.world.clock.advance(26 * MS_PER_DAY)
    steps = {site: withdrawals.look_after(world.offices[site], world.study) for site in SITES}

    assert steps.pop(SITE) is withdrawals.Step.RETIRED
    assert set(steps.values()) == {withdrawals.Step.CONFIRMED}
    assert get_model(world, model).status is ModelStatus.RETIRED
    with pytest.raises(Refused) as refused:  # nine are missing, which would be their sum
        world.build(SITE)
    assert refused.value.reason is Reason.TOO_FEW_PATIENTS


def test_once_the_permit_is_over_a_dataset_goes_with_those_who_leave_it() -> None:
    world = StudyWorld(patients=24)
    world.build(SITE)
    studies.revoke_permit(world.offices[OWNER].author, world.study, grounds="No longer needed")

    world.withdraw(SITE, 10)

    assert withdrawals.look_after(world.offices[SITE], world.study) is withdrawals.Step.RETIRED


def test_a_dataset_without_a_permit_leaves_no_trace_with_a_patient() -> None:
    world = StudyWorld(patients=12)
    studies.revoke_permit(world.offices[OWNER].author, world.study, grounds="No longer needed")

    with pytest.raises(Refused) as refused:
        world.build(SITE)

    assert refused.value.reason is Reason.PERMIT_NOT_ACTIVE
    assert not list(read_entries(world.offices[SITE].custody, world.patients[SITE][0].id))


def test_too_few_patients_make_no_dataset() -> None:
    world = StudyWorld(patients=12)
    world.withdraw(SITE, 3)

    with pytest.raises(Refused) as refused:
        world.build(SITE)

    assert refused.value.reason is Reason.TOO_FEW_PATIENTS


def test_code_that_changed_after_the_review_does_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    world = StudyWorld(patients=12)
    for site in SITES:
        world.build(site)
    run_id = world.start()
    monkeypatch.setattr("iamata.workflows.run_rounds.compute_code_digest", lambda: "another")

    came = world.train(run_id)

    reasons = [one.reason for one in came.values() if isinstance(one, Refused)]
    assert len(reasons) == 4
    assert Reason.CODE_NOT_REVIEWED in reasons
    assert set(reasons) <= {Reason.CODE_NOT_REVIEWED, Reason.RUN_OVER}  # whoever comes later
    entry = RUNS.find(world.world.engine.snapshot(), run_id)
    assert entry is not None
    assert entry.status is RunStatus.FAILED


def test_a_site_whose_rows_do_not_fit_fails_the_run_for_all_with_its_reason() -> None:
    world = StudyWorld(patients=12)
    world.rows[SITE] = {
        patient: [{**row, "ill": 1} for row in rows] for patient, rows in world.rows[SITE].items()
    }
    for patient, rows in world.rows[SITE].items():
        world.rows[SITE][patient] = [{**row, "marker": 99.0} for row in rows]

    with pytest.raises(Refused) as refused:
        world.build(SITE)

    assert refused.value.reason is Reason.VALUE_OUT_OF_BOUNDS
    assert "marker" in refused.value.detail


def test_a_protocol_is_taken_in_only_as_the_ledger_names_it() -> None:
    world = StudyWorld(patients=12)
    changed = msgspec.json.encode(msgspec.structs.replace(world.protocol, title="Another"))

    with pytest.raises(Refused) as refused:
        studies.fetch_protocol(world.offices[SITE], world.study, changed)

    assert refused.value.reason is Reason.BODY_CHANGED


def read_card(world: StudyWorld, model: ModelId) -> str:
    return get_document(world.offices[OWNER].custody, get_model(world, model).card).decode()


@pytest.mark.parametrize(
    ("rule", "is_in"),
    [
        ({"codes": ("http://loinc.org|2345-7",)}, False),
        (
            {"data": lambda one: (Selector(meaning=Meaning.INSTANCE, reference=f"Observation/{one[:8]}"),)},
            False,
        ),
        ({"data": lambda _: (Selector(meaning=Meaning.RELATED, reference="Encounter/1"),)}, False),
        ({"codes": ("http://loinc.org|2345-7",), "purposes": ("TREAT",)}, True),
        ({"codes": ("http://loinc.org|2345-7",), "classes": ("Condition",)}, True),
        ({"codes": ("http://loinc.org|2345-7",), "recipients": (f"member:{SITES[1]}",)}, True),
    ],
)
def test_whoever_denies_single_records_is_in_no_table(rule: dict[str, Any], is_in: bool) -> None:  # noqa: FBT001  a case
    world = StudyWorld(patients=14)
    (patient,) = world.keep_back(SITES[0], 1, **rule)

    roll = get_roll(world.offices[SITES[0]].custody, world.build(SITES[0]))

    assert any(one.patient == patient for one in roll.participants) is is_in
    assert len(roll.participants) == 13 + is_in


def test_terms_that_deny_but_for_an_exception_give_a_table_what_the_exception_gives() -> None:
    world = StudyWorld(patients=14)
    patient = world.patients[SITES[0]][0]
    permit = Rule(
        decision=Ruling.PERMIT, recipients=(f"member:{OWNER}",), purposes=("HRESCH",), labels=("N",)
    )
    terms = write_terms(
        world.world, decision=Ruling.DENY, recipients=(), purposes=(), labels=(), exceptions=(permit,)
    )
    grant(world.world, world.offices[SITES[0]], patient, terms, replaces=world.consents[patient.id])

    roll = get_roll(world.offices[SITES[0]].custody, world.build(SITES[0]))

    assert any(one.patient == patient.id for one in roll.participants)


def test_a_site_looks_at_a_protocols_size_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    huge = write_protocol(estimator=Trees(settings=Boosting(growth=Growth(depth_max=32))))
    monkeypatch.setattr(studies, "check_protocol", lambda *_: None)  # as a hostile owner's node has it
    with pytest.raises(Refused) as at_taking_in:
        StudyWorld(patients=12, protocol=huge)
    monkeypatch.setattr(studies, "check_parts", lambda *_, **__: None)
    world = StudyWorld(patients=12, protocol=huge)
    for site in SITES:
        world.build(site)

    came = world.train(world.start())

    assert at_taking_in.value.reason is Reason.TOO_LARGE
    reasons = {one.reason for one in came.values() if isinstance(one, Refused)}
    assert Reason.TOO_LARGE in reasons
    assert reasons <= {Reason.TOO_LARGE, Reason.RUN_OVER}  # whoever comes later
