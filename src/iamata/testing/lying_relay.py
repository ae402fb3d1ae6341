"""A study owner's node that was modified to learn more than the sums: it lies to the sites of its runs.

A test starts it in place of `iamata node serve`. Which lie it tells stands in a file beside its home, and
may change from run to run; with none it is an ordinary node, but for a shorter wait for silent sites.
"""

import contextlib
import dataclasses
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypeAlias

import msgspec

from iamata.cli.main import main
from iamata.crypto.ed25519 import SIGNATURE_BYTES, SigningKey
from iamata.learning.secure_sum.messages import PHASES, Sums, sign_message
from iamata.learning.secure_sum.plans import Plan
from iamata.model.ids import Digest, MemberId, RunId, encode_digest
from iamata.model.reasons import Reason, Refused
from iamata.node.home import MEMBERS_FOLDER, SIGNING_KEY
from iamata.node.keyfiles import read_key
from iamata.ports import LedgerView
from iamata.stores.sqlite.home import KEYS_FOLDER
from iamata.workflows.relaying import Relays

PHASE_S: Final = 2.0
LIE: Final = "lie"
"""Ends the name of the file that says which lie is told."""
HEARD: Final = "heard"
"""Ends the name of the file in which the node writes what it was brought: run and phase, a line each."""
KEYS, SHARES, MASKED, SURVIVORS, REVEALS, SUMS = range(len(PHASES))


@dataclasses.dataclass
class Round:
    """What the sites said in one round: in each phase, by their seats."""

    plan: Plan
    said: tuple[dict[int, bytes], ...] = dataclasses.field(
        default_factory=lambda: tuple({} for _ in PHASES)
    )
    asked_s: dict[int, float] = dataclasses.field(default_factory=dict)

    def list_said(self, phase: int) -> list[bytes]:
        """List what was said, in the order of seats."""
        return [raw for _, raw in sorted(self.said[phase].items())]


Show: TypeAlias = Callable[["Liar", Round, int, int], Sequence[bytes]]
"""What a seat is shown of a phase."""


class Liar:
    """Collects what it is brought, whatever that is, and shows each site what its lie wants."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._rounds: dict[Digest, Round] = {}
        colluding = home.parent / "hospital-d"
        keys = colluding / MEMBERS_FOLDER / colluding.name / KEYS_FOLDER
        self.key = SigningKey.from_seed(read_key(keys / SIGNING_KEY))
        """A site that lies with it."""

    @property
    def show(self) -> Show | None:
        """Read which lie is told now."""
        with contextlib.suppress(FileNotFoundError):
            return LIES.get(self._home.with_suffix(f".{LIE}").read_text(encoding="utf-8"))
        return None

    def take(self, raw_plan: bytes, message: bytes) -> None:
        """Take in a message."""
        plan = msgspec.json.decode(raw_plan, type=Plan)
        phase, _, seat = msgspec.msgpack.decode(message[SIGNATURE_BYTES:])[:3]
        digest = Digest(encode_digest(plan.compute_digest()))
        self._rounds.setdefault(digest, Round(plan)).said[phase].setdefault(seat, message)
        with self._home.with_suffix(f".{HEARD}").open("a", encoding="utf-8") as file:
            file.write(f"{plan.run} {phase}\n")

    def deliver(self, show: Show, asker: MemberId, plan: Digest, phase: int) -> Sequence[bytes] | None:
        """Show a site a phase, once all have spoken in it or it is late."""
        found = self._rounds.get(plan)
        if found is None:
            raise Refused(Reason.ANOTHER_ROUND)
        now_s = time.monotonic()
        is_late = now_s - found.asked_s.setdefault(phase, now_s) > PHASE_S
        if len(found.said[phase]) < len(found.plan.seats) and not is_late:
            return None
        return show(self, found, found.plan.find_seat(asker) or 0, phase)

    def get_first(self, run: str) -> Round:
        """Return the first round of a run."""
        return next(one for one in self._rounds.values() if one.plan.run == run)


def lie() -> None:
    """Run the node."""
    liar = Liar(next(Path(one) for one in sys.argv[1:] if Path(one).is_absolute()))
    carry, find_delivery = Relays.carry, Relays.find_delivery
    defaults = Relays.__init__.__kwdefaults__ or {}
    defaults["phase_s"] = PHASE_S

    def take(  # noqa: PLR0913  as what it stands for
        self: Relays, view: LedgerView, sender: MemberId, *, owner: MemberId, plan: bytes, message: bytes
    ) -> None:
        if liar.show is None:
            carry(self, view, sender, owner=owner, plan=plan, message=message)
        else:
            liar.take(plan, message)

    def deliver(
        self: Relays, asker: MemberId, run: RunId, plan: Digest, phase: int
    ) -> Sequence[bytes] | None:
        show = liar.show
        if show is None:
            return find_delivery(self, asker, run, plan, phase)
        return liar.deliver(show, asker, plan, phase)

    Relays.carry = take  # type: ignore[method-assign]
    Relays.find_delivery = deliver  # type: ignore[method-assign]
    main()


def _drop(_: Liar, found: Round, seat: int, phase: int) -> Sequence[bytes]:
    """Keep one site's shares from another."""
    said = found.list_said(phase)
    return said[:-1] if phase == SHARES and seat == 0 else said


def _reorder(_: Liar, found: Round, _seat: int, phase: int) -> Sequence[bytes]:
    said = found.list_said(phase)
    return said[::-1] if phase == SHARES else said


def _change_a_bit(_: Liar, found: Round, seat: int, phase: int) -> Sequence[bytes]:
    said = found.list_said(phase)
    if phase == MASKED and seat == 0:
        said[-1] = said[-1][:-1] + bytes([said[-1][-1] ^ 1])
    return said


def _replay_a_phase(_: Liar, found: Round, _seat: int, phase: int) -> Sequence[bytes]:
    return found.list_said(SHARES if phase == MASKED else phase)


def _replay_a_round(liar: Liar, found: Round, _seat: int, phase: int) -> Sequence[bytes]:
    return (liar.get_first(found.plan.run) if phase == MASKED else found).list_said(phase)


def _show_other_survivors(_: Liar, found: Round, seat: int, phase: int) -> Sequence[bytes]:
    """Let two of the sites unmask a sum with the last one's vector, and two a sum without it."""
    said = found.list_said(phase)
    return said[:-1] if phase == MASKED and seat in {0, 1} else said


def _part_the_sites(liar: Liar, found: Round, seat: int, phase: int) -> Sequence[bytes]:
    """Do the same, and keep from each half that there is another."""
    said = _show_other_survivors(liar, found, seat, phase)
    if phase != SURVIVORS:
        return said
    half = (0, 1) if seat in {0, 1} else (2, 3)
    return [raw for at, raw in sorted(found.said[phase].items()) if at in half]


def _ask_for_both_shares(_: Liar, found: Round, _seat: int, phase: int) -> Sequence[bytes]:
    """Have all say that the last site had left, and then show its vector after all."""
    if phase == SURVIVORS:
        return found.list_said(MASKED)
    said = found.list_said(phase)
    return said[:-1] if phase == MASKED else said


def _tell_another_sum(liar: Liar, found: Round, seat: int, phase: int) -> Sequence[bytes]:
    """Have a site that lies with the relay sign another sum for one of the others."""
    said = found.list_said(phase)
    if phase == SUMS and seat == 0:
        honest = msgspec.msgpack.decode(said[-1][SIGNATURE_BYTES:], type=Sums)
        said[-1] = sign_message(liar.key, msgspec.structs.replace(honest, total=bytes(32)))
    return said


LIES: Final[dict[str, Show]] = {
    "drops": _drop,
    "reorders": _reorder,
    "changes a bit": _change_a_bit,
    "replays a phase": _replay_a_phase,
    "replays a round": _replay_a_round,
    "shows other survivors": _show_other_survivors,
    "parts the sites": _part_the_sites,
    "asks for both shares": _ask_for_both_shares,
    "tells another sum": _tell_another_sum,
}
