"""What a site keeps of a run: so that it goes on after its node was killed, and can be audited afterwards.

All that it sends follows from the run's seed, the sums so far, its rows and what it was shown; so it says
the same again to whoever shows it the same. Whoever shows it something else gets nothing: the transcripts
on which its masked vector and its word on the survivors rest are durable before these leave. Of a run that
came to nothing all of this is destroyed. The seed is of no use without the salts of the rows that were
read: when one of those patients is erased, nothing opens the masked vectors any more, and nobody has to
think of it. It stands under the run's name, where other openings have a patient's.
"""

from typing import Final

import msgspec

from iamata.crypto import hkdf
from iamata.learning.secure_sum.encoding import read_residues, spell_residues, split_parts
from iamata.learning.secure_sum.material import SEED_BYTES
from iamata.learning.secure_sum.messages import PHASES
from iamata.learning.secure_sum.plans import Plan, Seat
from iamata.learning.secure_sum.progress import Record
from iamata.learning.secure_sum.site import Sum
from iamata.model.ids import MemberId, NetworkId, PatientId, RunId, encode_digest
from iamata.model.instants import MS_PER_MINUTE
from iamata.model.reasons import Reason, Refused, require
from iamata.vault.custody import Custody
from iamata.vault.openings import (
    NO_SALT,
    PAYLOAD_BYTES_MAX,
    Opening,
    erase_openings,
    find_opening,
    keep_opening,
)

GOES_ON_MS_MAX: Final = 5 * MS_PER_MINUTE
"""How long after its last sum a run is gone on with. Later its peers have given up; what says otherwise is
a home that was restored from a backup, and lacks what was sent since."""
BINDING: Final = (PHASES.index("shares"), PHASES.index("masked"))
"""After these phases a site answers with what it may say once: the masked vector, the set of survivors."""

_SEED: Final = "run-seed"
_VIEW: Final = "run-view"
_SUM: Final = "run-sum"


class Begun(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a run began with at this site."""

    seed: bytes
    at_ms: int
    network: NetworkId
    seats: tuple[Seat, ...]
    """With the keys by which the sites signed then."""
    without: tuple[PatientId, ...]
    """Who of the dataset was erased by then."""


class _Summed(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    plan: bytes
    sites: tuple[MemberId, ...]
    total: bytes
    rows: int
    transcript: bytes
    record: Record
    at_ms: int


class KeptRounds:
    """One run at one site."""

    def __init__(self, custody: Custody, run: RunId, begun: Begun) -> None:
        self.begun = begun
        self._custody = custody
        self._run = run

    @classmethod
    def begin(cls, custody: Custody, run: RunId, begun: Begun) -> "KeptRounds":
        """Keep what a run begins with, before anything is sent."""
        _keep(custody, run, _SEED, "", msgspec.msgpack.encode(begun))
        return cls(custody, run, begun)

    @classmethod
    def find(cls, custody: Custody, run: RunId) -> "KeptRounds | None":
        """Take up what is kept of a run; None where that is nothing, or another version's."""
        opening = find_opening(custody, _name(run, _SEED, ""))
        if opening is None:
            return None
        try:
            return cls(custody, run, msgspec.msgpack.decode(opening.payload, type=Begun))
        except msgspec.MsgspecError:
            return None

    def may_go_on(self, *, now_ms: int) -> bool:
        """Tell whether what is kept is not too old to go on with."""
        last_ms, number = self.begun.at_ms, 1
        while (summed := self._find_summed(number)) is not None:
            last_ms, number = summed.at_ms, number + 1
        return now_ms - last_ms <= GOES_ON_MS_MAX

    def derive_seed(self, plan: Plan, rows_key: bytes) -> bytes:
        """Derive the seed of one round; `rows_key` is the one that goes with the rows (`load_table`)."""
        return hkdf.derive(
            self.begun.seed + rows_key,
            salt=plan.compute_digest(),
            info=b"iamata/1/run-seed",
            size_bytes=SEED_BYTES,
        )

    def bind(self, plan: Plan, phase: int, transcript: bytes) -> None:
        """Make durable on which transcript an answer rests, or refuse where it rested on another."""
        if phase not in BINDING:
            return
        name = f"{encode_digest(plan.compute_digest())}/{phase}"
        try:
            _keep(self._custody, self._run, _VIEW, name, transcript)
        except Refused as refused:
            if refused.reason is not Reason.INPUT_INVALID:
                raise
            raise Refused(Reason.VIEWS_DIFFER, f"{PHASES[phase]} before this node was stopped") from refused

    def keep_sum(self, number: int, total: Sum, *, now_ms: int) -> None:
        """Keep what a round came to. One that is too long to keep ends the run if the node is killed."""
        summed = _Summed(
            plan=total.plan.compute_digest(),
            sites=total.sites,
            total=b"".join(map(spell_residues, total.residues)),
            rows=total.rows,
            transcript=total.transcript,
            record=total.record,
            at_ms=now_ms,
        )
        payload = msgspec.msgpack.encode(summed)
        if len(payload) <= PAYLOAD_BYTES_MAX:
            _keep(self._custody, self._run, _SUM, str(number), payload)

    def find_sum(self, number: int, plan: Plan) -> Sum | None:
        """Return what a round came to; None where that is not kept, and refused where it was another."""
        summed = self._find_summed(number)
        if summed is None:
            return None
        require(summed.plan == plan.compute_digest(), Reason.VIEWS_DIFFER, "the run's rounds so far")
        length = sum(part.length for part in plan.parts)
        residues = split_parts(plan.parts, read_residues(summed.total, length))
        return Sum(
            sites=summed.sites,
            rows=summed.rows,
            residues=residues,
            plan=plan,
            transcript=summed.transcript,
            record=summed.record,
        )

    def _find_summed(self, number: int) -> _Summed | None:
        opening = find_opening(self._custody, _name(self._run, _SUM, str(number)))
        return None if opening is None else msgspec.msgpack.decode(opening.payload, type=_Summed)


def forget_rounds(custody: Custody, run: RunId) -> None:
    """Destroy what was kept of a run."""
    erase_openings(custody, _get_owner(run))


def _keep(custody: Custody, run: RunId, kind: str, rest: str, payload: bytes) -> None:
    opening = Opening(
        name=_name(run, kind, rest), patient=_get_owner(run), kind=kind, salt=NO_SALT, payload=payload
    )
    keep_opening(custody, opening)


def _name(run: RunId, kind: str, rest: str) -> str:
    return f"{kind}/{run}/{rest}"


def _get_owner(run: RunId) -> PatientId:
    return PatientId(f"run/{run}")
