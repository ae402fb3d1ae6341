"""Noise that no site has to be trusted for: each adds a share, and the honest half's alone suffices.

Who colludes can take its own share off again. So each site's variance is that of the whole, divided by
the number of those that are counted on: half of the fewest sites that a round can end with. The sum
carries up to three times the variance that it needs; that is the price.
"""

from fractions import Fraction
from typing import Final

from iamata.crypto import hkdf
from iamata.crypto.keystream import KEY_BYTES
from iamata.learning.privacy.accounting import compute_distributed_rho
from iamata.learning.privacy.sampling import Chance, sample_gaussians
from iamata.learning.secure_sum.encoding import Integers
from iamata.model.ids import Digest
from iamata.model.reasons import Reason, require

VARIANCE_MIN: Final = Fraction(1)

_GROWTH: Final = Fraction(17, 16)
_ROUNDING: Final = 1 + 1e-9
"""Accounting is in floats, whose last digits are not what is at stake."""


def count_honest(threshold: int) -> int:
    """Count the sites whose noise must suffice: half of those that remain at least, rounded up."""
    return (threshold + 1) // 2


def compute_variance(*, sensitivity: Fraction, rho: Fraction, honest: int, length: int) -> Fraction:
    """Compute the variance of each site's noise, in the square of the vector's unit.

    `sensitivity` is the most by which one patient changes the vector of whole numbers that travels, in the
    Euclidean norm, its rounding included. Where the noise is so small that a sum of discrete Gaussians is
    noticeably less than one, it is more than the formula of a single one.
    """
    is_measured = sensitivity > 0 and rho > 0 and honest > 0
    require(is_measured, Reason.PARAMETER_OUT_OF_RANGE, "privacy")
    variance = max(VARIANCE_MIN, sensitivity**2 / (2 * rho * honest))
    while _compute_spent(sensitivity, variance, honest, length) > rho * _ROUNDING:
        variance *= _GROWTH
    return variance


def derive_noise_key(secret: bytes, query: Digest) -> bytes:
    """Derive the key of this site's noise for one query: asked again, it gets the same noise.

    Fresh noise at each asking would be averaged away. `secret` is the site's own, and the same for all
    its queries.
    """
    info = b"iamata/1/noise\x00" + query.encode("ascii")
    return hkdf.derive(secret, salt=b"", info=info, size_bytes=KEY_BYTES)


def sample_noise(key: bytes, *, variance: Fraction, length: int) -> Integers:
    """Draw a site's share of the noise, a number for each value of the vector that travels."""
    return sample_gaussians(Chance(key), variance, length)


def _compute_spent(sensitivity: Fraction, variance: Fraction, honest: int, length: int) -> float:
    return compute_distributed_rho(float(sensitivity), float(variance), sites=honest, length=length)
