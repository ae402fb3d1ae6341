"""How a figure is taken, kept and shown; the benches themselves are next door.

Every figure comes with a floor that was measured in the same run: what the machine could do at best, then.
"""

import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

import msgspec
from nacl import bindings

RESULTS: Final = Path(__file__).with_name("results.json")
RUNS: Final = 5

_FLOOR_MESSAGES: Final = 3_000
_FLOOR_MESSAGE_BYTES: Final = 700


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One measured value, and what it is compared with."""

    value: float
    unit: str
    floor: float | None = None
    ratio: float | None = None


Bench = Callable[[], dict[str, Figure]]
"""Measures some figures, and returns them by key."""


def compare(value: float, unit: str, floor: float) -> Figure:
    """Set a value beside its floor."""
    return Figure(value=value, unit=unit, floor=floor, ratio=value / floor)


def take_median(figures: Iterable[Figure]) -> Figure:
    """Return the figure with the median ratio of several runs: value and floor of the same minute."""
    return statistics.median_low(_Ranked(one) for one in figures).figure


def measure_s(work: Callable[[], object]) -> float:
    """Time some work."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def measure_verifies() -> float:
    """Count the signatures over 700 bytes that one core checks with PyNaCl in a second."""
    public, secret = bindings.crypto_sign_seed_keypair(bytes(32))
    signed = [
        bindings.crypto_sign(number.to_bytes(_FLOOR_MESSAGE_BYTES, "big"), secret)
        for number in range(_FLOOR_MESSAGES)
    ]
    seconds = measure_s(lambda: [bindings.crypto_sign_open(one, public) for one in signed])
    return _FLOOR_MESSAGES / seconds


def keep(figures: Mapping[str, Figure], path: Path = RESULTS) -> dict[str, Figure]:
    """Merge figures with those of other benches in the file of results, and return them all."""
    known = msgspec.json.decode(path.read_bytes(), type=dict[str, Figure]) if path.exists() else {}
    merged = dict(sorted({**known, **figures}.items()))
    path.write_bytes(msgspec.json.format(msgspec.json.encode(merged), indent=2) + b"\n")
    return merged


def format_table(figures: Mapping[str, Figure]) -> str:
    """Lay figures out for a terminal."""
    rows = [("key", "value", "unit", "floor", "ratio")]
    rows += [
        (key, _spell(one.value), one.unit, _spell(one.floor), _spell(one.ratio))
        for key, one in sorted(figures.items())
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


class _Ranked:
    """A figure in the order of its ratio."""

    def __init__(self, figure: Figure) -> None:
        self.figure = figure

    def __lt__(self, other: "_Ranked") -> bool:
        return (self.figure.ratio or self.figure.value) < (other.figure.ratio or other.figure.value)


def _spell(number: float | None) -> str:
    if number is None:
        return "-"
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}"  # noqa: PLR2004  three figures are enough
