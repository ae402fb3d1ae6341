"""A node's settings: what is written is read again, what is damaged or senseless is refused."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from iamata.ledger.entries import MemberKind
from iamata.ledger.receipts import Checkpoint
from iamata.model.ids import Digest, MemberId
from iamata.model.reasons import Reason, Refused
from iamata.node.configuration import (
    NODE_FILE,
    Configuration,
    Follower,
    Tls,
    read_configuration,
    write_configuration,
)
from iamata.node.home import create_home
from iamata.node.network import create_node_homes
from iamata.node.serving import list_names, serve_home
from iamata.stores.checkpoints import CHECKPOINTS_FILE, CheckpointFile

FULL = Configuration(
    engine=Follower(leader="https://node.north.example"),
    host="0.0.0.0",  # noqa: S104  everywhere is what is tried here
    port=443,
    tls=Tls(certificate="c.pem", key="k.pem"),
    names=("node.south.example",),
    authorities="ca.pem",
    peers={MemberId("north"): "https://node.north.example"},
)
CHECKPOINT = Checkpoint(
    header="a.b.c", state_root=Digest("A" * 43), log_root=Digest("B" * 42 + "A"), log_size=7
)
FOUNDERS = [(MemberId(one), one.title(), MemberKind.HOSPITAL) for one in ("north", "south")]


def refuse(path: Path) -> Reason:
    with pytest.raises(Refused) as caught:
        read_configuration(path)
    return caught.value.reason


@pytest.mark.parametrize("configuration", [Configuration(), FULL])
def test_what_is_written_is_read_again(tmp_path: Path, configuration: Configuration) -> None:
    write_configuration(tmp_path, configuration)
    write_configuration(tmp_path, configuration)

    assert read_configuration(tmp_path) == configuration
    assert (tmp_path / NODE_FILE).stat().st_mode & 0o777 == 0o600
    assert [one.name for one in tmp_path.iterdir()] == [NODE_FILE]


@pytest.mark.parametrize("blocks", [-1, 1, 9])
def test_cometbft_keeps_all_blocks_or_enough_of_them(tmp_path: Path, blocks: int) -> None:
    engine = {"kind": "comet", "rpc": "127.0.0.1:1", "p2p": "127.0.0.1:2", "blocks_kept": blocks}
    (tmp_path / NODE_FILE).write_text(json.dumps({"engine": engine}))

    assert refuse(tmp_path) is Reason.INPUT_INVALID


def test_without_a_file_a_node_serves_this_machine(tmp_path: Path) -> None:
    assert read_configuration(tmp_path) == Configuration()
    assert Configuration().host == "127.0.0.1"


@pytest.mark.parametrize(
    "content",
    [
        {"port": -1},
        {"port": 65_536},
        {"port": "8100"},
        {"colour": "blue"},
        {"engine": {"kind": "magic"}},
        {"engine": {"kind": "follower"}},
        {"engine": {"kind": "follower", "leader": "http://192.0.2.1"}},
        {"peers": {"north": "nowhere"}},
        {"peers": {"North!": "https://north.example"}},
        {"tls": {"certificate": "c.pem"}},
        [],
        None,
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, content: Any) -> None:
    (tmp_path / NODE_FILE).write_text(json.dumps(content), encoding="utf-8")

    assert refuse(tmp_path) is Reason.INPUT_INVALID


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    for content in (b"", b"{", b"\xff", b"[" * 10_000):
        (tmp_path / NODE_FILE).write_bytes(content)
        assert refuse(tmp_path) is Reason.INPUT_INVALID
    (tmp_path / NODE_FILE).write_bytes(b" " * 65_537)
    assert refuse(tmp_path) is Reason.INPUT_TOO_LARGE


@pytest.mark.parametrize(
    ("url", "names"),
    [
        ("http://127.0.0.1:8100", ("127.0.0.1:8100", "localhost:8100")),
        ("https://192.0.2.1:8443", ("192.0.2.1:8443",)),
        ("https://192.0.2.1:443", ("192.0.2.1",)),
        ("http://[::1]:8100", ("[::1]:8100", "localhost:8100")),
    ],
)
def test_a_node_answers_to_the_names_of_its_address(url: str, names: tuple[str, ...]) -> None:
    assert list_names(url) == names


def test_each_member_gets_a_home_that_knows_the_others(tmp_path: Path) -> None:
    create_node_homes(tmp_path / "net", "two", FOUNDERS, first_port=9_000)
    north, south = (read_configuration(tmp_path / "net" / one) for one in ("north", "south"))

    assert south.engine == Follower(leader="http://127.0.0.1:9000")
    assert (north.peers, south.peers) == (
        {"south": "http://127.0.0.1:9001"},
        {"north": "http://127.0.0.1:9000"},
    )
    assert not (tmp_path / "net" / "south" / "ledger" / "orderer.key").exists()


def test_a_network_that_cannot_be_founded_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(Refused):
        create_node_homes(tmp_path / "net", "two", [FOUNDERS[0], FOUNDERS[0]])

    assert not (tmp_path / "net").exists()


def test_of_several_members_one_must_be_chosen(tmp_path: Path) -> None:
    create_home(tmp_path / "home", "two", FOUNDERS)
    write_configuration(tmp_path / "home", Configuration(port=0))

    with pytest.raises(Refused) as caught:
        serve_home(tmp_path / "home", member=None, on_ready=lambda _: None)

    assert caught.value.reason is Reason.INPUT_INVALID
    assert "north, south" in caught.value.detail


def test_a_certificate_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    create_home(tmp_path / "home", "one", FOUNDERS[:1])
    tls = Tls(certificate="missing.pem", key="missing.key")
    write_configuration(tmp_path / "home", Configuration(port=0, tls=tls))

    with pytest.raises(Refused) as caught:
        serve_home(tmp_path / "home", member=None, on_ready=lambda _: None)

    assert caught.value.reason is Reason.INPUT_INVALID


def test_the_last_checkpoint_of_each_node_is_kept(tmp_path: Path) -> None:
    file = CheckpointFile(tmp_path)
    assert file.find("north") is None

    later = msgspec.structs.replace(CHECKPOINT, log_size=9)
    file.keep("north", CHECKPOINT)
    file.keep("south", CHECKPOINT)
    file.keep("north", later)

    again = CheckpointFile(tmp_path)
    assert (again.find("north"), again.find("south")) == (later, CHECKPOINT)
    assert (tmp_path / CHECKPOINTS_FILE).stat().st_mode & 0o777 == 0o600


def test_damaged_checkpoints_are_refused(tmp_path: Path) -> None:
    (tmp_path / CHECKPOINTS_FILE).write_bytes(b'{"checked": 1}')

    with pytest.raises(Refused) as caught:
        CheckpointFile(tmp_path).find("north")

    assert caught.value.reason is Reason.HOME_CORRUPT
