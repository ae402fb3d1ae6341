"""How large a study's rounds and model may become, by its protocol alone: before anybody reviews it.

What is counted here is an upper bound: with fewer bins or open nodes a query is shorter.
"""

from typing import Final

import msgspec

from iamata.learning.estimators.design import list_terms
from iamata.learning.estimators.growing import Boosting
from iamata.learning.estimators.model_files import MODEL_BYTES_MAX
from iamata.learning.estimators.splitting import DEPTH_MAX
from iamata.learning.evaluation.kinds import count_kind_values
from iamata.learning.evaluation.subgroups import check_sites
from iamata.learning.protocols import Private, Protocol, Regression, Trees, check_columns, learn
from iamata.learning.schemas import Numeric, Schema
from iamata.learning.secure_sum.encoding import ROWS, VALUES_MAX
from iamata.learning.secure_sum.plans import DELIVERY_VALUES_MAX
from iamata.model.canonical import encode_canonical
from iamata.model.reasons import Reason, require

NUMBER_BYTES_MAX: Final = 25
"""A number as a model file spells it at its longest, and a comma."""
ZERO_BYTES: Final = 2
TERM_BYTES_MAX: Final = 200
"""What a term adds beside its names and its row of the covariance."""


def check_protocol(protocol: Protocol, *, sites: int) -> None:
    """Refuse what no site could begin with, whoever put it before the reviewers."""
    if protocol.is_for_questions:
        check_columns(protocol.schema)
    else:
        check_sites(protocol.evaluation.groups, sites=sites)
        check_size(protocol, sites=sites)


def check_size(protocol: Protocol, *, sites: int) -> None:
    """Refuse what is too large: a round for one answer to so many sites, or a model for anybody to keep."""
    length = ROWS.length + count_largest(protocol)
    values = f"a query of up to {length:,} values"
    require(length <= VALUES_MAX, Reason.TOO_LARGE, f"{values}; VALUES_MAX is {VALUES_MAX:,}")
    limit = f"DELIVERY_VALUES_MAX is {DELIVERY_VALUES_MAX:,}"
    require(length * sites <= DELIVERY_VALUES_MAX, Reason.TOO_LARGE, f"{values} at {sites} sites; {limit}")
    size_bytes = count_model_bytes(protocol)
    limit = f"MODEL_BYTES_MAX is {MODEL_BYTES_MAX:,}; leave columns out, or merge categories"
    require(
        size_bytes <= MODEL_BYTES_MAX, Reason.TOO_LARGE, f"a model of up to {size_bytes:,} bytes; {limit}"
    )


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


def count_model_bytes(protocol: Protocol) -> int:
    """Count the bytes of the longest file that a regression may come to; 0 where rows decide that."""
    match protocol.estimator:
        case Regression():
            cell_bytes = NUMBER_BYTES_MAX
        case Private():  # tells variances only
            cell_bytes = ZERO_BYTES
        case _:
            return 0
    names = [(column.name, category) for column, category in list_terms(protocol.schema.get_features())]
    size = 1 + len(names)
    spelled = len(encode_canonical(msgspec.to_builtins([names, protocol.schema])))
    return spelled + size * (size * cell_bytes + TERM_BYTES_MAX)


def _count_histograms(schema: Schema, settings: Boosting) -> int:
    """Count loss, gradients, curvatures and patients of a whole level."""
    nodes = 1 << (min(max(1, settings.growth.depth_max), DEPTH_MAX) - 1)
    bins = [
        settings.bins_max + 1 if isinstance(one, Numeric) else len(one.categories) + 1
        for one in schema.get_features()
    ]
    return 1 + 3 * nodes * sum(bins)
