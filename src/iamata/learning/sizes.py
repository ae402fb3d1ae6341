"""How large a study's rounds may become, by its protocol alone: before anybody reviews or runs it.

What is counted here is an upper bound: with fewer bins or open nodes a query is shorter.
"""

from iamata.learning.estimators.design import list_terms
from iamata.learning.estimators.growing import Boosting
from iamata.learning.estimators.splitting import DEPTH_MAX
from iamata.learning.evaluation.kinds import count_kind_values
from iamata.learning.protocols import Protocol, Regression, Trees, check_columns, learn
from iamata.learning.schemas import Numeric, Schema
from iamata.learning.secure_sum.encoding import ROWS, VALUES_MAX
from iamata.learning.secure_sum.plans import DELIVERY_VALUES_MAX
from iamata.model.reasons import Reason, require


def check_protocol(protocol: Protocol, *, sites: int) -> None:
    """Refuse what no site could begin with, whoever put it before the reviewers."""
    if protocol.is_for_questions:
        check_columns(protocol.schema)
    else:
        check_size(protocol, sites=sites)


def check_size(protocol: Protocol, *, sites: int) -> None:
    """Refuse a protocol whose largest round so many sites could not be told in one answer."""
    length = ROWS.length + count_largest(protocol)
    values = f"a query of up to {length:,} values"
    require(length <= VALUES_MAX, Reason.TOO_LARGE, f"{values}; VALUES_MAX is {VALUES_MAX:,}")
    limit = f"DELIVERY_VALUES_MAX is {DELIVERY_VALUES_MAX:,}"
    require(length * sites <= DELIVERY_VALUES_MAX, Reason.TOO_LARGE, f"{values} at {sites} sites; {limit}")


def count_largest(protocol: Protocol) -> int:
    """Count the values of the longest query that a protocol's programme may ask."""
    first = next(learn(protocol)).length
    outcome, plan = protocol.schema.outcome, protocol.evaluation
    evaluation = count_kind_values(outcome, plan) if protocol.kept_out_percent else 0
    match protocol.estimator:
        case Regression():
            size = 1 + len(list_terms(protocol.schema.get_features()))
            return max(first, evaluation, 2 + size + size * (size + 1) // 2)
        case Trees(settings=settings):
            return max(first, evaluation, _count_histograms(protocol.schema, settings))
        case _:  # asks for most at once
            return max(first, evaluation)


def _count_histograms(schema: Schema, settings: Boosting) -> int:
    """Count loss, gradients, curvatures and patients of a whole level."""
    nodes = 1 << (min(max(1, settings.growth.depth_max), DEPTH_MAX) - 1)
    bins = [
        settings.bins_max + 1 if isinstance(one, Numeric) else len(one.categories) + 1
        for one in schema.get_features()
    ]
    return 1 + 3 * nodes * sum(bins)
