"""An answer counts each patient once, carries noise that is paid for, and tells no small count."""

import math
from fractions import Fraction
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from dp_accounting.pld import privacy_loss_distribution
from hypothesis import given, settings
from hypothesis import strategies as st

from iamata.learning.answers import (
    COUNT_MIN,
    QUANTILES,
    SENSITIVITIES,
    Answer,
    answer,
    compute_cells,
    decode_answer,
    turn_as_asked,
    write_query,
)
from iamata.learning.privacy.sampling import Chance, sample_gaussians
from iamata.learning.programmes import Query, Site, run
from iamata.learning.protocols import find_public_rho
from iamata.learning.questions import Condition, Count, Question, Rate, Ratio, canonicalise
from iamata.learning.schemas import Categorical, Numeric, Outcome, Schema
from iamata.learning.summing import foresee_deviation
from iamata.learning.tables import Integers, Table, parse_table
from iamata.learning.wording import spell_answer, spell_question
from iamata.model.reasons import Reason, Refused

SCHEMA = Schema(
    columns=(
        Numeric(name="marker", low=-5.0, high=5.0, outside="clip"),
        Categorical(name="smokes", categories=("no", "yes"), outside="missing"),
    ),
    outcome=Outcome(name="ill"),
)
ILL = Condition(column="ill", is_one_of=("1",))
SMOKES = Condition(column="smokes", is_one_of=("yes",))
NEVER = Condition(column="smokes", is_one_of=("no",))
HIGH = Condition(column="marker", at_least=1.0)
COUNT, RATE = Count(of=(ILL, SMOKES)), Rate(of=(ILL,), among=(SMOKES,))
RATIO = Ratio(of=(ILL,), among=(SMOKES,), against=(NEVER,))
DELTA = 1e-5
RHO = find_public_rho(1_000_000, DELTA)

ROWS = st.lists(
    st.tuples(
        st.integers(0, 5).map(str),  # whose
        st.one_of(st.none(), st.integers(-5, 5).map(float)),
        st.sampled_from(("no", "yes", None)),
        st.integers(0, 1),
    ),
    max_size=25,
)


def make_table(rows: list[Any]) -> Table:
    names = ("marker", "smokes", "ill")
    columns = {name: [row[at + 1] for row in rows] for at, name in enumerate(names)}
    return parse_table(SCHEMA, columns, [row[0] for row in rows])


def count(question: Question, table: Table) -> list[int]:
    query = write_query(canonicalise(question, SCHEMA), RHO)
    return [int(one) for one in query.compute(query.given, Site(table))["cells"]]


def conclude(question: Question, cells: list[int], *, sites: int = 3) -> Answer:
    """Let a sum come to these cells."""

    def add(_query: Query, _shares: Any) -> Integers:
        return np.array(cells, dtype=np.int64)

    asked = canonicalise(question, SCHEMA)
    return run(
        lambda: answer(asked, rho=RHO, epsilon=1.0, delta=DELTA, sites=sites),
        [Site(make_table([("0", 1.0, "yes", 1)]))],
        add,
    )


@given(rows=ROWS)
def test_each_patient_is_counted_once_by_any_row_of_theirs(rows: list[Any]) -> None:
    table = make_table(rows)

    ill_smokers = {whose for whose, _, smokes, ill in rows if smokes == "yes" and ill}
    smokers = {whose for whose, _, smokes, _ in rows if smokes == "yes"}
    ill_others = {whose for whose, _, smokes, ill in rows if smokes == "no" and ill}
    others = {whose for whose, _, smokes, _ in rows if smokes == "no"}
    high = {whose for whose, marker, _, _ in rows if marker is not None and marker >= 1}

    assert count(COUNT, table) == [len(ill_smokers)]
    assert count(Count(of=(HIGH,)), table) == [len(high)]
    assert count(Count(), table) == [table.count_patients()]
    assert count(RATE, table) == [len(ill_smokers), len(smokers - ill_smokers)]
    assert count(RATIO, table) == [
        len(ill_smokers),
        len(smokers - ill_smokers),
        len(ill_others),
        len(others - ill_others),
    ]


@given(rows=ROWS, question=st.sampled_from((COUNT, RATE, RATIO, Count(of=(HIGH,)))))
def test_nobody_changes_the_counts_by_more_than_the_noise_is_made_for(
    rows: list[Any], question: Question
) -> None:
    """SUM-ASK-4."""
    table = make_table(rows)
    asked = canonicalise(question, SCHEMA)

    for one in dict.fromkeys(table.patients):
        change = np.array(count(question, table)) - count(question, table.without([one]))
        assert np.linalg.norm(change) <= SENSITIVITIES[asked.measure] + 1e-12


@pytest.mark.parametrize("sites", [3, 4, 7])
@pytest.mark.parametrize("epsilon_micro", [100_000, 1_000_000, 4_000_000])
@pytest.mark.parametrize("question", [COUNT, RATE, RATIO])
def test_the_honest_half_s_noise_is_enough_by_dp_accounting(
    sites: int, epsilon_micro: int, question: Question
) -> None:
    asked = canonicalise(question, SCHEMA)
    query = write_query(asked, find_public_rho(epsilon_micro, DELTA))
    honest = math.ceil((2 * sites // 3 + 1) / 2)
    deviation = foresee_deviation(query, sites=sites) * math.sqrt(honest / sites)
    norm = SENSITIVITIES[asked.measure]

    lost = privacy_loss_distribution.from_gaussian_mechanism(
        deviation, sensitivity=norm, value_discretization_interval=1e-3
    )

    assert lost.get_epsilon_for_delta(DELTA) <= epsilon_micro / 1e6


@pytest.mark.parametrize(("question", "norm"), [(COUNT, 1), (RATE, 1), (RATIO, math.sqrt(2))])
def test_the_noise_is_no_larger_than_the_sensitivity_needs(question: Question, norm: float) -> None:
    """SUM-RUN-4: of three sites two suffice, and what travels is whole as it is."""
    deviation = foresee_deviation(write_query(canonicalise(question, SCHEMA), RHO), sites=3)

    assert deviation == pytest.approx(norm / math.sqrt(2 * RHO) * math.sqrt(3 / 2), rel=1e-9)


@pytest.mark.parametrize("question", [COUNT, RATE, RATIO])
def test_an_interval_holds_the_noise_as_often_as_it_says(question: Question) -> None:
    """SUM-ASK-5."""
    asked = canonicalise(question, SCHEMA)
    deviation = foresee_deviation(write_query(asked, RHO), sites=3)
    exact = [900, 600, 300, 1500][: 1 if asked.measure == "count" else 2 * len(asked.groups)]
    match exact:
        case [one]:
            truth = float(one)
        case [so, others]:
            truth = so / (so + others)
        case _:
            truth = (exact[0] / sum(exact[:2])) / (exact[2] / sum(exact[2:]))
    chance, times = Chance(bytes(range(32))), 600
    each = Fraction(deviation).limit_denominator(1000) ** 2 / 3

    held, values = 0, []
    for _ in range(times):
        noise = sample_gaussians(chance, each, 3 * len(exact)).reshape(3, -1).sum(axis=0)
        said = conclude(question, [one + int(more) for one, more in zip(exact, noise, strict=True)])
        assert said.result is not None
        assert said.result.high is not None
        held += said.result.low <= truth <= said.result.high
        values.append(said.result.value)

    assert held / times > 0.95 - 3 * math.sqrt(0.05 * 0.95 / times)
    assert len(dict.fromkeys(values)) > 10  # noise was really drawn
    if asked.measure == "count":
        assert held / times < 0.99  # and the interval is no wider than it needs to be


def test_quantiles_are_those_of_the_normal_distribution() -> None:
    for cells, quantile in QUANTILES.items():
        exact = NormalDist().inv_cdf(1 - 0.05 / (2 * cells))
        assert 0 <= quantile - exact < 1e-5


@pytest.mark.parametrize(
    ("question", "cells"),
    [
        (COUNT, [COUNT_MIN - 1]),
        (COUNT, [-40]),
        (RATE, [COUNT_MIN - 1, 500]),
        (RATE, [500, COUNT_MIN - 1]),
        (RATIO, [500, 500, COUNT_MIN - 1, 500]),
    ],
)
def test_a_small_count_is_not_told_nor_what_lies_beside_it(question: Question, cells: list[int]) -> None:
    said = conclude(question, cells)

    assert (said.result, said.counts) == (None, ())
    assert not any(str(one) in said.encode().decode() for one in cells if abs(one) > COUNT_MIN)
    assert "Too few to tell" in " ".join(spell_answer(said))


def test_ten_are_told() -> None:
    said = conclude(COUNT, [COUNT_MIN])

    assert said.result is not None
    assert (said.result.value, said.result.low) == (10, 0)


def test_a_rate_and_a_ratio_follow_from_the_counts_and_are_worded() -> None:
    rate, ratio = conclude(RATE, [300, 700]), conclude(RATIO, [300, 700, 100, 900])

    assert rate.result is not None
    assert ratio.result is not None
    assert rate.result.value == 0.3
    assert ratio.result.value == pytest.approx(3.0)
    assert rate.result.low < 0.3 < (rate.result.high or 0)
    assert [one.value for one in ratio.counts] == [300, 700, 100, 900]
    assert spell_question(rate.question) == "Of smokes is yes: what part is ill is 1?"
    assert next(spell_answer(rate)).startswith("30.0% (")
    assert next(spell_answer(ratio)).startswith("3.00 (")


@pytest.mark.parametrize("cells", [[300, 700, 100, 900], [300, 700, 12, 900], [300, 700, 9, 900]])
def test_a_ratio_is_told_in_the_direction_in_which_it_was_asked(cells: list[int]) -> None:
    inverse = Ratio(of=(ILL,), among=(NEVER,), against=(SMOKES,))
    said = conclude(inverse, cells)

    kept, turned = (turn_as_asked(said, question, SCHEMA) for question in (RATIO, inverse))

    assert said == conclude(RATIO, cells) == kept
    assert spell_question(kept.question).startswith("Of smokes is yes: how many times as often ill is 1")
    assert spell_question(turned.question).startswith("Of smokes is no: how many times as often ill is 1")
    assert turned.counts == said.counts[2:] + said.counts[:2]
    assert (turned.result is None) == (min(cells) < COUNT_MIN) == (said.result is None)
    if said.result is not None and turned.result is not None:
        assert turned.result.value == pytest.approx(1 / said.result.value)
        assert turned.result.high == pytest.approx(1 / said.result.low)
        assert turned.result.low == pytest.approx(1 / said.result.high if said.result.high else 0)
    count = conclude(COUNT, cells[:1])
    assert turn_as_asked(count, COUNT, SCHEMA) == count


def test_a_ratio_over_next_to_nobody_has_no_upper_end() -> None:
    said = conclude(RATIO, [300, 700, 12, 900])

    assert said.result is not None
    assert said.result.high is None
    assert "at least" in next(spell_answer(said))
    assert decode_answer(said.encode()) == said


def test_an_answer_reads_back_and_any_other_bytes_do_not() -> None:
    said = conclude(RATE, [300, 700])
    raw = said.encode()

    assert decode_answer(raw).encode() == raw
    for other in (b"", b"{}", raw + b" ", raw.replace(b"answer/1", b"answer/2"), b"\xff", b"[" * 10_000):
        with pytest.raises(Refused) as refused:
            decode_answer(other)
        assert refused.value.reason is Reason.MODEL_CHANGED


@settings(deadline=None)
@given(rows=ROWS)
def test_many_sites_and_one_come_to_the_same_counts(rows: list[Any]) -> None:
    whose = [[row for row in rows if int(row[0]) % 3 == site] for site in range(3)]
    query = write_query(canonicalise(RATIO, SCHEMA), RHO)

    parts = [compute_cells(query.given, Site(make_table(one)))["cells"] for one in whose]

    assert np.sum(parts, axis=0).tolist() == count(RATIO, make_table(rows))
