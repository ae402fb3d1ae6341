"""A study with a privacy budget: every sum carries noise, each run is paid for, and none is left out."""

import base64
import hashlib
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from iamata.learning.estimators.linear_model import LinearModel
from iamata.learning.estimators.model_files import decode_model, identify_model
from iamata.learning.privacy.accounting import compute_distributed_rho, compute_epsilon
from iamata.learning.programmes import Noise, Part, Programme, Query, run
from iamata.learning.protocols import (
    DELTA_MAX,
    EPSILON_MICRO_MIN,
    Learned,
    Private,
    Protocol,
    check_budget,
    learn,
    split_site,
)
from iamata.learning.secure_sum.rehearsal import rehearse
from iamata.learning.summing import compute_noise_variance, draw_noise, enter_round, plan_round
from iamata.learning.tables import Integers
from iamata.ledger.tables import MODELS, SPENDINGS, STUDIES
from iamata.model.ids import DatasetId, ModelId, RunId, compute_random_id
from iamata.model.reasons import Reason, Refused
from iamata.testing.learning import OPEN, OWNER, SITES, StudyWorld, write_protocol
from iamata.testing.rounds import make_keys, make_plan, make_seed
from iamata.workflows.documents import get_document
from iamata.workflows.frozen_tables import make_table
from iamata.workflows.run_programmes import run_programme
from iamata.workflows.run_rounds import Summing

EPSILON_MICRO = 4_000_000
PRIVATE = write_protocol(schema=OPEN, estimator=Private(epsilon_micro=EPSILON_MICRO))
QUERY = Query("some", (Part("figures", 5, 20),), lambda _given, _site: {}, {}, Noise(3.0 * 2**20, 0.03))


@pytest.fixture(scope="module")
def world() -> StudyWorld:
    """Grant a budget of two runs and a half, over so many patients that noise does not hide everything."""
    world = StudyWorld(patients=100, protocol=PRIVATE, budget_micro=EPSILON_MICRO * 5 // 2)
    for site in SITES:
        world.build(site)
    return world


def read_coefficients(raw: bytes) -> np.ndarray:
    decoded = decode_model(raw, identify_model(raw))
    assert isinstance(decoded, LinearModel)
    return np.array(decoded.fit.coefficients)


def read_model(world: StudyWorld, model: ModelId) -> np.ndarray:
    entry = MODELS.find(world.world.engine.snapshot(), model)
    assert entry is not None
    return read_coefficients(world.read_model(entry.content))


def make_share(number: int) -> Integers:
    return np.arange(5, dtype=np.int64) * 2**20 * number


def plan_noisy(number: int) -> Any:
    seats = make_plan(4).seats
    return plan_round(
        QUERY,
        network=make_plan(4).network,
        run=RunId(compute_random_id(number.to_bytes(16, "big"))),
        datasets=[DatasetId(compute_random_id(bytes(16)))],
        seats=seats,
        transcript=bytes(32),
    )


def test_a_noisy_model_comes_and_two_runs_on_the_same_rows_differ_until_the_budget_is_spent(
    world: StudyWorld,
) -> None:
    pooled = {patient: row for site in SITES for patient, row in world.rows[site].items()}
    site = split_site(PRIVATE, make_table(pooled, OPEN), number=0)
    exact = read_coefficients(run(lambda: learn(PRIVATE), [site]).model)

    models = [world.learn() for _ in range(2)]

    first, second = (read_model(world, one) for one in models)
    assert np.abs(first - second).min() > 1e-9
    for one in (first, second):
        assert np.abs(one - exact).min() > 1e-9
        assert one[1] > 0  # and yet they say that the marker tells who falls ill
    view = world.world.engine.snapshot()
    study, entry = STUDIES.find(view, world.study), MODELS.find(view, models[0])
    assert study is not None
    assert study.spent_micro == 2 * EPSILON_MICRO
    for custodian in SITES:
        spending = SPENDINGS.find(view, custodian)
        assert spending is not None
        assert sum(spent for _, spent in spending.days) == 2 * EPSILON_MICRO
    assert entry is not None
    card = get_document(world.offices[OWNER].custody, entry.card).decode()
    assert "ε = 4, δ = 1e-05" in card
    assert "not evaluated" in card
    assert re.search(r"^- Patients: about \d+, a count with noise; at most \d+ in", card, re.MULTILINE)
    assert "- Rounds: 2, each" in card
    with pytest.raises(Refused) as refused:
        world.start()
    assert refused.value.reason is Reason.BUDGET_EXHAUSTED
    assert world.world.engine.snapshot().log_size == view.log_size + 1  # the refusal


def test_a_round_is_named_by_run_datasets_query_and_what_came_before() -> None:
    """SUM-RUN-1, spelled out once more."""
    plan = plan_noisy(7)
    run_id = base64.b32encode((7).to_bytes(16, "big")).decode().rstrip("=").lower()
    dataset = base64.b32encode(bytes(16)).decode().rstrip("=").lower()
    named = hashlib.sha256(f"iamata/1/run-query\0{run_id}{dataset}\0".encode() + QUERY.digest()).digest()
    nonce = hashlib.sha256(b"iamata/1/run-nonce\0" + bytes(32) + named).digest()[:16]

    assert plan.query == base64.urlsafe_b64encode(named).decode().rstrip("=")
    assert plan.nonce == base64.b32encode(nonce).decode().rstrip("=").lower()


def test_the_noise_of_a_sum_is_as_large_as_promised_and_the_honest_half_suffices() -> None:
    """SUM-RUN-4."""
    drawn = []
    for number in range(60):
        plan = plan_noisy(number)
        sites = [
            enter_round(
                *(QUERY, plan, make_share(at)),
                rows=7,
                key=key,
                seed=make_seed(at, label=2),
                secret=make_seed(at),
            )
            for at, key in enumerate(make_keys(4))
        ]
        total = rehearse(plan, sites)
        exact = make_share(0 + 1 + 2 + 3)
        drawn += (total.integers[0] - exact).tolist()
        assert total.rows == 0  # nobody needs it, and nothing would hide it
    each = compute_noise_variance(QUERY, plan_noisy(0))
    assert each is not None
    assert QUERY.noise is not None

    measured = float(np.std(drawn)) / (4 * float(each)) ** 0.5

    assert len(drawn) == 300
    assert 0.83 < measured < 1.17  # four standard errors of 300 draws
    spent = compute_distributed_rho(QUERY.noise.sensitivity, float(each), sites=2, length=5)
    assert 0.999 * QUERY.noise.rho < spent <= QUERY.noise.rho * (1 + 1e-8)  # two of four suffice


def test_no_two_different_shares_get_the_same_noise_and_the_same_share_gets_it_again() -> None:
    """SUM-RUN-4."""
    plan, other = plan_noisy(0), plan_noisy(1)

    def draw(plan: Any, *, share: Integers, secret: int = 0) -> list[int]:
        noise = draw_noise(QUERY, plan, share, secret=make_seed(secret))
        assert noise is not None
        return [int(one) for one in noise[1:]]

    base = draw(plan, share=make_share(1))
    assert draw(plan, share=make_share(1)) == base
    others = [
        draw(plan, share=make_share(2)),
        draw(other, share=make_share(1)),
        draw(plan, share=make_share(1), secret=1),
    ]
    assert all(one[at] != base[at] for one in others for at in range(5))


def test_epsilons_of_runs_add_up_to_one_that_holds() -> None:
    for micro in (EPSILON_MICRO_MIN, 10_000, 100_000, 1_000_000):
        for delta in (1e-12, 1e-9, DELTA_MAX):
            rho = Private(epsilon_micro=micro, delta=delta).compute_settings().rho
            assert rho > 0
            for runs in (1, 2, 5, 10):
                assert compute_epsilon(runs * rho, delta) <= runs * micro / 1e6 * (1 + 1e-9)


@pytest.mark.parametrize(
    ("protocol", "budget_micro"),
    [(PRIVATE, 0), (PRIVATE, EPSILON_MICRO - 1), (write_protocol(), 1_000_000)],
    ids=["noise unpaid", "too dear", "exact sums with a budget"],
)
def test_noise_and_budget_need_each_other(protocol: Protocol, budget_micro: int) -> None:
    with pytest.raises(Refused) as refused:
        check_budget(protocol, budget_micro)
    assert refused.value.reason is Reason.BUDGET_EXHAUSTED


def ask(query: Query) -> Programme[Learned]:
    yield query
    raise AssertionError(query)


def drop_noise(protocol: Protocol) -> Programme[Learned]:
    return ask(change_noise(next(learn(protocol)), noise=None))


def spend_double(protocol: Protocol) -> Programme[Learned]:
    query = next(learn(protocol))
    return ask(change_noise(query, noise=Noise(query.noise.sensitivity, protocol.rho * 2)))  # type: ignore[union-attr]


def add_noise(protocol: Protocol) -> Programme[Learned]:
    return ask(change_noise(next(learn(protocol)), noise=Noise(1.0, 1.0)))


def change_noise(query: Query, *, noise: Noise | None) -> Query:
    return Query(query.name, query.parts, query.compute, query.given, noise)


class NeverAsked:
    """A carrier to whom no site may come."""

    def carry_message(self, *, plan: bytes, message: bytes) -> None:
        raise AssertionError(plan, message)


@pytest.mark.parametrize(
    ("protocol", "programme"),
    [(PRIVATE, drop_noise), (PRIVATE, spend_double), (write_protocol(), add_noise)],
)
def test_a_query_that_shows_more_than_was_granted_does_not_leave(
    world: StudyWorld, protocol: Protocol, programme: Callable[[Protocol], Programme[Learned]]
) -> None:
    """SUM-RUN-3."""
    rows = make_table(world.rows[SITES[0]], protocol.schema)
    authorised: Any = None
    kept: Any = None
    summing = Summing(
        world.offices[SITES[0]],
        RunId(compute_random_id(bytes(16))),
        authorised,
        NeverAsked(),  # type: ignore[arg-type]
        kept,
        rows=1,
        rows_key=b"",
        rho=protocol.rho,
        tell=lambda _: None,
    )

    with pytest.raises(Refused) as refused:
        run_programme(programme(protocol), split_site(protocol, rows, number=0), summing)
    assert refused.value.reason is Reason.BUDGET_EXHAUSTED
