"""Curves as SVG: small, in words and lines that a screen reader and a printer both take."""

from collections.abc import Sequence
from typing import Final, TypeAlias

from iamata.learning.evaluation.curves import list_precision_points
from iamata.learning.evaluation.evaluating import Evaluation
from iamata.learning.evaluation.numbers import NumberEvaluation

SIDE: Final = 240
MARGIN: Final = 36
Point: TypeAlias = tuple[float, float]
DIAGONAL: Final[tuple[Point, ...]] = ((0.0, 0.0), (1.0, 1.0))


def draw_roc(evaluation: Evaluation) -> str:
    """Draw the true positive rate against the false positive rate, over all thresholds."""
    points = sorted((one.false_positive_rate, one.true_positive_rate) for one in evaluation.roc)
    return _draw(
        f"ROC curve, area {evaluation.auroc.value:.3f}",
        "false positive rate",
        "true positive rate",
        [(0.0, 0.0), *points, (1.0, 1.0)],
        has_dots=False,
    )


def draw_precision_recall(evaluation: Evaluation) -> str:
    """Draw precision against recall, over all thresholds, and the rate that chance would give."""
    rate = evaluation.rate
    return _draw(
        f"Precision and recall, area {evaluation.auprc.value:.3f}",
        "recall",
        "precision",
        list_precision_points(evaluation.roc, rate=rate),
        has_dots=False,
        chance=((0.0, rate), (1.0, rate)),
    )


def draw_calibration(evaluation: Evaluation) -> str:
    """Draw how often the outcome came against how often it was expected."""
    points = [(one.expected, one.observed.value) for one in evaluation.calibration]
    return _draw("Calibration", "expected", "observed", points, has_dots=True)


def draw_number_calibration(evaluation: NumberEvaluation) -> str:
    """Draw the mean of what was observed against what was expected, both axes as far as there are means."""
    means = [(one.expected, one.observed.value) for one in evaluation.calibration]
    values = [one for mean in means for one in mean]
    low, high = min(values, default=0.0), max(values, default=0.0)
    width = (high - low) or 1.0
    points = [((across - low) / width, (up - low) / width) for across, up in means]
    return _draw("Calibration", "expected", "observed", points, has_dots=True, ends=(low, low + width))


def _draw(  # noqa: PLR0913  what a picture shows
    title: str,
    across: str,
    up: str,
    points: Sequence[Point],
    *,
    has_dots: bool,
    chance: Sequence[Point] = DIAGONAL,
    ends: Point = (0.0, 1.0),
) -> str:
    """Draw a line through points of the unit square, over the line that chance or perfection would give.

    `ends` are the numbers at the ends of both axes.
    """
    size = SIDE + 2 * MARGIN
    places, beneath = _place(points), _spell(_place(chance))
    line = _spell(places)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in places) if has_dots else ""
    middle = MARGIN + SIDE // 2
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size} {size}" width="{size}" role="img" '
        f'aria-label="{title}" font-family="sans-serif" font-size="12"><title>{title}</title>'
        f'<rect x="{MARGIN}" y="{MARGIN}" width="{SIDE}" height="{SIDE}" fill="none" stroke="#888"/>'
        f'<polyline points="{beneath}" fill="none" stroke="#bbb"/>'
        f'<polyline points="{line}" fill="none" stroke="#0b5cad" stroke-width="2"/>{dots}'
        f'<text x="{MARGIN}" y="{MARGIN - 12}">{title}</text>{_label(*ends)}'
        f'<text x="{middle}" y="{size - 10}" text-anchor="middle">{across}</text>'
        f'<text transform="translate(14 {middle}) rotate(-90)" text-anchor="middle">{up}</text>'
        "</svg>"
    )


def _label(low: float, high: float) -> str:
    """Write the numbers at the ends of both axes."""
    places = (
        (MARGIN - 6, MARGIN + 10, "end", high),
        (MARGIN - 6, MARGIN + SIDE, "end", low),
        (MARGIN, MARGIN + SIDE + 16, "start", low),
        (MARGIN + SIDE, MARGIN + SIDE + 16, "end", high),
    )
    return "".join(
        f'<text x="{x}" y="{y}" text-anchor="{anchor}">{number:.3g}</text>'
        for x, y, anchor, number in places
    )


def _place(points: Sequence[Point]) -> list[Point]:
    return [(MARGIN + x * SIDE, MARGIN + (1 - y) * SIDE) for x, y in points]


def _spell(places: Sequence[Point]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
