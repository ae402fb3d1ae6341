"""Let a network go on under another genesis: new homes for its members, with all that they had.

The old homes stay as they were, but for a mark that keeps them from being opened again. Nothing is marked
before every new home is whole, and where anything fails no new home is left.
"""

import contextlib
import dataclasses
import os
import shutil
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from iamata.crypto.ed25519 import SEED_BYTES, SigningKey
from iamata.engines.comet.files import TIMEOUT_COMMIT_MS
from iamata.engines.embedded.engine import read_clock_ms
from iamata.engines.keeping.lock import LedgerLock
from iamata.ledger.genesis import Genesis, Predecessor, check_genesis, compute_network_id
from iamata.ledger.succession import Ancestor, Lineage, agree, compute_succession
from iamata.ledger.tables import CURRENT, ROLLS
from iamata.model.ids import MemberId
from iamata.model.instants import Instant
from iamata.model.reasons import Reason, Refused, require
from iamata.node.configuration import (
    PORT,
    Configuration,
    Embedded,
    Follower,
    read_configuration,
    write_configuration,
)
from iamata.node.continued import mark_continued, refuse_continued, unmark_continued
from iamata.node.home import (
    GENESIS_FILE,
    LEDGER_FOLDER,
    MEMBERS_FOLDER,
    ORDERER_KEY,
    SIGNING_KEY,
    list_member_folders,
    require_room,
)
from iamata.node.inheriting import begin_embedded, begin_validator, copy_home, finish_home
from iamata.node.inventory import check_inventory
from iamata.node.keyfiles import FOLDER_MODE, read_key, write_key
from iamata.node.lineage import read_lineage
from iamata.node.network import HOST
from iamata.node.proving import prove_agreement
from iamata.node.validators import appoint, take_seats, write_seat
from iamata.node.verification import HomeReport, verify_still_home
from iamata.stores.sqlite.home import KEYS_FOLDER

Tell = Callable[[str], None]

HOMES_MAX: Final = 100


@dataclasses.dataclass(frozen=True, slots=True)
class Standing:
    """A home that was verified and is held still."""

    path: Path
    report: HomeReport
    members: tuple[MemberId, ...]

    @property
    def height(self) -> int:
        """Say how far its ledger goes."""
        return self.report.ledger.blocks


@dataclasses.dataclass(frozen=True, slots=True)
class Old:
    """A network that stands still, as the home with the longest ledger has it."""

    longest: Standing
    homes: dict[MemberId, Standing]
    """Each member's home."""
    active: tuple[MemberId, ...]
    """The members that vote, and whose homes are here."""
    tell: Tell

    @property
    def genesis(self) -> Genesis:
        """Under which it ran."""
        return self.longest.report.genesis

    def read_signing_key(self, member: MemberId) -> SigningKey:
        """Read the key of a member's node."""
        return read_signing_key(self.homes[member].path, member)


def continue_as_validators(
    old: Old, target: Path, *, first_port: int = PORT, timeout_commit_ms: int = TIMEOUT_COMMIT_MS
) -> Genesis:
    """Let all members order together from now on, each in a home of its own."""
    seats = take_seats(list(old.homes), first_port)
    ordering = [seat for seat in seats if seat.member in old.active]
    genesis, lineage = _settle(old, validators=appoint(ordering))
    with making_homes(target, old.homes, genesis):
        for seat in seats:
            home = _copy(old, target, seat.member)
            begin_validator(home / LEDGER_FOLDER, genesis)
            write_seat(home, genesis, seat, seats, timeout_commit_ms)
            finish_home(home, genesis, lineage, [seat.member])
    return genesis


def continue_under_one(
    old: Old, target: Path, *, orderer: MemberId | None = None, first_port: int = PORT
) -> Genesis:
    """Let one member's node order from now on, and the others follow it."""
    leader, seed = orderer or _choose_orderer(old), os.urandom(SEED_BYTES)
    require(leader in old.active, Reason.UNKNOWN_MEMBER, f"{leader} is to order, and has no home here")
    key = SigningKey.from_seed(seed)
    genesis, lineage = _settle(old, orderer=key.key_id)
    urls = {one: f"http://{HOST}:{first_port + place}" for place, one in enumerate(old.homes)}
    with making_homes(target, old.homes, genesis):
        for place, member in enumerate(old.homes):
            home = _copy(old, target, member)
            begin_embedded(home / LEDGER_FOLDER, genesis, key)
            if member == leader:
                write_key(home / LEDGER_FOLDER / ORDERER_KEY, seed)
            engine = Embedded() if member == leader else Follower(leader=urls[leader])
            peers = {one: url for one, url in urls.items() if one != member}
            write_configuration(home, Configuration(engine=engine, port=first_port + place, peers=peers))
            finish_home(home, genesis, lineage, [member])
    return genesis


def _copy(old: Old, target: Path, member: MemberId) -> Path:
    old.tell(f"Writing the home of {member}")
    copy_home(old.homes[member].path, target / member, old.longest.path, [member])
    return target / member


@contextlib.contextmanager
def hold_network(
    source: Path, target: Path, *, without: Sequence[MemberId] = (), tell: Tell
) -> Iterator[Old]:
    """Verify every home of a network that stands still, and keep others from opening one meanwhile.

    Refuse where there is no room for the new homes, before anything takes long.
    """
    require_room(target)
    with contextlib.ExitStack() as held:
        standings = [hold_home(path, held, tell) for path in _list_sources(source)]
        longest = max(standings, key=lambda one: (one.height, -one.report.ledger.begun_at))
        require_whole(longest)
        for one in standings:
            is_same = one.report.genesis == longest.report.genesis
            require(is_same, Reason.FOREIGN_NETWORK, f"{one.path.name} is of another network")
            ours, theirs = one.report.ledger, longest.report.ledger
            is_prefix = ours.app_hash == theirs.app_hashes[ours.blocks]
            require(is_prefix, Reason.FAULT_FOUND, f"{one.path.name} has another ledger than the longest")
        homes = {member: one for one in standings for member in one.members}
        counted = sum(len(one.members) for one in standings)
        require(counted == len(homes), Reason.INPUT_INVALID, "two homes are of one member")
        require(longest.report.ledger.state.has_blocks, Reason.INPUT_INVALID, "no block was made yet")
        active = _check_members(longest, homes, without)
        yield Old(longest=longest, homes=dict(sorted(homes.items())), active=active, tell=tell)


def require_whole(standing: Standing) -> None:
    """Refuse to go on from a ledger that lacks its first blocks: who comes after could not verify it."""
    is_whole = standing.report.ledger.begun_at == 0
    hint = f"{standing.path.name} began with a snapshot: its ledger cannot be gone on from"
    require(is_whole, Reason.NOT_FOUND, hint)


def _list_sources(source: Path) -> list[Path]:
    if (source / GENESIS_FILE).exists():
        return [source]
    homes = sorted(one.parent for one in source.glob(f"*/{GENESIS_FILE}")) if source.is_dir() else []
    require(bool(homes), Reason.HOME_NOT_FOUND, f"{source} is no home, and none lies in it")
    require(len(homes) <= HOMES_MAX, Reason.INPUT_INVALID, f"more than {HOMES_MAX} homes")
    return homes


def read_signing_key(home: Path, member: MemberId) -> SigningKey:
    """Read the key of a member's node in its home."""
    return SigningKey.from_seed(read_key(home / MEMBERS_FOLDER / member / KEYS_FOLDER / SIGNING_KEY))


def hold_home(path: Path, held: contextlib.ExitStack, tell: Tell) -> Standing:
    """Verify a home, and keep others from opening it until `held` is closed."""
    refuse_continued(path)
    tell(f"Checking {path.name}")
    check_inventory(path)
    held.callback(LedgerLock(path / LEDGER_FOLDER).release)
    report = verify_still_home(path, tell)
    late = [access for one in report.members for access in one.late_pending]
    # Its evidence names the old network, and the new one could not be told of it.
    what = f"{path.name}: late disclosures are still to be posted: {', '.join(late)}"
    require(not late, Reason.INPUT_INVALID, what)
    return Standing(path, report, tuple(MemberId(one.name) for one in list_member_folders(path)))


def _check_members(
    longest: Standing, homes: dict[MemberId, Standing], without: Sequence[MemberId]
) -> tuple[MemberId, ...]:
    """Return the active members that go on, or refuse to leave one behind that nobody named."""
    roll = ROLLS.find(longest.report.ledger.state.entries, CURRENT)
    return choose_active(() if roll is None else roll.active, homes, without)


def choose_active(
    active: Sequence[MemberId], here: Container[MemberId], without: Sequence[MemberId]
) -> tuple[MemberId, ...]:
    """Return which of the active members are here, or refuse where one is missing that nobody named."""
    for one in without:
        is_lost = one in active and one not in here
        require(is_lost, Reason.INPUT_INVALID, f"{one} is no active member, or it is here")
    missing = [one for one in active if one not in here and one not in without]
    hint = f"{', '.join(missing)} is missing; where its home is lost, say so with --without"
    require(not missing, Reason.HOME_NOT_FOUND, hint)
    return tuple(one for one in active if one in here)


def _choose_orderer(old: Old) -> MemberId:
    """Choose the member whose node has ordered so far, or else the first."""
    for member in old.active:
        if isinstance(read_configuration(old.homes[member].path).engine, Embedded):
            return member
    return old.active[0]


def draft(standing: Standing, *, created_ms: int) -> Genesis:
    """Write what the members are to agree on, but for who orders."""
    before, state = standing.report.genesis, standing.report.ledger.state
    return Genesis(
        name=before.name,
        created_ms=Instant(max(created_ms, state.time_ms + 1)),
        rules=before.rules,
        continues=Predecessor(network=state.network, height=state.height, app_hash=state.app_hash),
    )


def _settle(old: Old, **orderers: Any) -> tuple[Genesis, Lineage]:  # noqa: ANN401  fields of the genesis
    """Let every member that is here agree on who orders."""
    bare = draft(old.longest, created_ms=read_clock_ms())
    drafted: Genesis = msgspec.structs.replace(bare, **orderers)
    agreements = tuple(agree(drafted, old.read_signing_key(member)) for member in old.active)
    return conclude(old.longest, msgspec.structs.replace(drafted, agreements=agreements))


def conclude(standing: Standing, genesis: Genesis) -> tuple[Genesis, Lineage]:
    """Refuse a genesis that this ledger cannot go on under; prove to others that its members agreed."""
    check_genesis(genesis)
    state = standing.report.ledger.state
    compute_succession(state.entries, state.frontier, state.time_ms, genesis)
    proofs = prove_agreement(standing.path / LEDGER_FOLDER, state, genesis)
    before = read_lineage(standing.path, standing.report.genesis).predecessors
    ancestor = Ancestor(genesis=standing.report.genesis, proofs=proofs)
    return genesis, Lineage(predecessors=(*before, ancestor))


@contextlib.contextmanager
def making_homes(target: Path, homes: Mapping[MemberId, Standing], genesis: Genesis) -> Iterator[None]:
    """Leave either all new homes, and the old ones marked, or nothing new at all."""
    marked: list[Path] = []
    target.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    try:
        yield
        os.sync()
        for path in dict.fromkeys(one.path for one in homes.values()):
            mark_continued(path, compute_network_id(genesis))
            marked.append(path)
    except BaseException as failure:
        _take_back(target, homes, marked)
        if isinstance(failure, OSError):
            raise Refused(Reason.STORAGE_FULL, f"{target}: {failure.strerror}") from failure
        raise


def _take_back(target: Path, homes: Iterable[MemberId], marked: Sequence[Path]) -> None:
    """Remove the new homes and the marks; the folder was empty, so everything in it is ours."""
    for path in marked:
        unmark_continued(path)
    for member in homes:
        shutil.rmtree(target / member, ignore_errors=True)
