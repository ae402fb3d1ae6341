"""A follower believes nothing: it runs every block again, keeps its own copy, and names a fork."""

import dataclasses
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from iamata.engines.embedded.engine import EmbeddedEngine
from iamata.engines.follower.engine import FollowerEngine
from iamata.engines.follower.following import FORK_FILE
from iamata.ledger.blocks import StoredBlock
from iamata.ledger.forks import Fork, check_fork, read_fork
from iamata.ledger.header import read_header, sign_header
from iamata.model.canonical import encode_struct
from iamata.model.reasons import Reason, Refused
from iamata.testing.leader import LocalLeader
from iamata.testing.town import Town
from iamata.workflows.author import await_finality

PATIENCE_S = 20


@dataclasses.dataclass
class Pair:
    """A town's leader and whoever follows it."""

    town: Town
    folder: Path
    leader: LocalLeader
    followers: list[FollowerEngine] = dataclasses.field(default_factory=list)

    @property
    def engine(self) -> EmbeddedEngine:
        """The engine that leads."""
        assert isinstance(self.leader.engine, EmbeddedEngine)
        return self.leader.engine

    def follow(self) -> FollowerEngine:
        """Follow in the pair's one folder."""
        self.leader = LocalLeader(self.engine)
        return self.follow_again()

    def follow_again(self) -> FollowerEngine:
        """Follow whatever the leader is set to."""
        self.folder.mkdir(exist_ok=True)
        follower = FollowerEngine(self.folder, self.town.genesis, leader=self.leader, wait_s=0.1)
        self.followers.append(follower)
        return follower

    def write(self, count: int) -> None:
        """Let the leader order blocks of one transaction each."""
        for raw in self.town.write_anchors(self.engine, count):
            await_finality(self.engine, raw)


@pytest.fixture
def pair(town: Town, tmp_path: Path) -> Iterator[Pair]:
    pair = Pair(town, tmp_path / "follower", LocalLeader(town.open()))
    yield pair
    for follower in pair.followers:
        follower.close()


def until(is_so: Callable[[], bool]) -> bool:
    """Wait until something is so."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not is_so() and time.monotonic() < deadline_s:
        time.sleep(0.01)
    return is_so()


def is_level(pair: Pair, follower: FollowerEngine) -> bool:
    ours, theirs = follower.snapshot(), pair.engine.snapshot()
    return (ours.height, ours.app_hash) == (theirs.height, theirs.app_hash)


def test_a_follower_comes_to_the_leaders_state_and_keeps_the_same_blocks(pair: Pair) -> None:
    pair.write(30)
    follower = pair.follow()
    assert until(lambda: is_level(pair, follower))
    pair.write(5)

    assert until(lambda: is_level(pair, follower))
    assert list(follower.read_blocks()) == list(pair.engine.read_blocks())
    assert follower.trouble is None


def test_a_follower_goes_on_where_it_stopped(pair: Pair) -> None:
    pair.write(3)
    follower = pair.follow()
    assert until(lambda: is_level(pair, follower))
    follower.close()
    pair.write(3)
    again = pair.follow()

    assert until(lambda: is_level(pair, again))


def test_a_silent_leader_is_named_and_followed_again_when_it_is_back(pair: Pair) -> None:
    pair.write(2)
    follower = pair.follow()
    assert until(lambda: is_level(pair, follower))
    pair.leader.is_silent = True
    assert until(lambda: follower.trouble is not None)
    assert follower.trouble is not None
    assert follower.trouble.reason is Reason.NODE_UNREACHABLE
    assert follower.snapshot().height == 2
    with pytest.raises(Refused) as refused:
        follower.submit(pair.town.write_anchors(follower, 1)[0])
    pair.leader.is_silent = False
    pair.write(1)

    assert refused.value.reason is Reason.NODE_UNREACHABLE
    assert until(lambda: is_level(pair, follower) and follower.trouble is None)


def sign_anew(pair: Pair, block: StoredBlock, **changes: object) -> StoredBlock:
    """Change a block's header and let the leader sign it."""
    header = read_header(block.header, orderer=pair.town.orderer.key_id)
    changed = msgspec.structs.replace(header, **changes)
    return msgspec.structs.replace(block, header=sign_header(changed, pair.town.orderer))


def test_a_rewritten_block_is_a_fork_with_evidence_that_anyone_can_check(pair: Pair) -> None:
    pair.write(4)
    follower = pair.follow()
    assert until(lambda: is_level(pair, follower))
    app_hash = follower.snapshot().app_hash
    pair.leader.tamper = lambda block: sign_anew(pair, block, time_ms=block.time_ms + 1)
    assert until(lambda: follower.trouble is not None)
    assert follower.trouble is not None
    assert follower.trouble.reason is Reason.LEDGER_FORKED

    fork = read_fork((pair.folder / FORK_FILE).read_bytes())

    assert check_fork(fork, pair.town.genesis) == 4
    assert follower.snapshot().app_hash == app_hash
    with pytest.raises(Refused, match="part at block 4") as refused:
        follower.submit(pair.town.write_anchors(follower, 1)[0])
    assert refused.value.reason is Reason.LEDGER_FORKED


def test_a_fork_is_remembered_over_a_restart_and_whatever_the_leader_says_then(pair: Pair) -> None:
    pair.write(2)
    follower = pair.follow()
    assert until(lambda: is_level(pair, follower))
    pair.leader.tamper = lambda block: sign_anew(pair, block, time_ms=block.time_ms + 1)
    assert until(lambda: follower.trouble is not None)
    follower.close()

    again = pair.follow()
    pair.write(1)
    time.sleep(0.3)

    assert again.trouble is not None
    assert again.trouble.reason is Reason.LEDGER_FORKED
    assert again.snapshot().height == 2


def test_a_next_block_that_follows_another_past_is_a_fork(pair: Pair) -> None:
    pair.write(3)
    follower = pair.follow()
    assert until(lambda: is_level(pair, follower))
    pair.leader.tamper = lambda block: sign_anew(pair, block, parent=pair.engine.network)
    pair.write(1)

    assert until(lambda: follower.trouble is not None)
    assert follower.trouble is not None
    assert (follower.trouble.reason, follower.snapshot().height) == (Reason.LEDGER_FORKED, 3)


def test_a_leader_that_lost_blocks_is_named_and_nothing_is_forgotten(pair: Pair, tmp_path: Path) -> None:
    pair.write(2)
    backup = tmp_path / "backup"
    backup.mkdir()
    pair.engine.close()
    for name in ("ledger.db",):
        shutil.copy(pair.town.folder / name, backup / name)
    pair.leader = LocalLeader(pair.town.open())
    pair.write(2)
    follower = pair.follow_again()
    assert until(lambda: is_level(pair, follower))
    pair.town.folder = backup
    pair.leader.engine = pair.town.open()

    assert until(lambda: "no longer has block 4" in str(follower.trouble))
    assert follower.snapshot().height == 4


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda block: msgspec.structs.replace(block, header=b"x"), "its header"),
        (lambda block: msgspec.structs.replace(block, leaves=()), "leaves"),
        (lambda block: msgspec.structs.replace(block, transactions=()), "its transactions"),
        (lambda block: msgspec.structs.replace(block, transactions=(b"{}",)), "transaction 0"),
        (lambda block: msgspec.structs.replace(block, first_leaf=7), "does not stand where"),
        (lambda block: msgspec.structs.replace(block, height=block.height + 1), "missing"),
    ],
)
def test_a_block_that_does_not_verify_is_named_and_never_kept(
    pair: Pair, spoil: Callable[[StoredBlock], StoredBlock], words: str
) -> None:
    pair.write(2)
    follower = pair.follow()
    assert until(lambda: is_level(pair, follower))
    pair.leader.tamper = spoil
    pair.write(1)
    assert until(lambda: follower.trouble is not None)
    assert follower.trouble is not None

    assert follower.trouble.reason is Reason.FAULT_FOUND
    assert words in str(follower.trouble)
    assert follower.snapshot().height == 2
    assert not (pair.folder / FORK_FILE).exists()
    pair.leader.tamper = lambda block: block
    assert until(lambda: is_level(pair, follower) and follower.trouble is None)


def test_a_leader_that_signs_a_wrong_result_is_named(pair: Pair) -> None:
    pair.write(1)
    follower = pair.follow()
    assert until(lambda: is_level(pair, follower))
    pair.leader.tamper = lambda block: sign_anew(pair, block, app_hash=pair.engine.network)
    pair.write(1)

    assert until(lambda: follower.trouble is not None)
    assert "its app hash is not that of state and log" in str(follower.trouble)
    assert follower.snapshot().height == 1


def test_submitting_to_a_follower_ends_when_its_own_copy_holds_it(pair: Pair) -> None:
    follower = pair.follow()

    for raw in pair.town.write_anchors(follower, 5):
        finality = await_finality(follower, raw)

        assert follower.snapshot().height >= finality.height


def test_what_the_leader_refuses_the_follower_refuses(pair: Pair) -> None:
    follower = pair.follow()
    finality = follower.submit(pair.town.write_refused(follower, 1)[0]).result(PATIENCE_S)

    assert finality.reason == Reason.UNKNOWN_CONSENT


def test_headers_that_agree_prove_no_fork(pair: Pair) -> None:
    pair.write(2)
    first, second = (block.header.decode() for block in pair.engine.read_blocks())

    for kept, shown in ((first, first), (first, second)):
        with pytest.raises(Refused, match="do not contradict"):
            check_fork(Fork(kept=kept, shown=shown), pair.town.genesis)


def test_evidence_that_is_spelled_otherwise_is_none() -> None:
    raw = encode_struct(Fork(kept="a", shown="b"))

    assert read_fork(raw) == Fork(kept="a", shown="b")
    for wrong in (b"", raw + b" ", raw[:-1], b" " * 20_000):
        with pytest.raises(Refused):
            read_fork(wrong)
