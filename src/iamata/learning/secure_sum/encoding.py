"""Numbers as residues modulo 2^64: fixed point with a public scale, and a bound that no sum can exceed.

A value v travels as round(v · 2^scale_bits), ties to even. Scaling by a power of two is exact, so
rounding is the only error of a share: at most 2^-(scale_bits+1). The sum of all shares stays within
±(2^63 − 1), so it comes back as it was.
"""

from collections.abc import Sequence
from typing import Annotated, Final, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from iamata.model.canonical import INTEGER_MAX
from iamata.model.reasons import Reason, require

Residues: TypeAlias = NDArray[np.uint64]
Integers: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]

VALUE_BYTES: Final = 8
VALUES_MAX: Final = 2**21
"""Values in one vector: 16 MiB of residues."""
SCALE_BITS_MAX: Final = 62
SUM_MAX: Final = 2**63 - 1
ROWS_MAX: Final = 2**40
"""Rows that a site may count: far more than there are people, and 2^23 sites of it fit a sum."""


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Some values of one kind: how many, in which scale they travel, and how large each may be."""

    length: Annotated[int, msgspec.Meta(ge=1, le=VALUES_MAX)]
    scale_bits: Annotated[int, msgspec.Meta(ge=0, le=SCALE_BITS_MAX)]
    magnitude_max: Annotated[int, msgspec.Meta(ge=1, le=INTEGER_MAX)]
    """In the unit of the values themselves."""

    @property
    def bound(self) -> int:
        """The largest residue, read with its sign, that one site may contribute."""
        return self.magnitude_max << self.scale_bits


ROWS: Final = Part(length=1, scale_bits=0, magnitude_max=ROWS_MAX)
"""The number of rows stands first in every vector, so that it is known of the sum alone."""


def choose_scale_bits(magnitude_max: int, sites: int) -> int:
    """Choose the finest scale in which the sum of so many sites' values of this size fits."""
    room = SUM_MAX // (magnitude_max * sites)
    require(room > 0, Reason.VALUE_NOT_ENCODABLE, "scale")
    return min(SCALE_BITS_MAX, room.bit_length() - 1)


def encode_values(part: Part, values: Floats | Integers) -> Residues:
    """Encode one site's values; refuse NaN, infinity, a wrong number of values, what exceeds the bound."""
    require(values.ndim == 1 and len(values) == part.length, Reason.VALUE_NOT_ENCODABLE, "length")
    if values.dtype.kind in "iu":
        is_bounded = _is_within(values, part.magnitude_max)
        require(is_bounded, Reason.VALUE_NOT_ENCODABLE, "bound")
        return (values.astype(np.int64) << part.scale_bits).view(np.uint64)
    require(values.dtype == np.float64, Reason.VALUE_NOT_ENCODABLE, "kind")
    scaled = np.rint(np.ldexp(values, part.scale_bits))
    require(bool(np.isfinite(scaled).all()), Reason.VALUE_NOT_ENCODABLE, "not finite")
    # As floats: a bound that has no float of its own is rounded, so the integers are compared again.
    require(bool((np.abs(scaled) < np.float64(2**63)).all()), Reason.VALUE_NOT_ENCODABLE, "bound")
    residues = scaled.astype(np.int64)
    require(_is_within(residues, part.bound), Reason.VALUE_NOT_ENCODABLE, "bound")
    return residues.view(np.uint64)


def decode_integers(residues: Residues) -> Integers:
    """Read residues with their sign: exact."""
    return residues.view(np.int64)


def decode_floats(part: Part, residues: Residues) -> Floats:
    """Read residues as numbers: exact up to 2^53 in the scale, and the nearest float beyond."""
    return np.ldexp(decode_integers(residues).astype(np.float64), -part.scale_bits)


def split_parts(parts: Sequence[Part], residues: Residues) -> tuple[Residues, ...]:
    """Cut a vector into its parts."""
    ends = np.cumsum([part.length for part in parts])
    return tuple(np.split(residues, ends[:-1]))


def spell_residues(residues: Residues) -> bytes:
    """Write residues as bytes, little endian."""
    return residues.astype("<u8", copy=False).tobytes()


def read_residues(data: bytes, length: int) -> Residues:
    """Read exactly so many residues, or refuse. What is returned may not be written to."""
    require(len(data) == length * VALUE_BYTES, Reason.MALFORMED, "length of a vector")
    return np.frombuffer(data, dtype="<u8").astype(np.uint64, copy=False)


def _is_within(values: Floats | Integers, bound: int) -> bool:
    return len(values) == 0 or (-bound <= int(values.min()) and int(values.max()) <= bound)
