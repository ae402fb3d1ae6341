"""A query of a programme as a round of the secure sum: what is asked, between whom, and what came of it."""

import hashlib
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Final

import numpy as np

from iamata.crypto.ed25519 import SigningKey
from iamata.learning.privacy.noise import compute_variance, count_honest, derive_noise_key, sample_noise
from iamata.learning.programmes import SHARE_MAX, Query, Values, decode_sum
from iamata.learning.secure_sum.encoding import Part
from iamata.learning.secure_sum.plans import Plan, Seat, compute_threshold
from iamata.learning.secure_sum.site import Site, Sum, spell_vector
from iamata.learning.tables import Integers
from iamata.model.ids import (
    RANDOM_ID_BYTES,
    DatasetId,
    Digest,
    NetworkId,
    Nonce,
    RunId,
    compute_random_id,
    encode_digest,
)
from iamata.model.reasons import Reason, require

START: Final = hashlib.sha256(b"iamata/1/run-transcript").digest()


def plan_round(  # noqa: PLR0913  all that a round is bound to
    query: Query,
    *,
    network: NetworkId,
    run: RunId,
    datasets: Sequence[DatasetId],
    seats: tuple[Seat, ...],
    transcript: bytes,
) -> Plan:
    """Plan the round of a query: the same at every site that has come this far in the run.

    Run and datasets are in the query's name, so that no round of another run is the same question; what
    was summed before is in the nonce, so that a round has its one place in the run. All sites must remain:
    a run ends without one anyway, and a relay that left out some would help those that lie to the others'.
    """
    named = hashlib.sha256(b"iamata/1/run-query\x00" + run.encode("ascii"))
    named.update("\x00".join(datasets).encode("ascii") + b"\x00" + query.digest())
    nonce = hashlib.sha256(b"iamata/1/run-nonce\x00" + transcript + named.digest()).digest()
    return Plan(
        network=network,
        run=run,
        nonce=Nonce(compute_random_id(nonce[:RANDOM_ID_BYTES])),
        query=Digest(encode_digest(named.digest())),
        parts=(Part(length=query.length, scale_bits=0, magnitude_max=SHARE_MAX),),
        seats=seats,
        threshold=len(seats),
    )


def compute_noise_variance(query: Query, plan: Plan) -> Fraction | None:
    """Compute the variance of each site's noise in a round, None where its query asks for none."""
    return _compute_noise_variance(query, len(plan.seats))


def foresee_deviation(query: Query, *, sites: int) -> float:
    """Compute the standard deviation of the noise that so many sites together add to each value."""
    variance = _compute_noise_variance(query, sites)
    return math.sqrt(0 if variance is None else variance * sites)


def enter_round(  # noqa: PLR0913  what a site brings to a round
    query: Query,
    plan: Plan,
    share: Integers,
    *,
    rows: int,
    key: SigningKey,
    seed: bytes,
    secret: bytes,
) -> Site:
    """Enter a round with a site's share, and with its noise where that is due."""
    told, noise = _add_noise(query, plan, share, rows=rows, secret=secret)
    return Site.start(plan, key, seed=seed, rows=told, values=[share], noise=noise)


def spell_share(query: Query, plan: Plan, share: Integers, *, rows: int, secret: bytes) -> bytes:
    """Spell what a site sums in a round that it enters so, for an auditor."""
    told, noise = _add_noise(query, plan, share, rows=rows, secret=secret)
    return spell_vector(plan, rows=told, values=[share], noise=noise)


def draw_noise(query: Query, plan: Plan, share: Integers, *, secret: bytes) -> Integers | None:
    """Draw a site's noise for a round, a number for each value, 0 for the rows; None where none is due.

    It follows from the site's secret, the round's question and the very numbers that it hides: asked
    again, it is the same, and no two different shares ever get the same, whose difference would be bare.
    """
    variance = compute_noise_variance(query, plan)
    if variance is None:
        return None
    named = hashlib.sha256(b"iamata/1/run-noise\x00" + plan.query.encode("ascii"))
    named.update(share.astype("<i8").tobytes())
    key = derive_noise_key(secret, Digest(encode_digest(named.digest())))
    return np.concatenate(([0], sample_noise(key, variance=variance, length=query.length)))


def read_round(query: Query, total: Sum) -> Values:
    """Read what a round came to, or refuse a sum that one of the sites has no part in."""
    missing = [seat.member for seat in total.plan.seats if seat.member not in total.sites]
    require(not missing, Reason.SITE_LEFT_OUT, ", ".join(missing))
    return decode_sum(query, total.integers[0])


def extend_run(transcript: bytes, total: Sum) -> bytes:
    """Add a round to the transcript of a run."""
    return hashlib.sha256(b"iamata/1/run-transcript\x00" + transcript + total.transcript).digest()


def _add_noise(
    query: Query, plan: Plan, share: Integers, *, rows: int, secret: bytes
) -> tuple[int, Integers | None]:
    """Return how many rows a site tells of, and its noise where that is due.

    Then it tells of none, which nobody needs: to hide that too would take more noise in all.
    """
    noise = draw_noise(query, plan, share, secret=secret)
    return (rows if noise is None else 0), noise


def _compute_noise_variance(query: Query, sites: int) -> Fraction | None:
    if query.noise is None:
        return None
    return compute_variance(
        sensitivity=Fraction(query.noise.sensitivity),
        rho=Fraction(query.noise.rho),
        honest=count_honest(compute_threshold(sites)),
        length=query.length,
    )
