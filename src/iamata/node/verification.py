"""Verify a whole home, or an export: replay the ledger from its genesis, and hold everything stored against it."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from iamata.crypto.ed25519 import SigningKey
from iamata.crypto.hpke import derive_sealing_key
from iamata.crypto.merkle import hash_leaf
from iamata.crypto.tiles import compute_changed_tiles
from iamata.engines.embedded.checking import SignatureChecker
from iamata.engines.embedded.lock import LedgerLock
from iamata.engines.embedded.storage import SCHEMA, LedgerFile
from iamata.ledger.blocks import StoredBlock
from iamata.ledger.genesis import Genesis
from iamata.ledger.state import LedgerState
from iamata.ledger.tables import MEMBERS
from iamata.model.ids import MemberId
from iamata.node import home as homes
from iamata.node.exports import read_export
from iamata.node.keyfiles import read_key
from iamata.stores.sqlite.home import KEYS_FOLDER
from iamata.workflows.replaying import ReplayReport, replay
from iamata.workflows.verification import MemberReport, expect, verify_member

Tell = Callable[[str], None]


@dataclasses.dataclass(frozen=True, slots=True)
class HomeReport:
    """What was checked, in numbers."""

    genesis: Genesis
    ledger: ReplayReport
    members: tuple[MemberReport, ...]


def verify_home(path: Path, *, tell: Tell) -> HomeReport:
    """Check a home that no other process has open; refuse at the first fault, and name it."""
    genesis = homes.load_genesis(path)
    folder = path / homes.LEDGER_FOLDER
    lock = LedgerLock(folder)
    try:
        tell("Replaying the ledger from its genesis")
        report = verify_ledger(folder, genesis)
        orderer = SigningKey.from_seed(read_key(folder / homes.ORDERER_KEY)).key_id
        expect(orderer == genesis.orderer, "orderer.key is not the key that orders this ledger")
        members = []
        for member_folder in homes.list_member_folders(path):
            tell(f"Opening what {member_folder.name} keeps")
            members.append(verify_member_folder(member_folder, report.state))
    finally:
        lock.release()
    return HomeReport(genesis=genesis, ledger=report, members=tuple(members))


def verify_export(path: Path, *, genesis: Genesis | None, tell: Tell) -> HomeReport:
    """Check an export; with the genesis that one got elsewhere, or else with the one inside it."""
    tell("Replaying the export from its genesis")
    with read_export(path) as export:
        expect(genesis is None or genesis == export.genesis, "the export is of another network")
        report = replay_with_checker(export.genesis, export.blocks)
        return HomeReport(genesis=export.genesis, ledger=report, members=())


def verify_ledger(folder: Path, genesis: Genesis) -> ReplayReport:
    """Replay the stored blocks, and hold the stored state, tiles and schema against what comes of them."""
    file = LedgerFile(folder, is_writer=False)
    try:
        expect(file.read_schema() == SCHEMA, "the ledger's tables are not what they must be")
        leaf_hashes: list[bytes] = []
        report = replay_with_checker(genesis, _note_leaves(file.read_blocks(), leaf_hashes))
        stored, _ = file.load_entries()
        expect(stored == dict(report.state.entries.items()), "the stored state is not what the blocks come to")
        tiles = compute_changed_tiles(0, leaf_hashes, lambda _level, _position: b"")
        expect(file.read_tiles() == dict(tiles), "the log's tiles are not those of its leaves")
    finally:
        file.close()
    return report


def replay_with_checker(genesis: Genesis, blocks: Iterable[StoredBlock]) -> ReplayReport:
    """Replay while another process checks the signatures."""
    checker = SignatureChecker()
    try:
        return replay(genesis, blocks, checker)
    finally:
        checker.close()


def verify_member_folder(folder: Path, state: LedgerState) -> MemberReport:
    """Check a member's key files and stores."""
    member = MEMBERS.find(state.entries, folder.name)
    expect(member is not None, f"the ledger knows no member {folder.name}")
    keys = folder / KEYS_FOLDER
    signing = SigningKey.from_seed(read_key(keys / homes.SIGNING_KEY)).key_id
    sealing = derive_sealing_key(read_key(keys / homes.SEALING_KEY))
    if member is not None:
        expect(signing == member.signing_key, f"signing.key of {folder.name} is not what the ledger knows")
        expect(sealing == member.sealing_key, f"sealing.key of {folder.name} is not what the ledger knows")
    custody = homes.open_custody(folder, MemberId(folder.name))
    try:
        return verify_member(custody, state)
    finally:
        custody.close()


def _note_leaves(blocks: Iterable[StoredBlock], leaf_hashes: list[bytes]) -> Iterator[StoredBlock]:
    for block in blocks:
        leaf_hashes.extend(map(hash_leaf, block.leaves))
        yield block
