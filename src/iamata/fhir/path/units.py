"""Units of measure: a stated part of UCUM, converted exactly.

Atoms are those of the tables below, with UCUM's prefixes where it allows them, joined by `.`, `/`,
exponents, whole factors (`10*3`, `10^9`) and brackets; annotations in braces count as one. Special units on
other scales than ratios (`Cel`, `[degF]`, `[pH]`) compare only with themselves. UCUM 2.1, tables 1 to 11.
"""

import functools
import re
from fractions import Fraction
from typing import Final

import msgspec

UNIT_CHARS_MAX: Final = 64
EXPONENT_MAX: Final = 30

Dimensions = tuple[tuple[str, int], ...]
"""Base units with their exponents, in order; an arbitrary unit is a base of its own."""


class Unit(msgspec.Struct, frozen=True, gc=False):
    """A unit as a multiple of base units."""

    factor: Fraction
    dimensions: Dimensions


_PREFIXES: Final = {
    "Y": 24, "Z": 21, "E": 18, "P": 15, "T": 12, "G": 9, "M": 6, "k": 3, "h": 2, "da": 1,
    "d": -1, "c": -2, "m": -3, "u": -6, "n": -9, "p": -12, "f": -15, "a": -18,
}  # fmt: skip


def _read_atoms(text: str) -> dict[str, tuple[str, str]]:
    """Read a table: an atom, its factor, and the base units that it is a multiple of."""
    rows = (line.split() for line in text.strip().splitlines())
    return {row[0]: (row[1], row[2] if len(row) > 2 else "") for row in rows}  # noqa: PLR2004


_METRIC: Final = _read_atoms("""
m 1 m
s 1 s
g 1 g
rad 1 rad
K 1 K
C 1 C
cd 1 cd
mol 602213670000000000000000
sr 1 rad2
Hz 1 s-1
N 1000 g.m.s-2
Pa 1000 g.m-1.s-2
J 1000 g.m2.s-2
W 1000 g.m2.s-3
A 1 C.s-1
V 1000 g.m2.s-2.C-1
F 1/1000 g-1.m-2.s2.C2
Ohm 1000 g.m2.s-1.C-2
Bq 1 s-1
Gy 1 m2.s-2
Sv 1 m2.s-2
l 1/1000 m3
L 1/1000 m3
ar 100 m2
t 1000000 g
bar 100000000 g.m-1.s-2
eq 602213670000000000000000
osm 602213670000000000000000
kat 602213670000000000000000 s-1
U 10036894500000000 s-1
cal 4184 g.m2.s-2
m[H2O] 9806650 g.m-1.s-2
m[Hg] 133322387 g.m-1.s-2
[iU] 1 [iU]
[IU] 1 [iU]
""")
"""Atoms that take a prefix."""
_PLAIN: Final = _read_atoms("""
10* 10
10^ 10
% 1/100
[ppth] 1/1000
[ppm] 1/1000000
[ppb] 1/1000000000
[pi] 3141592653589793238462643383279502884197/1000000000000000000000000000000000000000
deg 3141592653589793238462643383279502884197/180000000000000000000000000000000000000000 rad
min 60 s
h 3600 s
d 86400 s
wk 604800 s
a 31557600 s
mo 2629800 s
[in_i] 254/10000 m
[ft_i] 3048/10000 m
[yd_i] 9144/10000 m
[mi_i] 1609344/1000 m
[lb_av] 45359237/100000 g
[oz_av] 45359237/1600000 g
[gr] 6479891/100000000 g
[st_av] 635029318/100000 g
[drp] 1/20000000 m3
[foz_us] 295735295625/10000000000000000 m3
[cup_us] 2365882365/10000000000000 m3
[pt_us] 473176473/1000000000000 m3
[gal_us] 3785411784/1000000000000 m3
[tsp_us] 492892159375/100000000000000000 m3
[tbs_us] 1478676478125/100000000000000000 m3
[HPF] 1
[LPF] 100
[Btu] 1055056 g.m2.s-2
[psi] 689475729/100000 g.m-1.s-2
atm 101325000 g.m-1.s-2
[lbf_av] 44482216152605/10000000000 g.m.s-2
[car_m] 1/5 g
u 166054018/100000000000000000000000000000000 g
""")
"""Atoms that take none."""
_BASES: Final = re.compile(r"([A-Za-z]+|\[iU\])(-?\d+)?")
_PART: Final = re.compile(
    r"(?P<open>\()|(?P<close>\))|(?P<join>[./])|(?P<note>\{[^{}]*\})|(?P<whole>[0-9]+(?![*^\d]))"
    r"|(?P<atom>10[*^]|(?:[A-Za-z%_'\"]|\[[^\[\]]*\])+)(?P<exponent>[+-]?[0-9]+)?(?:\{[^{}]*\})?"
)


@functools.lru_cache(maxsize=4_096)
def find_unit(code: str) -> Unit | None:
    """Work a unit out; None for one that is not in the table, or not spelled as UCUM asks."""
    if len(code) > UNIT_CHARS_MAX:
        return None
    try:
        return _Reader(code).read()
    except (KeyError, ValueError):
        return None


class _Reader:
    """A place in a unit's code."""

    def __init__(self, code: str) -> None:
        self._code = code
        self._at = 0

    def read(self) -> Unit:
        """Read the whole code."""
        unit = self._read_term()
        if self._at != len(self._code):
            raise ValueError
        return unit

    def _read_term(self) -> Unit:
        total, sign, is_first = Unit(Fraction(1), ()), 1, True
        while True:
            match = _PART.match(self._code, self._at)
            if match is not None and match["join"] == "/" and is_first:
                self._at, sign, is_first = match.end(), -1, False
                continue
            total = _join(total, self._read_part(match), sign)
            match = _PART.match(self._code, self._at)
            if match is None or not match["join"]:
                return total
            self._at, sign, is_first = match.end(), -1 if match["join"] == "/" else 1, False

    def _read_part(self, match: re.Match[str] | None) -> Unit:
        if match is None or match["close"] or match["join"]:
            raise ValueError
        self._at = match.end()
        if match["open"]:
            inner = self._read_term()
            if self._code[self._at : self._at + 1] != ")":
                raise ValueError
            self._at += 1
            return inner
        if match["note"]:
            return Unit(Fraction(1), ())
        if match["whole"]:
            return Unit(Fraction(int(match["whole"])), ())
        exponent = int(match["exponent"] or 1)
        if abs(exponent) > EXPONENT_MAX:
            raise ValueError
        return _raise(_find_atom(match["atom"]), exponent)


def _find_atom(atom: str) -> Unit:
    if atom in _PLAIN:
        return _make(*_PLAIN[atom])
    if atom in _METRIC:
        return _make(*_METRIC[atom])
    prefix = atom[:2] if atom.startswith("da") else atom[:1]
    unit = _make(*_METRIC[atom[len(prefix) :]])
    return Unit(unit.factor * Fraction(10) ** _PREFIXES[prefix], unit.dimensions)


def _make(factor: str, bases: str) -> Unit:
    parts = [match for base in bases.split(".") if base and (match := _BASES.fullmatch(base))]
    return Unit(Fraction(factor), tuple(sorted((match[1], int(match[2] or 1)) for match in parts)))


def _raise(unit: Unit, exponent: int) -> Unit:
    return Unit(unit.factor**exponent, tuple((base, power * exponent) for base, power in unit.dimensions))


def _join(left: Unit, right: Unit, sign: int) -> Unit:
    powers = dict(left.dimensions)
    for base, power in right.dimensions:
        powers[base] = powers.get(base, 0) + sign * power
    dimensions = tuple(sorted((base, power) for base, power in powers.items() if power))
    return Unit(left.factor * right.factor**sign, dimensions)
