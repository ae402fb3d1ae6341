"""What a model says of one row, whatever kind of model it is."""

from typing import Literal, TypeAlias

import msgspec
import numpy as np

from iamata.learning.schemas import Outcome
from iamata.learning.tables import Floats

Link: TypeAlias = Literal["identity", "log", "log-odds"]
"""What offset and contributions add up to: the value, its logarithm, or the logarithm of its odds."""


class Prediction(msgspec.Struct, frozen=True, kw_only=True):
    """What a model says of one row. It is no medical device."""

    value: float
    """A probability, an expected count, or a number in the outcome's unit."""
    low: float
    high: float
    """Bounds of 95 % confidence; each kind of model says of what."""
    offset: float
    """Where the linear predictor starts, before any column has its say."""
    contributions: dict[str, float]
    """What each column adds to the linear predictor; of a number, in the outcome's unit."""
    link: Link = "log-odds"
    is_cut: bool = False
    """The value is the bound of what the outcome can be: what columns add goes beyond it."""
    unlearned: dict[str, str] = {}
    """The columns that say what the model learned nothing of, and what each is taken for, in words."""


def cut_forecasts(outcome: Outcome, forecasts: Floats) -> Floats:
    """Cut numbers and counts to the outcome's public bounds; probabilities lie within theirs.

    Whoever evaluates a model or applies it cuts here, so that what was evaluated is what is applied.
    """
    return forecasts if outcome.kind == "binary" else np.clip(forecasts, outcome.low, outcome.high)
