"""Boosted trees in the manner of scikit-learn, over the tables of several sites."""

from typing import Self

from iamata.learning.estimators.boosting import boost
from iamata.learning.estimators.classifying import Classifier
from iamata.learning.estimators.growing import Boosting
from iamata.learning.estimators.parameters import Parameters
from iamata.learning.estimators.splitting import Growth
from iamata.learning.estimators.tree_model import TreeModel
from iamata.learning.federations import Federation


class GradientBoosting(Classifier, Parameters):
    """Predict yes or no by trees, as scikit-learn's HistGradientBoostingClassifier with the same bins."""

    model_: TreeModel

    def __init__(  # noqa: PLR0913  an estimator's settings are its arguments
        self,
        *,
        trees_max: int = 100,
        learning_rate: float = 0.1,
        bins_max: int = 32,
        depth_max: int = 4,
        l2: float = 1.0,
        patients_min: int = 20,
        stops_early: bool = True,
        patience: int = 10,
    ) -> None:
        self.trees_max = trees_max
        self.learning_rate = learning_rate
        self.bins_max = bins_max
        self.depth_max = depth_max
        self.l2 = l2
        self.patients_min = patients_min
        self.stops_early = stops_early
        self.patience = patience

    def fit(self, federation: Federation) -> Self:
        """Grow trees over all sites, or refuse with what stands in the way."""
        settings = Boosting(
            trees_max=self.trees_max,
            learning_rate=self.learning_rate,
            bins_max=self.bins_max,
            growth=Growth(depth_max=self.depth_max, l2=self.l2, patients_min=self.patients_min),
            stops_early=self.stops_early,
            patience=self.patience,
        )
        schema = federation.schema
        self.model_ = TreeModel(schema=schema, boosted=federation.run(lambda: boost(schema, settings)))
        return self
