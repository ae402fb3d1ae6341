"""A programme: a deterministic function of sums, which every site runs for itself.

It yields a query, is sent the sum over all sites, and goes on. Everything after a sum depends on that sum
and on what is public, so all sites ask the same next query without anybody telling them; whoever carries
the sums chooses nothing. Arithmetic after a sum is element by element (IEEE 754 fixes every bit of it),
never a product of matrices, whose last bits are the machine's.

Shares travel as whole numbers: each part of a query has a fixed-point scale. Whole numbers add up to the
same sum in any order, so one site with all rows and many sites with some of them differ by rounding only.
"""

import hashlib
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias, TypeVar

import numpy as np

from iamata.learning.tables import Floats, Integers, Table
from iamata.model.canonical import encode_canonical
from iamata.model.reasons import Reason, require

SHARE_MAX: Final = 2**52
"""The largest number, scaled, in one site's share: exact as a float, and 1,024 of them fit a sum."""
SITES_MAX: Final = 1_024
SCALE_BITS_MAX: Final = 40

Result = TypeVar("Result")
Values: TypeAlias = Mapping[str, Floats]
"""A vector of a query, by the names of its parts: a share, or a sum."""
Given: TypeAlias = Mapping[str, object]
"""Public parameters: JSON values, NumPy arrays of numbers, and msgspec structs spelled as JSON."""


@dataclass(frozen=True)
class Part:
    """Some numbers of one kind in a query, which travel as multiples of 2^-bits."""

    name: str
    length: int
    bits: int = 0


@dataclass
class Site:
    """A site's rows, and what it has worked out from them already; neither ever leaves."""

    table: Table
    number: int = 0
    """The site's place among those of the study, whether all take part or not."""
    memory: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Noise:
    """What differential privacy asks of a query: the sum needs noise of this size.

    `sensitivity` is the most that adding or leaving out one patient can change the whole numbers that
    travel, in the Euclidean norm; `rho` is the zero-concentrated privacy that may be spent (Bun and
    Steinke 2016), so that noise of standard deviation sensitivity / sqrt(2 rho) suffices.
    """

    sensitivity: float
    rho: float


@dataclass(frozen=True)
class Query:
    """What is summed: a pure function of a site's rows and of public parameters, and its vector's shape."""

    name: str
    parts: tuple[Part, ...]
    compute: Callable[[Given, Site], Values]
    given: Given = field(default_factory=dict)
    noise: Noise | None = None

    @property
    def length(self) -> int:
        """The number of values in the vector."""
        return sum(part.length for part in self.parts)

    def digest(self) -> bytes:
        """Return what names this query and no other: SHA-256 over its canonical spelling."""
        parts = [[part.name, part.length, part.bits] for part in self.parts]
        noise = None if self.noise is None else [self.noise.sensitivity, self.noise.rho]
        spelled = {"name": self.name, "parts": parts, "given": _spell(self.given), "noise": noise}
        return hashlib.sha256(b"iamata/1/query\x00" + encode_canonical(spelled)).digest()


Programme: TypeAlias = Generator[Query, Values, Result]
Add: TypeAlias = Callable[[Query, Sequence[Integers]], Integers]
"""Adds the scaled shares of all sites, modulo 2^64."""


def run(
    programme: Callable[[], Programme[Result]], sites: Sequence[Site], add: Add | None = None
) -> Result:
    """Run a programme over sites in this process, with plain sums unless `add` says otherwise."""
    require(0 < len(sites) <= SITES_MAX, Reason.TABLE_CLASHES, "number of sites")
    schemas = [site.table.schema for site in sites]
    require(all(schema == schemas[0] for schema in schemas), Reason.TABLE_CLASHES, "schemas differ")
    running = programme()
    add = add or add_plainly
    try:
        query = next(running)
        while True:
            shares = [encode_share(query, query.compute(query.given, site)) for site in sites]
            query = running.send(decode_sum(query, add(query, shares)))
    except StopIteration as end:
        result: Result = end.value
        return result


def add_plainly(_query: Query, shares: Sequence[Integers]) -> Integers:
    """Add the shares in clear: for simulations, and for the pooled twin with its single site."""
    total: Integers = np.sum(np.stack(shares), axis=0, dtype=np.int64)
    return total


def encode_share(query: Query, values: Values) -> Integers:
    """Spell a site's values as whole numbers, rounded to the query's scales, or refuse too large ones."""
    pieces = []
    for part in query.parts:
        scaled = np.rint(np.ldexp(np.asarray(values[part.name], dtype=np.float64).ravel(), part.bits))
        require(scaled.shape == (part.length,), Reason.TABLE_CLASHES, f"{query.name}: {part.name}")
        fits = bool((np.abs(scaled) <= SHARE_MAX).all())  # false for NaN too
        require(fits, Reason.VALUE_OUT_OF_BOUNDS, f"{query.name}: {part.name}")
        pieces.append(scaled.astype(np.int64))
    return np.concatenate(pieces)


def decode_sum(query: Query, total: Integers) -> Values:
    """Read a sum of shares back into the query's parts."""
    require(total.shape == (query.length,), Reason.TABLE_CLASHES, query.name)
    values = {}
    start = 0
    for part in query.parts:
        whole = total[start : start + part.length].astype(np.float64)
        values[part.name] = np.ldexp(whole, -part.bits)
        start += part.length
    return values


def round_rows(values: Floats, bits: int) -> Floats:
    """Round each row's value to a multiple of 2^-bits, so that any sum of rows is exact."""
    rounded: Floats = np.ldexp(np.rint(np.ldexp(values, bits)), -bits)
    return rounded


def choose_bits(rows: float, *, largest: float = 1.0) -> int:
    """Choose the finest scale in which a sum over so many rows of values up to `largest` fits a share."""
    room = SHARE_MAX // (2 * max(1, int(np.ceil(rows * largest))))
    require(room > 0, Reason.VALUE_OUT_OF_BOUNDS, "scale")
    return min(SCALE_BITS_MAX, room.bit_length() - 1)


def _spell(value: object) -> object:
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Mapping):
        return {str(key): _spell(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_spell(one) for one in value]
    return value
