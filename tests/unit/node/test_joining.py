"""Who joins believes no introduction that votes do not show, and is left with a whole home or none."""

import os
import time
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from iamata.crypto.ed25519 import SigningKey
from iamata.engines.keeping.commits import CommitFile
from iamata.ledger.entries import MemberKind
from iamata.ledger.light.blocks import order_validators
from iamata.ledger.light.verifying import TRUST_MS, trust_genesis
from iamata.model.canonical import encode_struct
from iamata.model.ids import InvitationId, MemberId, NetworkId, compute_random_id, encode_digest
from iamata.model.reasons import Reason, Refused
from iamata.node.comet_home import COMET_FOLDER, CONFIG_FOLDER, SETTINGS_FILE, NamedPeers, draw_ports
from iamata.node.introducing import write_introduction
from iamata.node.introduction import Introduction, check_introduction, read_introduction
from iamata.node.joining import Listening, join
from iamata.node.letting_in import change_peers, find_own_peer
from iamata.node.membership import InvitationFile
from iamata.node.validators import create_validator_homes
from iamata.testing.lights import make_light, sign_light
from iamata.testing.validators import found_validators

SEEDS: Final = [bytes([number]) * 32 for number in range(1, 5)]
GENESIS: Final = found_validators(["alpha", "beta", "delta", "gamma"], SEEDS)
KEYS: Final = {key.key_id: key for key in map(SigningKey.from_seed, SEEDS)}
PEER: Final = f"{'0f' * 20}@10.0.0.7:26656"
LISTENING: Final = Listening(host="127.0.0.1", port=8100)


def introduce(**changes: Any) -> Introduction:
    """Write an introduction as a member would, to a node that does not answer."""
    validators = order_validators(GENESIS.validators)
    light = make_light(trust_genesis(GENESIS), validators, [KEYS[one.key] for one in validators], height=7)
    introduction = Introduction(
        genesis=GENESIS,
        introducer=MemberId("alpha"),
        nodes={MemberId("alpha"): f"http://127.0.0.1:{draw_ports(1)[0]}"},
        peers=(PEER,),
        rpc="127.0.0.1:26657",
        trusted=light,
        steps=(),
    )
    return msgspec.structs.replace(introduction, **changes)


def write_papers(
    folder: Path, introduction: Introduction, *, network: NetworkId | None = None
) -> list[Path]:
    """Write both files that a newcomer is handed."""
    offer = InvitationFile(
        network=network or introduction.network,
        invitation=InvitationId(compute_random_id(bytes(16))),
        member=MemberId("hill"),
        seed=encode_digest(os.urandom(32)),
    )
    papers = [folder / "invitation.json", folder / "introduction.json"]
    for path, content in zip(papers, (offer, introduction), strict=True):
        path.write_bytes(encode_struct(content))
    return papers


def refuse(folder: Path, introduction: Introduction, **options: Any) -> Reason:
    """Try to join, and see that nothing was written."""
    invitation, paper = write_papers(folder, introduction, **options)
    with pytest.raises(Refused) as refused:
        join(folder / "home", invitation, paper, LISTENING)
    assert not (folder / "home").exists()
    return refused.value.reason


def test_an_introduction_is_believed_that_follows_from_its_genesis() -> None:
    introduction = introduce()

    check_introduction(introduction, network=introduction.network, now_ms=time.time_ns() // 1_000_000)
    assert introduction.describe_sync().trust_height == 7
    assert introduction.describe_sync().trust_hash == introduction.hash


def test_another_networks_introduction_is_refused(tmp_path: Path) -> None:
    other = NetworkId(encode_digest(bytes(32)))

    assert refuse(tmp_path, introduce(), network=other) is Reason.FOREIGN_NETWORK


def test_a_genesis_of_somebody_else_is_refused(tmp_path: Path) -> None:
    fresh = msgspec.structs.replace(GENESIS, name="Another")

    assert refuse(tmp_path, introduce(genesis=fresh), network=introduce().network) is Reason.FOREIGN_NETWORK


def test_a_trusted_header_that_validators_did_not_sign_is_refused(tmp_path: Path) -> None:
    light = introduce().trusted
    header = msgspec.structs.replace(light.header, app_hash=encode_digest(b"\7" * 32))
    changed = msgspec.structs.replace(light, header=header)
    strangers = [SigningKey.from_seed(bytes([number]) * 32) for number in range(9, 13)]

    assert refuse(tmp_path, introduce(trusted=changed)) is Reason.BAD_SIGNATURE
    assert refuse(tmp_path, introduce(trusted=sign_light(changed, strangers))) is Reason.BAD_SIGNATURE
    unsigned = msgspec.structs.replace(light, votes=(None, None, *light.votes[2:]))
    assert refuse(tmp_path, introduce(trusted=unsigned)) is Reason.FAULT_FOUND


def test_an_old_introduction_is_refused() -> None:
    introduction = introduce()
    late_ms = introduction.trusted.header.time.ms + TRUST_MS + 1

    with pytest.raises(Refused) as refused:
        check_introduction(introduction, network=introduction.network, now_ms=late_ms)
    assert refused.value.reason is Reason.EXPIRED


def test_an_introducer_who_does_not_answer_leaves_no_home(tmp_path: Path) -> None:
    assert refuse(tmp_path, introduce()) is Reason.NODE_UNREACHABLE


def test_what_would_end_a_line_of_the_settings_is_no_peer(tmp_path: Path) -> None:
    for peer in (f'{PEER}"\nrpc = "', "0f@10.0.0.7:1", PEER.upper(), f"{PEER},{PEER}"):
        assert refuse(tmp_path, introduce(peers=(peer,))) is Reason.INPUT_INVALID


def test_a_file_that_is_no_introduction_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "introduction.json"
    with pytest.raises(Refused) as missing:
        read_introduction(path)
    path.write_bytes(b"{}")
    with pytest.raises(Refused) as empty:
        read_introduction(path)

    assert (missing.value.reason, empty.value.reason) == (Reason.FILE_NOT_FOUND, Reason.INPUT_INVALID)


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path, network: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter").write_text("mine")
    invitation, paper = write_papers(tmp_path, introduce())

    for home in (tmp_path / "full", network / "alpha"):
        before = {path: path.stat().st_mtime_ns for path in home.rglob("*")}
        with pytest.raises(Refused) as refused:
            join(home, invitation, paper, LISTENING)
        assert refused.value.reason is Reason.HOME_ALREADY_EXISTS
        assert {path: path.stat().st_mtime_ns for path in home.rglob("*")} == before


@pytest.fixture
def network(tmp_path: Path) -> Path:
    founders = [(MemberId(one), one.title(), MemberKind.HOSPITAL) for one in ("alpha", "beta")]
    create_validator_homes(tmp_path / "net", "Net", founders)
    return tmp_path / "net"


def test_a_peer_is_let_in_and_shut_out_at_once(network: Path) -> None:
    home = network / "alpha"
    named, known = NamedPeers(home / COMET_FOLDER), find_own_peer(network / "beta")

    assert change_peers(home, add=[PEER]) == sorted([PEER, known])
    assert "0f" * 20 in named
    assert change_peers(home, remove=["0f" * 20]) == [known]
    assert "0f" * 20 not in named
    assert change_peers(home) == [known]


def test_letting_in_changes_no_other_line(network: Path) -> None:
    settings = network / "alpha" / COMET_FOLDER / CONFIG_FOLDER / SETTINGS_FILE
    before = settings.read_text().splitlines()
    change_peers(network / "alpha", add=[PEER])
    changed = {
        line.partition(" ")[0]
        for line, old in zip(settings.read_text().splitlines(), before, strict=True)
        if line != old
    }

    assert changed == {"persistent_peers", "private_peer_ids", "unconditional_peer_ids"}


def test_whom_to_let_in_must_be_said_rightly(network: Path) -> None:
    home = network / "alpha"
    own = find_own_peer(home)
    wrong: tuple[tuple[dict[str, list[str]], Reason], ...] = (
        ({"add": ["somebody"]}, Reason.INPUT_INVALID),
        ({"add": [own]}, Reason.INPUT_INVALID),
        ({"remove": ["0f" * 20]}, Reason.NOT_FOUND),
    )

    for changes, reason in wrong:
        with pytest.raises(Refused) as refused:
            change_peers(home, **changes)
        assert refused.value.reason is reason


def test_a_ledger_without_blocks_introduces_nobody(network: Path, tmp_path: Path) -> None:
    CommitFile(network / "alpha" / "ledger", is_writer=True).close()

    with pytest.raises(Refused) as refused:
        write_introduction(network / "alpha", tmp_path / "introduction.json")
    assert refused.value.reason is Reason.NOT_FOUND
    assert not (tmp_path / "introduction.json").exists()
