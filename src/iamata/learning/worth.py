"""What an evaluation says on a model's card: metrics, tables and curves, for each kind of outcome."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final, TypeAlias

from iamata.learning.evaluation.evaluating import Evaluation
from iamata.learning.evaluation.kinds import AnyEvaluation
from iamata.learning.evaluation.numbers import Errors, NumberEvaluation
from iamata.learning.pictures import (
    draw_calibration,
    draw_number_calibration,
    draw_precision_recall,
    draw_roc,
)

Metric: TypeAlias = tuple[str, str, float]
"""Hugging Face's name, the name for people, and the figure."""
CURVES: Final[Mapping[str, tuple[str, Callable[[Evaluation], str]]]] = {
    "roc.svg": ("ROC curve", draw_roc),
    "precision-recall.svg": ("Precision and recall", draw_precision_recall),
    "calibration.svg": ("Calibration", draw_calibration),
}
"""By the name of its file, what a curve is called; one of numbers or counts has the last."""
DIGITS: Final = 4
NOT_SHOWN: Final = "not shown: it, or what is left without it, is too small"
"""What a card has of a group instead of figures."""
ROC_ENDS: Final = 2
"""Points of every ROC curve: nobody is taken to have the outcome, or everybody."""


def draw_curves(evaluation: AnyEvaluation) -> Iterator[tuple[str, str]]:
    """Draw what an evaluation shows: names of files, and SVG. A curve without steps is left out."""
    if isinstance(evaluation, NumberEvaluation):
        yield "calibration.svg", draw_number_calibration(evaluation)
        return
    yield from ((name, draw(evaluation)) for name, (_, draw) in CURVES.items() if _has_steps(evaluation))


def _has_steps(evaluation: Evaluation) -> bool:
    """Tell whether curves have points between their ends: not where they would tell of few patients."""
    return len(evaluation.roc) > ROC_ENDS


def list_metrics(evaluation: AnyEvaluation) -> list[Metric]:
    """List what a model is worth, rounded: probabilities to digits after the point, others to digits."""
    if isinstance(evaluation, NumberEvaluation):
        return [(kind, name, float(_spell(value))) for kind, name, value in _list_errors(evaluation.errors)]
    return [
        (kind, name, round(value, DIGITS))
        for kind, name, value in (
            ("roc_auc", "AUROC", evaluation.auroc.value),
            ("average_precision", "AUPRC", evaluation.auprc.value),
            ("brier_score", "Brier score", evaluation.brier),
            ("accuracy", "Accuracy at 0.5", evaluation.accuracy),
        )
    ]


def write_worth(evaluation: AnyEvaluation) -> Iterator[str]:
    """Write how well a model does, for all and for groups: lines of Markdown."""
    if isinstance(evaluation, NumberEvaluation):
        said, lines = f"mean outcome {_spell(evaluation.errors.mean)}", _write_errors(evaluation)
    else:
        said, lines = f"{evaluation.rate:.1%} with the outcome", _write_ranks(evaluation)
    yield f"On {evaluation.rows} rows of patients who were kept out of training ({said}):"
    yield ""
    yield "Hospitals are left out of this where it would tell of fewer than ten patients, or of who left."
    yield ""
    yield "Intervals take rows for independent; where patients have several, they are too narrow."
    yield ""
    yield "| | value | 95 % interval |"
    yield "|---|---|---|"
    yield from lines


def _write_ranks(evaluation: Evaluation) -> Iterator[str]:
    for name, one in (("AUROC", evaluation.auroc), ("AUPRC", evaluation.auprc)):
        yield f"| {name} | {one.value:.3f} | {one.low:.3f} to {one.high:.3f} |"
    yield f"| Brier | {evaluation.brier:.3f} | |"
    yield f"| accuracy at 0.5 | {evaluation.accuracy:.3f} | |"
    yield ""
    yield "Scores are counted in cells. What that leaves open is within the intervals:"
    yield f"±{evaluation.auroc.resolution:.4f} of AUROC, ±{evaluation.auprc.resolution:.4f} of AUPRC."
    if not _has_steps(evaluation):
        yield ""
        yield "No curve is drawn: each step of one would tell of fewer than ten of the patients."
    if evaluation.groups:
        yield ""
        yield "| group | rows | rate | AUROC |"
        yield "|---|---|---|---|"
    for group in evaluation.groups:
        if group.auroc is not None:
            yield f"| {group.label} | {group.rows} | {group.rate:.1%} | {group.auroc.value:.3f} |"
        else:
            yield f"| {group.label} | {NOT_SHOWN} | | |"


def _write_errors(evaluation: NumberEvaluation) -> Iterator[str]:
    errors, bias = evaluation.errors, evaluation.errors.mean_error
    yield f"| mean error | {_spell(bias.value)} | {_spell(bias.low)} to {_spell(bias.high)} |"
    yield from (f"| {name} | {_spell(value)} | |" for _, name, value in _list_errors(errors))
    yield ""
    yield "Errors are expected less observed, in the outcome's unit; forecasts are cut to its bounds."
    if evaluation.groups:
        yield ""
        yield "| group | rows | mean outcome | mean error | RMSE |"
        yield "|---|---|---|---|---|"
    for group in evaluation.groups:
        if group.errors is not None:
            found = (group.errors.mean, group.errors.mean_error.value, group.errors.root_mean_square_error)
            yield f"| {group.label} | {group.errors.rows} | {' | '.join(map(_spell, found))} |"
        else:
            yield f"| {group.label} | {NOT_SHOWN} | | | |"


def _list_errors(errors: Errors) -> Iterator[Metric]:
    yield "mae", "Mean absolute error", errors.absolute_error
    yield "rmse", "RMSE", errors.root_mean_square_error
    if errors.explained is not None:
        yield "r_squared", "R²", errors.explained
    if errors.deviance is not None:
        yield "mean_poisson_deviance", "Mean Poisson deviance", errors.deviance


def _spell(number: float) -> str:
    return f"{number + 0.0:.{DIGITS}g}"  # never "-0"
