"""On the four hospitals of Heart Disease: equal to pooled, in few exchanges, in any scale of sums."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from bench import heart
from bench.learning import fit_privately, write_private_protocol
from sklearn.linear_model import LogisticRegression as PooledLogistic
from sklearn.preprocessing import StandardScaler

from iamata.learning.estimators.design import list_terms, read_term
from iamata.learning.estimators.regression import LogisticRegression
from iamata.learning.federations import Tables
from iamata.learning.programmes import Add, Query, add_plainly
from iamata.learning.tables import Floats, Integers, Table

Parts = list[tuple[Table, Table]]


@pytest.fixture(scope="module")
def parts(shared_data: Path) -> Parts:
    return list(heart.split_all(heart.load_hospitals(shared_data / "heart-disease"), heart.FLAMBY_SEED))


def fill(tables: Sequence[Table]) -> Floats:
    terms = list_terms(tables[0].schema.get_features())
    return np.vstack([np.column_stack([read_term(table, *term) for term in terms]) for table in tables])


def measure_gap(parts: Parts, add: Add | None = None) -> float:
    train = [train for train, _ in parts]
    ours = LogisticRegression().fit(Tables(train, add))
    twin = PooledLogistic(C=1.0, solver="newton-cholesky", tol=1e-12)
    twin.fit(StandardScaler().fit_transform(fill(train)), np.concatenate([one.outcome for one in train]))
    assert ours.n_iter_ <= 10
    return float(np.abs(ours.coef_ - twin.coef_[0]).max())


def coarsen(bits: int) -> Add:
    """Return what adds shares that were rounded to multiples of 2^-bits."""

    def add(query: Query, shares: Sequence[Integers]) -> Integers:
        scales = np.repeat([part.bits for part in query.parts], [part.length for part in query.parts])
        steps = 2.0 ** np.maximum(0, scales - bits)
        return add_plainly(query, [(np.rint(one / steps) * steps).astype(np.int64) for one in shares])

    return add


def test_four_hospitals_learn_what_one_with_all_rows_would(parts: Parts) -> None:
    ours = LogisticRegression().fit(Tables([train for train, _ in parts]))

    assert measure_gap(parts) <= 1e-6
    assert np.mean([(ours.predict(test) == test.outcome).mean() for _, test in parts]) >= 0.80


@pytest.mark.parametrize("bits", [24, 30, 36])
def test_a_scale_of_24_bits_is_enough(parts: Parts, bits: int) -> None:
    assert measure_gap(parts, coarsen(bits)) <= 1e-6


def test_a_hospital_with_nobody_changes_nothing(parts: Parts) -> None:
    train = [train for train, _ in parts]
    nobody = train[0].select(np.zeros(len(train[0]), dtype=np.bool_))

    with_nobody = LogisticRegression().fit(Tables([*train, nobody]))

    assert with_nobody.model_ == LogisticRegression().fit(Tables(train)).model_


def test_retraining_without_patients_is_never_having_had_them(parts: Parts) -> None:
    train = [train for train, _ in parts]
    gone = frozenset(train[0].patients[:6] + train[3].patients[-4:])
    never = [table.select(np.array([one not in gone for one in table.patients])) for table in train]

    retrained = LogisticRegression().fit(Tables([table.without(gone) for table in train]))

    assert retrained.model_ == LogisticRegression().fit(Tables(never)).model_
    assert retrained.model_ != LogisticRegression().fit(Tables(train)).model_


def test_epsilon_1_with_any_possible_bounds_is_enough_for_four_hospitals(shared_data: Path) -> None:
    hospitals = heart.load_hospitals(shared_data / "heart-disease", heart.WIDE)
    protocol = write_private_protocol(heart.WIDE)

    right = [fit_privately(protocol, list(heart.split_all(hospitals, seed)), seed) for seed in range(10)]

    assert len(set(right)) > 1
    assert np.mean(right) >= 0.785
