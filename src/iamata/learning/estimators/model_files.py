"""A model as a file: JSON of coefficients or trees in one spelling, named by its hash; never code.

The spelling is RFC 8785's, whose numbers are the shortest that read back as the same float, so nothing is
lost and a model has one file. (Ledger JSON has no floats; a model file is not on the ledger, only its id.)
"""

import hashlib
from typing import Final, TypeAlias

import msgspec

from iamata.learning.estimators.bayes import BayesModel, Multinomial, Normal
from iamata.learning.estimators.design import Term
from iamata.learning.estimators.families import FAMILIES
from iamata.learning.estimators.linear_model import LinearModel
from iamata.learning.estimators.tree import Split, Tree
from iamata.learning.estimators.tree_model import TreeModel
from iamata.learning.schemas import Schema
from iamata.model.canonical import encode_canonical
from iamata.model.reasons import Reason, Refused, require

MODEL_BYTES_MAX: Final = 16 * 2**20
"""What a member keeps of one document."""
TREES_MAX: Final = 10_000
FORMAT: Final = "iamata-model/1"

Model: TypeAlias = LinearModel | TreeModel | BayesModel


class ModelFile(msgspec.Struct, frozen=True, kw_only=True):
    """A model, and the form in which it is spelled."""

    format: str
    model: Model


def encode_model(model: Model) -> bytes:
    """Spell a model; what has no finite numbers throughout is refused."""
    try:
        raw = encode_canonical(msgspec.to_builtins(ModelFile(format=FORMAT, model=model)))
    except ValueError as error:
        raise Refused(Reason.NOT_CONVERGED, "a number of the model is not finite") from error
    require(len(raw) <= MODEL_BYTES_MAX, Reason.TOO_LARGE, "model")
    return raw


def identify_model(raw: bytes) -> str:
    """Return a model file's id: the SHA-256 of its bytes."""
    return hashlib.sha256(raw).hexdigest()


def decode_model(raw: bytes, model_id: str) -> Model:
    """Read the model file of this id, or refuse one that is too large, changed, or no model."""
    require(len(raw) <= MODEL_BYTES_MAX, Reason.TOO_LARGE, "model")
    require(identify_model(raw) == model_id, Reason.MODEL_CHANGED)
    try:
        file = msgspec.json.decode(raw, type=ModelFile)
        canonical = encode_canonical(msgspec.to_builtins(file))
    except (ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
        raise Refused(Reason.MODEL_CHANGED, "not a model") from error
    require(canonical == raw and file.format == FORMAT, Reason.MODEL_CHANGED, "not spelled as a model")
    require(_is_sound(file.model), Reason.MODEL_CHANGED, "its parts do not fit")
    return file.model


def _is_sound(model: Model) -> bool:
    """Tell whether every part that a prediction touches is there."""
    match model:
        case LinearModel():
            return _is_linear_sound(model)
        case BayesModel():
            return _is_bayes_sound(model)
        case TreeModel():
            trees = model.boosted.trees
            is_known = all(_is_kind_sound(model.schema, *one) for one in model.boosted.unlearned)
            is_sound = all(_is_tree_sound(model.schema, one) for one in trees)
            return len(trees) <= TREES_MAX and is_known and is_sound


def _is_linear_sound(model: LinearModel) -> bool:
    terms, size = model.fit.moments.terms, len(model.fit.moments.terms) + 1
    is_square = len(model.fit.covariance) == size and all(len(row) == size for row in model.fit.covariance)
    is_known = model.fit.family in FAMILIES and len(model.fit.coefficients) == size
    return is_square and is_known and all(_is_term_sound(model.schema, term) for term in terms)


def _is_term_sound(schema: Schema, term: Term) -> bool:
    if not _has_column(schema, term.column) or term.spread < 0:
        return False
    categories = schema.list_categories(term.column)
    return term.category in ((*categories, "") if categories else (None, ""))


def _is_bayes_sound(model: BayesModel) -> bool:
    return min(model.rates) > 0 and all(_is_likelihood_sound(model.schema, one) for one in model.columns)


def _is_likelihood_sound(schema: Schema, one: Normal | Multinomial) -> bool:
    if not _has_column(schema, one.column):
        return False
    categories = schema.list_categories(one.column)
    if isinstance(one, Normal):
        return not categories and min(one.variances) > 0
    is_known = all(category in categories for category in one.unlearned)
    return is_known and all(len(side) == len(categories) > 0 and min(side) > 0 for side in one.rates)


def _is_tree_sound(schema: Schema, tree: Tree) -> bool:
    """Tell whether splits lead onwards only, so that every row finds a leaf."""
    return len(tree.nodes) > 0 and all(
        node.split is None or _is_split_sound(schema, node.split, number, len(tree.nodes))
        for number, node in enumerate(tree.nodes)
    )


def _is_split_sound(schema: Schema, split: Split, number: int, size: int) -> bool:
    if not _has_column(schema, split.column):
        return False
    categories = schema.list_categories(split.column)
    is_fit = (split.cut is None) == bool(categories) and all(one in categories for one in split.categories)
    return is_fit and number < split.left < size and number < split.right < size


def _is_kind_sound(schema: Schema, column: str, category: str) -> bool:
    return _has_column(schema, column) and category in (*schema.list_categories(column), "")


def _has_column(schema: Schema, name: str) -> bool:
    return any(column.name == name for column in schema.columns)
