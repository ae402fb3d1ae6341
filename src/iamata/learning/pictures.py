"""Curves as SVG: small, in words and lines that a screen reader and a printer both take."""

from collections.abc import Sequence
from typing import Final

from iamata.learning.evaluation.evaluating import Evaluation

SIDE: Final = 240
MARGIN: Final = 36


def draw_roc(evaluation: Evaluation) -> str:
    """Draw how many are found against how many are wrongly named, over all thresholds."""
    points = sorted((one.false_positive_rate, one.true_positive_rate) for one in evaluation.roc)
    return _draw(
        f"ROC curve, area {evaluation.auroc.value:.3f}",
        "wrongly named",
        "found",
        [(0.0, 0.0), *points, (1.0, 1.0)],
        has_dots=False,
    )


def draw_calibration(evaluation: Evaluation) -> str:
    """Draw how often the outcome came against how often it was expected."""
    points = [(one.expected, one.observed.value) for one in evaluation.calibration]
    return _draw("Calibration", "expected", "observed", points, has_dots=True)


def _draw(
    title: str, across: str, up: str, points: Sequence[tuple[float, float]], *, has_dots: bool
) -> str:
    size = SIDE + 2 * MARGIN
    places = [(MARGIN + x * SIDE, MARGIN + (1 - y) * SIDE) for x, y in points]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in places) if has_dots else ""
    middle = MARGIN + SIDE // 2
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size} {size}" width="{size}" role="img" '
        f'aria-label="{title}" font-family="sans-serif" font-size="12"><title>{title}</title>'
        f'<rect x="{MARGIN}" y="{MARGIN}" width="{SIDE}" height="{SIDE}" fill="none" stroke="#888"/>'
        f'<line x1="{MARGIN}" y1="{MARGIN + SIDE}" x2="{MARGIN + SIDE}" y2="{MARGIN}" stroke="#bbb"/>'
        f'<polyline points="{line}" fill="none" stroke="#0b5cad" stroke-width="2"/>{dots}'
        f'<text x="{MARGIN}" y="{MARGIN - 12}">{title}</text>'
        f'<text x="{middle}" y="{size - 10}" text-anchor="middle">{across}</text>'
        f'<text transform="translate(14 {middle}) rotate(-90)" text-anchor="middle">{up}</text>'
        "</svg>"
    )
