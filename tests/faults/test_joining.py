"""An organisation comes to real validators after a thousand blocks, orders with them, and leaves again."""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from iamata.engines.comet.engine import SNAPSHOTS
from iamata.engines.comet.snapshots import INTERVAL_BLOCKS
from iamata.engines.keeping.commits import CommitFile, read_kept
from iamata.model.ids import KeyId
from iamata.node.comet_home import COMET_FOLDER, CONFIG_FOLDER, SETTINGS_FILE
from iamata.node.configuration import read_configuration
from iamata.node.home import LEDGER_FOLDER, WALLETS_FOLDER
from iamata.node.running import spell_url
from iamata.node.surveying import survey
from iamata.node.verification import HomeReport, verify_home
from iamata.testing.running import RunningNetwork
from iamata.testing.stage import Answer, call

NORTH, SOUTH, HILL = "hospital-a", "hospital-b", "hospital-c"
FOUNDERS: Final = (NORTH, SOUTH)
PORT: Final = 9110
PATIENCE_S: Final = 120.0


@dataclasses.dataclass
class Heard:
    """What the story came to."""

    forged: Answer
    """What who came with another key than the invitation's heard, and whether anything was left of it."""
    was_left: bool
    early: Answer
    """What who was not admitted heard."""
    again: Answer
    """What who joined twice heard."""
    joined: dict[str, Any]
    log: str
    voters: set[KeyId]
    """Whose votes the last header before the departure has."""
    powers: list[int | None]
    """The newcomer's weight: before it was appointed, as a validator, and after it left."""
    report: HomeReport


class Story:
    """Two founders' network, and what is done with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.network = RunningNetwork(
            folder / "net", first_port=PORT, members=FOUNDERS, timeout_commit_ms=1
        )
        self.home = self.network.get_home(HILL)

    def ask(self, *arguments: object) -> dict[str, Any]:
        """Run a command that must succeed."""
        answer = call(*arguments, "--json")
        assert answer.code == 0, answer
        return answer.document

    def decide(self, *what: str) -> None:
        """Let both founders agree on something, each at its own node."""
        proposal = ""
        for member in FOUNDERS:
            home = self.network.get_home(member)
            wallet = home / WALLETS_FOLDER / f"{member}-administrator"
            place = ("--node", spell_url(read_configuration(home)), "--wallet", wallet)
            if not proposal:
                proposal = self.ask("proposal", "open", *what, *place)["proposal"]
            else:
                self.ask("proposal", "vote", "--approve", "--proposal", proposal, *place)

    def make_empty_blocks(self, *, is_on: bool) -> None:
        """Let the founders make blocks though nothing happens: the cheapest way to a thousand of them."""
        self.network.stop()
        for member in FOUNDERS:
            settings = self.network.get_home(member) / COMET_FOLDER / CONFIG_FOLDER / SETTINGS_FILE
            line = "create_empty_blocks = "
            old, new = (f"{line}{str(one).lower()}\n" for one in (not is_on, is_on))
            settings.write_text(settings.read_text().replace(old, new))
        self.network.start(FOUNDERS)
        self.network.await_height(0, FOUNDERS)

    def await_snapshot(self, height: int) -> None:
        """Wait until both founders have a snapshot of a block."""
        for member in FOUNDERS:
            await_true(find_snapshot(self.network.get_home(member), height).exists)

    def write(self) -> int:
        """Write one transaction, and return in which block it is."""
        load = self.network.connect(NORTH)
        try:
            return load.submit().result().height
        finally:
            load.close()

    def find_power(self) -> int | None:
        """Tell the newcomer's weight."""
        return survey([self.home])[0].power

    def read_log(self) -> str:
        """Return what the newcomer's node and CometBFT have said."""
        return "".join(path.read_text() for path in sorted((self.home / "logs").glob("*.log")))

    def read_warnings(self) -> str:
        """Return what the newcomer's node has said of trouble."""
        lines = self.read_log().splitlines()
        return "\n".join(
            line for line in lines if '"level": "info"' not in line and not line.startswith("I[")
        )[-5_000:]

    def invite(self) -> tuple[Path, Path]:
        """Let the first founder invite and introduce the newcomer."""
        offer, introduction = self.folder / "offer.json", self.folder / "introduction.json"
        north = self.network.get_home(NORTH)
        self.ask(
            "member", "invite", "--home", north, "--member", NORTH, "--id", HILL, "--kind", "hospital",
            "--name", "Hill Hospital", "--to", offer,
        )  # fmt: skip
        self.ask("node", "introduce", north, "--to", introduction)
        return offer, introduction

    def join(self, offer: Path, introduction: Path) -> Answer:
        """Let the newcomer make its home and apply."""
        papers = ("--invitation", offer, "--introduction", introduction)
        return call(
            "network", "join", self.home, *papers, "--host", "127.0.0.9", "--port", PORT + 9, "--json"
        )


def forge(offer: Path) -> Path:
    """Write an invitation that nobody has made."""
    forged = offer.with_name("forged.json")
    forged.write_bytes(msgspec.json.encode(msgspec.json.decode(offer.read_bytes()) | {"seed": "A" * 43}))
    return forged


def find_snapshot(home: Path, height: int) -> Path:
    """Say where the first chunk of a snapshot lies."""
    return home / LEDGER_FOLDER / SNAPSHOTS / str(height) / "0"


def await_true(is_true: Callable[[], bool], story: Story | None = None) -> None:
    """Wait until something is so."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not is_true():
        assert time.monotonic() < deadline_s, story.read_warnings() if story else "never"
        time.sleep(0.1)


def flip(path: Path) -> None:
    """Change one bit in the middle of a file."""
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1 << 3
    path.write_bytes(raw)


def find_kept_height(home: Path) -> int:
    """Tell how far the headers go that a home keeps."""
    with contextlib.closing(CommitFile(home / LEDGER_FOLDER, is_writer=False)) as commits:
        return commits.find_last_height()


def list_voters(home: Path) -> set[KeyId]:
    """List whose votes the newest header in a home has."""
    with contextlib.closing(CommitFile(home / LEDGER_FOLDER, is_writer=False)) as commits:
        raw = commits.find(commits.find_last_height())
    assert raw is not None
    light = read_kept(raw)
    return {one.key for one, vote in zip(light.validators, light.votes, strict=True) if vote is not None}


@pytest.fixture(scope="module")
def heard(require_part: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Heard]:
    """Tell the story once."""
    require_part("cometbft")
    story = Story(tmp_path_factory.mktemp("joining"))
    try:
        story.make_empty_blocks(is_on=True)
        yield tell(story)
    finally:
        story.network.kill((*FOUNDERS, HILL))


def tell(story: Story) -> Heard:
    """Let a hospital join, order, and leave."""
    home = story.home
    offer, introduction = story.invite()
    forged = story.join(forge(offer), introduction)
    was_left = home.exists()
    joined = story.join(offer, introduction)
    assert joined.code == 0, joined
    again, early = story.join(offer, introduction), call("node", "up", home)
    story.decide("--admit", HILL)
    story.await_snapshot(INTERVAL_BLOCKS)
    story.make_empty_blocks(is_on=False)
    for _ in range(2):
        story.write()  # a snapshot is of use when there are two blocks after it
    begin(story, joined.document["peer"])
    powers, voters = order_and_leave(story, joined.document["key"])
    return Heard(
        forged=forged,
        was_left=was_left,
        early=early,
        again=again,
        joined=joined.document,
        log=story.read_log(),
        voters=voters,
        powers=powers,
        report=verify_home(home, tell=lambda _: None),
    )


def begin(story: Story, peer: str) -> None:
    """Let the newcomer's node begin: first with a peer whose snapshot has a changed byte alone."""
    network = story.network
    flip(find_snapshot(network.get_home(SOUTH), INTERVAL_BLOCKS))
    story.ask("node", "peers", network.get_home(SOUTH), "--add", peer)
    network.start([HILL])
    await_true(lambda: "is not what was offered" in story.read_log(), story)
    story.ask("node", "peers", network.get_home(NORTH), "--add", peer)
    await_true(lambda: network.read_height(HILL) >= network.read_height(NORTH), story)


def order_and_leave(story: Story, key: str) -> tuple[list[int | None], set[KeyId]]:
    """Let the newcomer order with the others, and leave them; return its weights, and who voted then."""
    network, home = story.network, story.home
    powers = [story.find_power()]
    story.decide("--validator", f"{HILL}:{key}:1")
    network.await_height(story.write() + 1, [HILL])
    height = story.write()
    await_true(lambda: find_kept_height(home) >= height, story)
    powers.append(story.find_power())
    voters = list_voters(home)
    story.ask("member", "leave", "--home", home, "--member", HILL, "--yes")
    network.await_height(story.write() + 1, [HILL])
    await_true(lambda: story.find_power() == 0, story)
    powers.append(story.find_power())
    last = story.write()
    await_true(lambda: find_kept_height(home) >= last, story)
    network.kill([HILL])
    story.write()  # the others go on without it
    network.stop()
    return powers, voters


@pytest.mark.slow
def test_whoever_was_not_invited_is_left_with_nothing(heard: Heard) -> None:
    assert "UNKNOWN_KEY" in heard.forged.err
    assert not heard.was_left


@pytest.mark.slow
def test_whoever_was_not_admitted_hears_so(heard: Heard) -> None:
    assert "MEMBER_NOT_ACTIVE" in heard.early.err


@pytest.mark.slow
def test_whoever_joins_twice_has_the_same_keys(heard: Heard) -> None:
    assert heard.again.code == 0
    assert heard.again.document == heard.joined
    assert sorted(heard.joined) == ["home", "key", "member", "network", "peer"]


@pytest.mark.slow
def test_a_snapshot_with_a_changed_byte_is_refused_and_anothers_taken(heard: Heard) -> None:
    assert "chunk 0 of a snapshot is not what was offered" in heard.log
    assert "Snapshot restored" in heard.log


@pytest.mark.slow
def test_who_joins_is_appointed_by_vote_and_orders_until_it_leaves(heard: Heard) -> None:
    assert heard.powers == [0, 1, 0]
    assert heard.joined["key"] in heard.voters


@pytest.mark.slow
def test_a_home_that_began_with_a_snapshot_is_verified_from_there_on(heard: Heard) -> None:
    ledger, votes = heard.report.ledger, heard.report.votes

    assert ledger.begun_at == INTERVAL_BLOCKS
    assert ledger.transactions > 0
    assert votes is not None
    assert votes.unvouched <= 1
    assert votes.headers > ledger.blocks - ledger.begun_at
