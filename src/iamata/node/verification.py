"""Verify a home, or an export: replay the ledger from its genesis, and hold everything stored against it.

A home is only read: not a byte of it changes, a write-ahead log that a crash left stays what it was.
"""

import contextlib
import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from iamata.crypto.ed25519 import SigningKey
from iamata.crypto.hpke import derive_sealing_key
from iamata.crypto.merkle import hash_leaf
from iamata.crypto.tiles import compute_changed_tiles
from iamata.engines.embedded.checking import SignatureChecker
from iamata.engines.embedded.engine import read_clock_ms
from iamata.engines.follower.following import FORK_FILE, find_fork
from iamata.engines.keeping.beginning import has_beginning
from iamata.engines.keeping.commits import SCHEMA as COMMITS_SCHEMA
from iamata.engines.keeping.commits import CommitFile
from iamata.engines.keeping.lock import LedgerLock
from iamata.engines.keeping.storage import SCHEMA, LedgerFile
from iamata.ledger.blocks import StoredBlock
from iamata.ledger.genesis import Genesis, compute_network_id
from iamata.ledger.header import read_block_header
from iamata.ledger.state import LedgerState
from iamata.ledger.succession import check_succession
from iamata.ledger.tables import MEMBERS
from iamata.model.ids import MemberId
from iamata.model.reasons import Reason, Refused, require
from iamata.node import home as homes
from iamata.node.begins import Begin, check_first_blocks, find_begin
from iamata.node.configuration import Embedded, read_configuration
from iamata.node.exports import find_no_light, read_export
from iamata.node.inventory import check_inventory, holding_ledger_still, holding_stores_still
from iamata.node.keyfiles import read_key
from iamata.node.lineage import PREDECESSORS_FILE, read_lineage
from iamata.node.segment_verification import verify_segments
from iamata.node.wallet_verification import verify_wallets
from iamata.ports import Workers
from iamata.stores.sqlite.home import KEYS_FOLDER
from iamata.workers.mapping import ProcessWorkers
from iamata.workflows.disclosure_verification import expect
from iamata.workflows.replayed import History, Replayed
from iamata.workflows.replaying import ReplayReport, replay
from iamata.workflows.verification import MemberReport, verify_member
from iamata.workflows.vouching import VoteReport, Vouchings

Tell = Callable[[str], None]


@dataclasses.dataclass(frozen=True, slots=True)
class HomeReport:
    """What was checked, in numbers."""

    genesis: Genesis
    ledger: ReplayReport
    members: tuple[MemberReport, ...]
    votes: VoteReport | None = None
    """Where validators order."""
    identities: int = 0
    """Keys in the home's wallets, each known to the ledger."""
    before: tuple[Genesis, ...] = ()
    """The geneses of an export's earlier networks, oldest first."""


def verify_home(path: Path, *, tell: Tell) -> HomeReport:
    """Check a home that no other process has open; refuse at the first fault, and name it."""
    is_home = any((path / part).exists() for part in (homes.GENESIS_FILE, homes.LEDGER_FOLDER))
    require(is_home, Reason.HOME_NOT_FOUND, str(path))
    check_inventory(path)
    lock = LedgerLock(path / homes.LEDGER_FOLDER)
    try:
        return verify_still_home(path, tell)
    finally:
        lock.release()


def verify_still_home(path: Path, tell: Tell) -> HomeReport:
    """Check a home whose ledger the caller has locked."""
    folder, members = path / homes.LEDGER_FOLDER, []
    with naming_place(homes.GENESIS_FILE):
        genesis = homes.load_genesis(path)
    with naming_place(PREDECESSORS_FILE):
        lineage = verify_lineage(path, genesis)
    tell("Replaying the ledger from its genesis")
    with naming_place(homes.LEDGER_FOLDER), holding_ledger_still(folder):
        if isinstance(read_configuration(path).engine, Embedded):
            orderer = SigningKey.from_seed(read_key(folder / homes.ORDERER_KEY)).key_id
            expect(orderer == genesis.orderer, "orderer.key is not the orderer's that genesis.json names")
        report, ledger, votes = verify_ledger(folder, lineage)
        _refuse_fork(folder, genesis)
    with contextlib.closing(ProcessWorkers()) as workers:
        for member in homes.list_member_folders(path):
            tell(f"Opening what {member.name} keeps")
            with naming_place(f"{homes.MEMBERS_FOLDER}/{member.name}"), holding_stores_still(member):
                members.append(verify_member_folder(member, ledger, workers))
    with naming_place(homes.WALLETS_FOLDER):
        identities = verify_wallets(path, ledger)
    return HomeReport(
        genesis=genesis, ledger=report, members=tuple(members), votes=votes, identities=identities
    )


def verify_lineage(path: Path, genesis: Genesis) -> tuple[Genesis, ...]:
    """Return the genesis of each network that a home's has gone on from, its own last.

    That their members agreed is checked when the ledger is replayed; here, what proves it to others.
    """
    before = read_lineage(path, genesis).predecessors
    lineage = (*(one.genesis for one in before), genesis)
    for ancestor, after in zip(before, lineage[1:], strict=True):
        if ancestor.proofs:
            check_succession(ancestor, after)
    return lineage


def _refuse_fork(folder: Path, genesis: Genesis) -> None:
    """Name a fork that was kept: our own copy may be right, but whoever orders has signed another."""
    found = find_fork(folder, genesis)
    if found is not None:
        fault = f"{FORK_FILE}: who orders has signed two histories that part at block {found[1]}"
        raise Refused(Reason.FAULT_FOUND, fault)


def verify_export(
    path: Path, *, genesis: Genesis | None, tell: Tell, look: Callable[[StoredBlock], None] | None = None
) -> HomeReport:
    """Check an export; with the genesis that one got elsewhere, or else with the one inside it.

    `look` is shown each block before the next is read: what it saw counts once all was checked.
    """
    tell("Replaying the export from its genesis")
    with read_export(path) as export:
        lineage = (*export.predecessors, export.genesis)
        expect(genesis is None or genesis in lineage, "the export is of another network")
        vouchings = Vouchings(lambda height: export.lights.pop(height, None), now_ms=read_clock_ms())
        blocks = export.blocks if look is None else _showing(export.blocks, look)
        report = replay_with_checker(lineage, blocks, vouchings)
        votes = vouchings.sum_up()
        is_vouched = votes is None or votes.unvouched == 0
        expect(is_vouched, f"block {report.blocks}: its votes are missing")
        return HomeReport(
            genesis=export.genesis, ledger=report, members=(), votes=votes, before=export.predecessors
        )


def _showing(blocks: Iterable[StoredBlock], look: Callable[[StoredBlock], None]) -> Iterator[StoredBlock]:
    for block in blocks:
        look(block)
        yield block


def verify_ledger(
    folder: Path, lineage: Sequence[Genesis]
) -> tuple[ReplayReport, Replayed, VoteReport | None]:
    """Replay the stored blocks, and hold the stored state, tiles and schema against what comes of them.

    Where the ledger began with a snapshot they are replayed from there on.
    """
    with (
        contextlib.closing(LedgerFile(folder, is_writer=False)) as file,
        _opening_commits(folder, lineage) as commits,
    ):
        expect(file.read_schema() == SCHEMA, "the ledger's tables are not what they must be")
        _compare_network(file, lineage[-1] if has_beginning(folder) else lineage[0])
        begin = find_begin(folder, lineage)
        check_first_blocks(file, begin)
        leaf_hashes: list[bytes] = []
        history = History()
        for block in begin.blocks:
            history.take_all(block.leaves)
        blocks = _note_leaves(file.read_blocks(first_height=begin.height + 1), leaf_hashes, history)
        vouchings = begin_vouching(commits, begin)
        report = replay_with_checker(begin.lineage, blocks, vouchings, begin=begin.make_state())
        stored, _ = file.load_entries()
        if not report.state.has_blocks:  # what the genesis changes is written with the first block
            stored |= report.state.inherited
        expect(
            stored == dict(report.state.entries.items()), "the stored state is not what the blocks come to"
        )
        tiles = begin.tiles | compute_changed_tiles(begin.log_size, leaf_hashes, begin.read_tile)
        expect(file.read_tiles() == tiles, "the log's tiles are not those of its leaves")
        verify_segments(file, begin)
    networks = tuple(map(compute_network_id, lineage))
    return report, Replayed(report.state, history, networks), vouchings.sum_up()


@contextlib.contextmanager
def _opening_commits(folder: Path, lineage: Sequence[Genesis]) -> Iterator[CommitFile | None]:
    """Open the file of commits that lies beside a ledger which validators order, or ordered once."""
    if not any(genesis.validators for genesis in lineage):
        yield None
        return
    with contextlib.closing(CommitFile(folder, is_writer=False)) as file:
        expect(file.read_schema() == COMMITS_SCHEMA, "the commits' tables are not what they must be")
        yield file


def begin_vouching(commits: CommitFile | None, begin: Begin) -> Vouchings:
    """Prepare to check votes, from the first genesis on or from a snapshot that they vouch for."""
    find_light, now_ms = find_no_light if commits is None else commits.find, read_clock_ms()
    return Vouchings(
        find_light, now_ms=now_ms, vouch=lambda state: begin.vouch(state, commits, now_ms=now_ms)
    )


def _compare_network(file: LedgerFile, genesis: Genesis) -> None:
    """Tell a changed genesis from a changed block: everything in a block names the genesis' hash."""
    for block in itertools.islice(file.read_blocks(), 1):
        try:
            header = read_block_header(block.header, genesis)
        except Refused:
            return  # the replay will name it
        is_same = header.network == compute_network_id(genesis)
        expect(is_same, "genesis.json is not the one that the blocks name")


def replay_with_checker(
    lineage: Sequence[Genesis],
    blocks: Iterable[StoredBlock],
    vouchings: Vouchings | None,
    *,
    begin: LedgerState | None = None,
) -> ReplayReport:
    """Replay while another process checks the signatures."""
    checker = SignatureChecker()
    try:
        *predecessors, genesis = lineage
        return replay(genesis, blocks, checker, predecessors=predecessors, begin=begin, watcher=vouchings)
    finally:
        checker.close()


def verify_member_folder(folder: Path, ledger: Replayed, workers: Workers) -> MemberReport:
    """Check a member's key files and stores."""
    member = MEMBERS.find(ledger.state.entries, folder.name)
    expect(member is not None, f"the ledger knows no member {folder.name}")
    keys = folder / KEYS_FOLDER
    signing = [
        SigningKey.from_seed(read_key(keys / name)).key_id
        for name in (homes.SIGNING_KEY, homes.NEXT_KEY)
        if name == homes.SIGNING_KEY or (keys / name).exists()
    ]
    sealing = derive_sealing_key(read_key(keys / homes.SEALING_KEY))
    if member is not None:
        expect(member.signing_key in signing, f"signing.key of {folder.name} is not what the ledger knows")
        expect(sealing == member.sealing_key, f"sealing.key of {folder.name} is not what the ledger knows")
    with contextlib.closing(homes.open_custody(folder, MemberId(folder.name))) as custody:
        expect(
            custody.journal.store.read_head() is not None, f"the journal of {folder.name} was never set up"
        )
        return verify_member(custody, ledger, workers)


@contextlib.contextmanager
def naming_place(place: str) -> Iterator[None]:
    """Say in which part of a home a fault was found."""
    try:
        yield
    except Refused as refused:
        fault = f"{place}: {refused.detail or refused.reason.name}"
        raise Refused(Reason.FAULT_FOUND, fault) from refused


def _note_leaves(
    blocks: Iterable[StoredBlock], leaf_hashes: list[bytes], history: History
) -> Iterator[StoredBlock]:
    for block in blocks:
        yield block
        # Resumed for the next block, when the rules have said that these are its leaves.
        leaf_hashes.extend(map(hash_leaf, block.leaves))
        history.take_all(block.leaves)
