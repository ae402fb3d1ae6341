"""A query of a programme as a round of the secure sum: what is asked, between whom, and what came of it."""

import hashlib
from collections.abc import Sequence
from typing import Final

from iamata.learning.programmes import SHARE_MAX, Query, Values, decode_sum
from iamata.learning.secure_sum.encoding import Part
from iamata.learning.secure_sum.plans import Plan, Seat, compute_threshold
from iamata.learning.secure_sum.site import Sum
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
    was summed before is in the nonce, so that a round has its one place in the run.
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
        threshold=compute_threshold(len(seats)),
    )


def read_round(query: Query, total: Sum) -> Values:
    """Read what a round came to, or refuse a sum that one of the sites has no part in."""
    missing = [seat.member for seat in total.plan.seats if seat.member not in total.sites]
    require(not missing, Reason.SITE_LEFT_OUT, ", ".join(missing))
    return decode_sum(query, total.integers[0])


def extend_run(transcript: bytes, total: Sum) -> bytes:
    """Add a round to the transcript of a run."""
    return hashlib.sha256(b"iamata/1/run-transcript\x00" + transcript + total.transcript).digest()
