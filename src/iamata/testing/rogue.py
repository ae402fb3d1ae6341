"""Modified nodes, for real networks: what a member could run whose aim is to harm the others.

A test starts them in place of `iamata node serve`. Each of these changes the program before it begins.
"""

import itertools
import logging
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from iamata.cli.main import main
from iamata.crypto.ed25519 import SigningKey
from iamata.engines.comet import application
from iamata.engines.comet.bundles import BUNDLE_BYTES_MAX, join_lines
from iamata.engines.comet.proposals import Draft, prepare
from iamata.engines.comet.recall import Recall
from iamata.engines.comet.waiting import WaitingBundles
from iamata.ledger.envelope import sign_transaction
from iamata.ledger.execution import Position
from iamata.ledger.misbehaviour import Misbehaviour
from iamata.ledger.state import LedgerState
from iamata.ledger.transactions import HANDLERS
from iamata.ledger.transactions.access import AnchorReads, anchor_reads
from iamata.model.ids import AnchorId, Digest, Nonce, compute_random_id, encode_digest
from iamata.model.instants import MS_PER_MINUTE, Instant
from iamata.node.home import MEMBERS_FOLDER, SIGNING_KEY
from iamata.node.keyfiles import read_key
from iamata.stores.sqlite.home import KEYS_FOLDER

BREAKING_COUNT: Final = 666_013
"""Of reads in one anchor: our rules know nothing that breaks them, so a test's programs break on this."""
LIED: Final = "lied: "

_LOG: Final = logging.getLogger(__name__)

Lie = Callable[["Liar", Position], list[list[bytes]]]


def break_rules() -> None:
    """Run a node with a mistake in its rules: one transaction crashes them."""

    def anchor(tx: AnchorReads, ctx: Any) -> object:  # noqa: ANN401  as the catalogue has it
        return 1 // 0 if tx.count == BREAKING_COUNT else anchor_reads(tx, ctx)

    handlers: dict[Any, Any] = HANDLERS
    handlers[AnchorReads] = anchor
    main()


def lie() -> None:
    """Run a node that adds what is forbidden to all it proposes, one kind after the other."""
    home = next(Path(one) for one in sys.argv[1:] if Path(one).is_absolute())
    vars(application)["prepare"] = Liar(home).prepare
    break_rules()


def open_door() -> None:
    """Run a node that lets its own member fill the mempool."""
    WaitingBundles.has_room = lambda *_: True  # type: ignore[method-assign]
    main()


def shift_clock(shift_s: int) -> None:
    """Run a node whose machine's clock is off."""
    told = time.time_ns
    vars(time)["time_ns"] = lambda: told() + shift_s * 1_000_000_000
    vars(time)["time"] = lambda: time.time_ns() / 1_000_000_000
    main()


class Liar:
    """Proposes blocks that nobody who is honest accepts."""

    def __init__(self, home: Path) -> None:
        keys = home / MEMBERS_FOLDER / home.name / KEYS_FOLDER
        self._key = SigningKey.from_seed(read_key(keys / SIGNING_KEY))
        self._turns = itertools.cycle(LIES.items())
        self._numbers = itertools.count()

    def prepare(  # noqa: PLR0913  as what it takes the place of
        self,
        state: LedgerState,
        recall: Recall,
        position: Position,
        offered: Sequence[bytes],
        *,
        bytes_max: int,
        misbehaviours: Sequence[Misbehaviour],
    ) -> tuple[list[bytes], Draft]:
        """Propose what an honest node would, and a lie; to us it is worth what the honest part is."""
        bundles, draft = prepare(
            state, recall, position, offered, bytes_max=bytes_max, misbehaviours=misbehaviours
        )
        name, lie = next(self._turns)
        added = lie(self, position)
        _LOG.warning("%s%s at %d", LIED, name, position.height)
        return [*bundles, *map(join_lines, added)], draft

    def write(self, position: Position, *, count: int = 1, expires_ms: int = MS_PER_MINUTE) -> bytes:
        """Sign a transaction that ends so long after this block."""
        number = next(self._numbers).to_bytes(32)
        body = AnchorReads(
            network=position.network,
            nonce=Nonce(compute_random_id(number[16:])),
            expires_ms=Instant(position.time_ms + expires_ms),
            anchor=AnchorId(compute_random_id(number[16:])),
            root=Digest(encode_digest(number)),
            count=count,
        )
        return sign_transaction(body, self._key)


def _tell_rubbish(_: Liar, __: Position) -> list[list[bytes]]:
    return [[b"rubbish"]]


def _forge(liar: Liar, position: Position) -> list[list[bytes]]:
    """Put another transaction's signature below one."""
    heads, tails = zip(*(liar.write(position).rsplit(b".", 1) for _ in range(2)), strict=True)
    return [[heads[0] + b"." + tails[1]]]


def _come_late(liar: Liar, position: Position) -> list[list[bytes]]:
    return [[liar.write(position, expires_ms=-1)]]


def _repeat(liar: Liar, position: Position) -> list[list[bytes]]:
    line = liar.write(position)
    return [[line], [line]]


def _take_too_much_room(liar: Liar, position: Position) -> list[list[bytes]]:
    line = liar.write(position)
    return [[liar.write(position) for _ in range(2 + BUNDLE_BYTES_MAX // len(line))]]


def _break(liar: Liar, position: Position) -> list[list[bytes]]:
    return [[liar.write(position, count=BREAKING_COUNT)]]


LIES: Final[dict[str, Lie]] = {
    "NOT_CANONICAL": _tell_rubbish,
    "BAD_SIGNATURE": _forge,
    "EXPIRED": _come_late,
    "REPLAYED": _repeat,
    "TOO_LARGE": _take_too_much_room,
    "breaks its handler": _break,
}
"""By what an honest node says of it."""
