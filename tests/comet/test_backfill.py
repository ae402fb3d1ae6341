"""What a snapshot says of its blocks is held against headers; what began with it is verified from there."""

import contextlib
import copy
import itertools
import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
import pytest

from iamata.engines.comet.backfill import Backfill
from iamata.engines.keeping.beginning import BEGINNING_FILE, Beginning, check_beginning
from iamata.engines.keeping.commits import COMMITS_FILE, CommitFile, read_kept
from iamata.engines.keeping.storage import LEDGER_FILE
from iamata.ledger.blocks import StoredBlock
from iamata.ledger.genesis import Genesis, compute_network_id, get_first_height
from iamata.ledger.header import compute_header_digest, read_block_header
from iamata.ledger.light.blocks import LightBlock, order_validators
from iamata.ledger.light.verifying import trust_genesis
from iamata.model.canonical import encode_struct
from iamata.model.reasons import Reason, Refused
from iamata.node.configuration import Configuration
from iamata.node.exporting import export_home
from iamata.node.home import Home
from iamata.node.peers import Peers
from iamata.node.verification import verify_ledger
from iamata.testing.lights import make_light, sign_light, trust_light, vouch_for
from iamata.testing.validator import ValidatorTown

BLOCKS: Final = 40
BEGUN_AT: Final = 30
MINUTE_MS: Final = 60_000
FLIPS: Final = 6
CHANGED: Final = (
    (COMMITS_FILE, "light", "block"),
    (LEDGER_FILE, "block", "header"),
    (LEDGER_FILE, "block", "leaves"),
    (LEDGER_FILE, "segment", "entries"),
    (LEDGER_FILE, "tile", "hashes"),
)

_NUMBERS: Final = itertools.count()


class Town:
    """A validator's ledger after some blocks, a snapshot of one of them, and every header."""

    def __init__(self, town: ValidatorTown) -> None:
        self.town = town
        self.founded = get_first_height(town.genesis) - 1
        self.begun_at = self.founded + BEGUN_AT
        self.found = str(town.engine.snapshot().app_hash)
        town.comet.connect()
        for number in range(BLOCKS):
            town.clock.advance(MINUTE_MS if number % 3 else MINUTE_MS // 7)
            for raw in town.write_anchors(3) if number % 5 else []:
                town.comet.broadcast(raw)
            town.comet.make_block()
            if number + 1 == BEGUN_AT:
                self.beginning = town.engine._keeper.describe_beginning()  # noqa: SLF001  as a snapshot has it
        self.beginning = msgspec.structs.replace(
            self.beginning, entries=tuple(sorted(self.beginning.entries))
        )
        self.blocks = list(town.engine.read_blocks(first_height=self.founded + 1))
        self.lights = self.sign()
        self.folder = town.folder / "late"

    def fork(self) -> "Town":
        """Let another test have the same ledger, with headers and a second node of its own."""
        fork = copy.copy(self)
        fork.lights = dict(self.lights)
        fork.folder = self.town.folder / f"late-{next(_NUMBERS)}"
        return fork

    def sign(self) -> dict[int, LightBlock]:
        """Sign every header as CometBFT would, and one more."""
        genesis, keys = self.town.genesis, {self.town.validator.key_id: self.town.validator}
        trust, app_hash = trust_genesis(genesis), self.found
        now, lights = order_validators(genesis.validators), {}
        for block in self.blocks:
            light = vouch_for(trust, block, app_hash, now=now, following=now, keys=keys)
            lights[block.height] = light
            trust, app_hash = trust_light(light), read_block_header(block.header, genesis).app_hash
        lights[self.founded + BLOCKS + 1] = make_light(trust, now, [self.town.validator], app_hash=app_hash)
        return lights

    def read_light_block(self, height: int) -> LightBlock:
        """Show a header to whoever asks."""
        if height not in self.lights:
            raise Refused(Reason.NOT_FOUND, f"height {height}")
        return self.lights[height]

    def hold(self, beginning: Beginning, *, trusted: int) -> list[int]:
        """Hold a beginning against headers, and return the heights of those that were kept."""
        self.folder.mkdir(exist_ok=True)
        genesis, clock = self.town.genesis, self.town.clock
        Backfill(self.folder, genesis, self.lights[trusted], self, clock=clock)(beginning)
        with contextlib.closing(CommitFile(self.folder, is_writer=False)) as commits:
            return [height for height, _ in commits.read_all()]

    def begin(self, *, trusted: int = 3) -> Path:
        """Let a second node that trusts one header begin with the snapshot, and go on to the end."""
        self.folder.mkdir(exist_ok=True)
        trusted += self.founded
        with contextlib.closing(CommitFile(self.folder, is_writer=True)) as commits:
            commits.add(self.lights[trusted])
        late = self.town.open(self.folder.name)
        keeper = late._keeper  # noqa: SLF001  what its desk does when a snapshot is whole
        keeper.begin_at(
            self.beginning,
            height=self.begun_at,
            app_hash=read_block_header(self.blocks[BEGUN_AT - 1].header, self.town.genesis).app_hash,
            hold=lambda beginning: [self.hold(beginning, trusted=trusted)].clear(),
        )
        comet = self.town.play(self.folder.name)
        comet.blocks, comet.app_hashes = list(self.town.comet.blocks), list(self.town.comet.app_hashes)
        comet.connect()
        comet.hang_up()
        late.close()
        with contextlib.closing(CommitFile(self.folder, is_writer=True)) as commits:
            for light in self.lights.values():
                if light.header.height > self.begun_at:
                    commits.add(light)
        return self.folder


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """Make the blocks once."""
    town = ValidatorTown(tmp_path_factory.mktemp("town"))
    yield Town(town)
    town.close()


@pytest.fixture
def place(once: Town) -> Town:
    return once.fork()


@pytest.fixture
def continued(tmp_path: Path) -> Iterator[tuple[Genesis, Town]]:
    """Make the blocks in a network that goes on from another, whose genesis comes with it."""
    town = ValidatorTown(tmp_path)
    before = town.genesis
    town.comet.connect()
    for _ in range(2):
        town.comet.broadcast(town.write_anchors(1)[0])
        town.comet.make_block()
    town.go_on()
    yield before, Town(town)
    town.close()


def move(beginning: Beginning, height: int, shift_ms: int, town: ValidatorTown) -> Beginning:
    """Say another time of an empty block, with every header after it as it then has to be."""
    parent, blocks = None, list[StoredBlock]()
    for block in beginning.blocks:
        header = read_block_header(block.header, town.genesis)
        time_ms = block.time_ms + (shift_ms if block.height == height else 0)
        changed = msgspec.structs.replace(header, time_ms=time_ms, parent=parent or header.parent)
        parent = compute_header_digest(changed)
        blocks.append(msgspec.structs.replace(block, time_ms=time_ms, header=encode_struct(changed)))
    return msgspec.structs.replace(beginning, blocks=tuple(blocks))


@pytest.mark.parametrize("trusted", [1, BEGUN_AT - 2, BEGUN_AT + 1, BLOCKS])
def test_headers_are_fetched_back_to_the_first_block(place: Town, trusted: int) -> None:
    first, top = place.beginning.blocks[0].height, max(trusted, BEGUN_AT + 1)

    kept = place.hold(place.beginning, trusted=trusted)

    assert first > 1
    assert kept == list(range(first, top + (trusted <= BEGUN_AT)))


def test_the_time_of_an_empty_block_cannot_be_moved(place: Town) -> None:
    empty = next(one.height for one in place.beginning.blocks[1:] if not one.leaves)
    lie = move(place.beginning, empty, 5, place.town)
    app_hash = read_block_header(lie.blocks[-1].header, place.town.genesis).app_hash
    check_beginning(lie, place.town.genesis, height=BEGUN_AT, app_hash=app_hash)  # nothing else shows it

    with pytest.raises(Refused, match=f"block {empty}: its validators have voted for another time"):
        place.hold(lie, trusted=3)


@pytest.mark.parametrize("what", ["other", "unsigned", "missing", "late"])
def test_a_header_that_does_not_lead_there_is_refused(place: Town, what: str) -> None:
    height = BEGUN_AT - 1
    light = place.lights[height]
    header = msgspec.structs.replace(light.header, evidence_hash=light.header.data_hash)
    place.lights[height] = {
        "other": sign_light(msgspec.structs.replace(light, header=header), [place.town.validator]),
        "unsigned": msgspec.structs.replace(light, votes=(None,)),
        "missing": light,
        "late": place.lights[height - 1],
    }[what]
    if what == "missing":
        del place.lights[height]

    with pytest.raises(Refused):
        place.hold(place.beginning, trusted=3)


@pytest.mark.parametrize("shown", [3, BEGUN_AT - 5])
def test_the_header_of_another_height_stands_for_none(place: Town, shown: int) -> None:
    last = place.beginning.blocks[-1]
    lie = move(place.beginning, last.height, 5, place.town)
    place.lights[BEGUN_AT + 1] = place.lights[shown]  # which follows from what is trusted

    with pytest.raises(Refused, match=f"another header than that of height {BEGUN_AT + 1}"):
        place.hold(lie, trusted=3)


def test_what_began_with_a_snapshot_is_verified_from_there_on(place: Town) -> None:
    report, replayed, votes = verify_ledger(place.begin(), [place.town.genesis])

    assert (report.begun_at, report.blocks) == (BEGUN_AT, BLOCKS)
    assert report.app_hash == place.town.engine.snapshot().app_hash == replayed.state.app_hash
    assert votes is not None
    assert votes.headers == BLOCKS - place.beginning.blocks[0].height + 1
    assert votes.unvouched == 0


def test_what_began_with_a_continued_networks_snapshot_is_verified_without_its_predecessors(
    continued: tuple[Genesis, Town],
) -> None:
    before, place = continued

    report, replayed, votes = verify_ledger(place.begin(), [before, place.town.genesis])

    assert (report.begun_at, report.blocks) == (2 + BEGUN_AT, 2 + BLOCKS)
    assert report.app_hash == place.town.engine.snapshot().app_hash
    assert replayed.networks == (compute_network_id(before), compute_network_id(place.town.genesis))
    assert votes is not None
    assert votes.headers == report.blocks - place.beginning.blocks[0].height + 1


def test_a_snapshot_of_the_first_block_must_follow_its_genesis(continued: tuple[Genesis, Town]) -> None:
    _, place = continued
    genesis, (first, *_) = place.town.genesis, place.blocks
    header = read_block_header(first.header, genesis)
    strange = msgspec.structs.replace(header, parent=compute_header_digest(header))
    other = msgspec.structs.replace(first, header=encode_struct(strange))
    lie = msgspec.structs.replace(place.beginning, blocks=(other,))

    with pytest.raises(Refused, match="block 3 of a snapshot"):
        check_beginning(lie, genesis, height=3, app_hash=header.app_hash)


def test_a_snapshot_that_no_header_vouches_for_is_a_fault(place: Town) -> None:
    folder = place.begin()
    with contextlib.closing(sqlite3.connect(folder / COMMITS_FILE, isolation_level=None)) as db:
        db.execute("DELETE FROM light WHERE height > ?", (BEGUN_AT,))

    with pytest.raises(Refused, match="no header after it leads there"):
        verify_ledger(folder, [place.town.genesis])


def test_a_ledger_without_what_it_began_with_is_a_fault(place: Town) -> None:
    folder = place.begin()
    (folder / BEGINNING_FILE).unlink()

    with pytest.raises(Refused) as refused:
        verify_ledger(folder, [place.town.genesis])
    assert refused.value.reason is Reason.FAULT_FOUND


def test_every_changed_byte_is_found(place: Town) -> None:
    chance, folder = random.Random(9), place.begin()
    for _ in range(FLIPS):
        file = folder / BEGINNING_FILE
        raw = file.read_bytes()
        file.write_bytes(flip(raw, chance))
        expect_fault(folder, place)
        file.write_bytes(raw)
    for name, table, column in CHANGED:
        for _ in range(FLIPS // 3):
            with contextlib.closing(sqlite3.connect(folder / name, isolation_level=None)) as db:
                restore = change_row(db, table, column, chance)
                expect_fault(folder, place)
                db.execute(*restore)
    verify_ledger(folder, [place.town.genesis])


def expect_fault(folder: Path, place: Town) -> None:
    with pytest.raises(Refused):
        verify_ledger(folder, [place.town.genesis])


def flip(raw: bytes, chance: random.Random) -> bytes:
    changed = bytearray(raw)
    changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def change_row(
    db: sqlite3.Connection, table: str, column: str, chance: random.Random
) -> tuple[str, tuple[object, ...]]:
    """Flip a bit of a row, and return what takes that back."""
    keys = "level, position" if table == "tile" else "height, height"
    where = f"length({column}) > 0" + ("" if table == "tile" else f" AND height <= {BLOCKS}")
    rows = db.execute(f"SELECT {keys}, {column} FROM {table} WHERE {where}").fetchall()  # noqa: S608  our own words
    *key, old = chance.choice(rows)
    one, other = keys.split(", ")
    statement = f"UPDATE {table} SET {column} = ? WHERE {one} = ? AND {other} = ?"  # noqa: S608  our own words
    db.execute(statement, (flip(old, chance), *key))
    return statement, (old, *key)


def test_an_export_without_the_first_blocks_is_refused(place: Town, tmp_path: Path) -> None:
    engine = place.town.open(place.begin().name)
    home = Home(place.folder, engine, {}, Peers(Configuration(), place.folder, None))

    with pytest.raises(Refused, match="began with a snapshot"):
        export_home(home, tmp_path / "export")
    assert not (tmp_path / "export").exists()
    assert next(engine.events(0))[0] == place.beginning.blocks[0].first_leaf > 0


def test_a_light_block_of_the_stretch_is_what_was_signed(place: Town) -> None:
    place.begin(trusted=BLOCKS)
    with contextlib.closing(CommitFile(place.folder, is_writer=False)) as commits:
        lights = {height: read_kept(raw) for height, raw in commits.read_all()}

    assert lights == {height: place.lights[height] for height in lights}
