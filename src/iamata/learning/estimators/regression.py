"""Linear, logistic and Poisson regression in the manner of scikit-learn, over several sites."""

from typing import ClassVar, Self

from iamata.learning.estimators.classifying import Classifier
from iamata.learning.estimators.families import FamilyName
from iamata.learning.estimators.linear_model import LinearModel
from iamata.learning.estimators.newton import Settings, fit_linear
from iamata.learning.estimators.parameters import Parameters
from iamata.learning.estimators.private import PrivateSettings, fit_private
from iamata.learning.federations import Federation
from iamata.learning.tables import Floats, Table


class _Regression(Parameters):
    """What the three have in common: how they are fitted, and what they say afterwards."""

    family: ClassVar[FamilyName]
    model_: LinearModel

    def __init__(self, *, l2: float = 1.0, rounds_max: int = 25) -> None:
        self.l2 = l2
        self.rounds_max = rounds_max

    def fit(self, federation: Federation) -> Self:
        """Fit over all sites, or refuse with what stands in the way."""
        settings = Settings(family=self.family, l2=self.l2, rounds_max=self.rounds_max)
        schema = federation.schema
        fit = federation.run(lambda: fit_linear(schema, settings))
        self.model_ = LinearModel(schema=schema, fit=fit)
        return self

    @property
    def coef_(self) -> Floats:
        """The coefficients on the standardised design, in the unit of a number, without the intercept."""
        return self.model_.coefficients[1:]

    @property
    def intercept_(self) -> float:
        """What the linear predictor is where every column is at its mean."""
        return float(self.model_.coefficients[0])

    @property
    def n_iter_(self) -> int:
        """The exchanges between sites."""
        return self.model_.fit.rounds


class LogisticRegression(Classifier, _Regression):
    """Predict yes or no: scikit-learn's estimator of that name with C = 1 / l2, after a StandardScaler."""

    model_: LinearModel

    family = "logistic"


class PrivateLogisticRegression(LogisticRegression):
    """Predict yes or no within a budget of differential privacy, if who carries the sums adds the noise."""

    def __init__(self, *, rho: float, norm_max: float = 3.0) -> None:
        self.rho = rho
        self.norm_max = norm_max

    def fit(self, federation: Federation) -> Self:
        """Fit over all sites within the budget."""
        settings = PrivateSettings(rho=self.rho, norm_max=self.norm_max)
        schema = federation.schema
        fit = federation.run(lambda: fit_private(schema, settings))
        self.model_ = LinearModel(schema=schema, fit=fit)
        return self


class PoissonRegression(_Regression):
    """Predict a count: scikit-learn's PoissonRegressor with alpha = l2 / rows, after a StandardScaler."""

    family = "poisson"

    def predict(self, table: Table) -> Floats:
        """Return the expected count of each row."""
        return self.model_.predict(table)


class LinearRegression(_Regression):
    """Predict a number: scikit-learn's Ridge with alpha = l2, after a StandardScaler."""

    family = "linear"

    def predict(self, table: Table) -> Floats:
        """Return the expected number of each row."""
        return self.model_.predict(table)
