"""How a model was learned, in words: method, settings, rounds and patients, for those who read its card."""

from typing import Any, Final

import msgspec

from iamata.learning.estimators.bayes import BayesModel
from iamata.learning.estimators.families import FamilyName
from iamata.learning.estimators.growing import Boosting
from iamata.learning.estimators.linear_model import LinearModel
from iamata.learning.estimators.model_files import Model
from iamata.learning.estimators.tree_model import TreeModel
from iamata.learning.protocols import Bayes, Estimator, Private, Questions, Regression, Trees
from iamata.learning.tables import list_some

COLUMNS_TOLD_MAX: Final = 10
"""Of more columns a card does not name the categories that were not learned."""
REGRESSIONS: Final[dict[FamilyName, str]] = {
    "linear": "linear regression",
    "logistic": "logistic regression",
    "poisson": "Poisson regression",
}


def spell_method(estimator: Estimator) -> str:
    """Say by which method a study learns, as one would to a colleague."""
    match estimator:
        case Regression(settings=settings):
            return f"{REGRESSIONS[settings.family]}, {_spell_penalty(settings.l2)}, by Newton's method"
        case Trees(settings=settings):
            return _spell_trees(settings)
        case Bayes(smoothing=smoothing):
            return f"naive Bayes, with {smoothing:g} added to the count of each category"
        case Private(norm_max=norm_max):
            return (
                "logistic regression under differential privacy: two sums with noise, "
                f"of rows clipped to a norm of {norm_max:g}"
            )
        case Questions():
            return "counts with noise, as answers to questions"


def spell_settings(estimator: Estimator) -> str:
    """Say all that a study fixed beforehand about its method, as the protocol spells it."""
    named: dict[str, Any] = msgspec.to_builtins(estimator)
    method = named.pop("type")
    settings = named.pop("settings", {}) | named
    return f"{method} ({', '.join(f'{name} {value}' for name, value in settings.items())})"


def count_rounds(model: Model) -> int:
    """Count the sums over all sites from which a model was learned, one after the other."""
    match model:
        case LinearModel(fit=fit):
            return fit.rounds
        case TreeModel(boosted=boosted):
            return boosted.rounds
        case BayesModel():
            return 1


def spell_patients(model: Model, estimator: Estimator, *, patients_max: int) -> str:
    """Say from how many patients a model was learned: what its file tells, and no more.

    `patients_max` is what the ledger has: no more patients are in the datasets, kept out ones included.
    """
    within = f"at most {patients_max:,} in the datasets, whose sizes the ledger has in bands"
    if not isinstance(model, LinearModel):
        return within
    moments = model.fit.moments
    if isinstance(estimator, Private):
        return f"about {moments.patients:,}, a count with noise; {within}"
    return f"{moments.patients:,} trained it, with {moments.rows:,} rows; {within}"


def spell_unlearned(model: Model) -> str:
    """Say which categories a model learned nothing of, and what it takes them for; "" where of all."""
    found: dict[tuple[str, str], list[str]] = {}
    for (column, category), taken in model.list_unlearned().items():
        if category:
            found.setdefault((column, taken), []).append(category)
    told = [f"{column}: {list_some(names)} (taken for {taken})" for (column, taken), names in found.items()]
    left = len(told) - COLUMNS_TOLD_MAX
    return "; ".join(told[:COLUMNS_TOLD_MAX]) + (f"; and of {left} columns more" if left > 0 else "")


def _spell_penalty(l2: float) -> str:
    return f"L2 penalty {l2:g} on standardised columns" if l2 else "without a penalty"


def _spell_trees(settings: Boosting) -> str:
    growth = settings.growth
    return (
        f"gradient-boosted trees over histograms of up to {settings.bins_max} bins: up to "
        f"{settings.trees_max} trees, {growth.depth_max} levels deep at most, learning rate "
        f"{settings.learning_rate:g}, L2 penalty {growth.l2:g}, "
        f"at least {growth.patients_min} patients in a leaf"
    )
