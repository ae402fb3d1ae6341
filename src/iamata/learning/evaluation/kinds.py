"""Which evaluation a model gets, by the kind of its outcome: yes or no, or a number or a count."""

import contextlib
from collections.abc import Callable, Sequence
from typing import TypeAlias

import msgspec

from iamata.learning.evaluation.evaluating import Evaluation, Plan, count_values, evaluate
from iamata.learning.evaluation.numbers import NumberEvaluation, count_number_values, evaluate_numbers
from iamata.learning.evaluation.subgroups import BySite
from iamata.learning.programmes import Programme
from iamata.learning.schemas import Outcome
from iamata.learning.tables import Floats, Table
from iamata.model.reasons import Reason, Refused

AnyEvaluation: TypeAlias = Evaluation | NumberEvaluation


def evaluate_kind(
    predict: Callable[[Table], Floats], model_id: str, outcome: Outcome, plan: Plan
) -> Programme[AnyEvaluation]:
    """Evaluate a model as its outcome asks: by probabilities, or by errors in the outcome's unit."""
    if outcome.kind == "binary":
        return evaluate(predict, model_id, plan)
    return evaluate_numbers(predict, model_id, outcome, plan)


def name_sites(evaluation: AnyEvaluation, plan: Plan, sites: Sequence[str]) -> AnyEvaluation:
    """Call groups that are a site's by its name; `sites` are those of the study, in the ledger's order."""
    named = [
        msgspec.structs.replace(one, label=f"site {sites[group.number]}")
        if isinstance(group, BySite)
        else one
        for group, one in zip(plan.groups, evaluation.groups, strict=True)
    ]
    return msgspec.structs.replace(evaluation, groups=tuple(named))


def count_kind_values(outcome: Outcome, plan: Plan) -> int:
    """Count the values of the longest query that such an evaluation sums."""
    return count_values(plan) if outcome.kind == "binary" else count_number_values(plan)


def read_evaluation(raw: bytes) -> AnyEvaluation | None:
    """Read what a site says a model is worth, JSON, or refuse what is none.

    Each kind has a key that the other has not (`auroc`, `errors`), so nothing can be read as both.
    """
    if raw == b"null":
        return None
    kinds: tuple[type[AnyEvaluation], ...] = (Evaluation, NumberEvaluation)
    for kind in kinds:
        with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return msgspec.json.decode(raw, type=kind)
    raise Refused(Reason.MALFORMED, "an evaluation")
