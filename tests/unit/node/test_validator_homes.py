"""A network of validators is founded whole or not at all; its keys are their owners' alone."""

import base64
import hashlib
import json
import stat
import tomllib
from pathlib import Path
from typing import Any, Final

import pytest

from iamata.crypto.ed25519 import SigningKey
from iamata.engines.keeping.lock import LedgerLock
from iamata.ledger.entries import MemberKind
from iamata.ledger.genesis import compute_network_id
from iamata.ledger.misbehaviour import compute_address
from iamata.model.ids import MemberId
from iamata.model.reasons import Reason, Refused
from iamata.node import validators
from iamata.node.comet_home import COMET_FOLDER, CONFIG_FOLDER, read_peers
from iamata.node.configuration import Comet, read_configuration
from iamata.node.consensus_keys import change_key, draw_next_key, find_key
from iamata.node.home import LEDGER_FOLDER, load_genesis
from iamata.node.validators import create_validator_homes

MEMBERS: Final = tuple(
    (MemberId(one), one.title(), MemberKind.HOSPITAL) for one in ("zeta", "alpha", "beta", "gamma")
)


@pytest.fixture
def network(tmp_path: Path) -> Path:
    create_validator_homes(tmp_path / "net", "Net", MEMBERS, timeout_commit_ms=250)
    return tmp_path / "net"


def read_json(home: Path, name: str) -> Any:
    return json.loads((home / COMET_FOLDER / CONFIG_FOLDER / name).read_text())


def read_settings(home: Path) -> dict[str, Any]:
    return tomllib.loads((home / COMET_FOLDER / CONFIG_FOLDER / "config.toml").read_text())


def test_every_home_has_one_genesis_and_its_own_key(network: Path) -> None:
    geneses = {load_genesis(network / member) for member, _, _ in MEMBERS}
    keys = {member: find_key(network / member) for member, _, _ in MEMBERS}

    (genesis,) = geneses
    assert {one.member: one.key for one in genesis.validators} == keys
    assert [one.member for one in genesis.validators] == sorted(keys)
    for member in keys:
        said = read_json(network / member, "genesis.json")
        assert said["chain_id"] == compute_network_id(genesis)
        assert len(said["validators"]) == len(MEMBERS)
        assert said["app_hash"] == ""


def test_each_home_knows_the_others_as_peers_and_nobody_else(network: Path) -> None:
    ids = {}
    for member, _, _ in MEMBERS:
        seed = base64.b64decode(read_json(network / member, "node_key.json")["priv_key"]["value"])[:32]
        ids[member] = compute_address(SigningKey.from_seed(seed).key_id).hex()

    for member, _, _ in MEMBERS:
        assert read_settings(network / member)["filter_peers"] is True
        assert read_peers(network / member / COMET_FOLDER) == set(ids.values()) - {ids[member]}


def test_settings_that_cannot_be_read_are_refused(network: Path) -> None:
    comet = network / "alpha" / COMET_FOLDER
    for content in (b"[p2p", b"p2p = 1", b"[p2p]\xff"):
        (comet / CONFIG_FOLDER / "config.toml").write_bytes(content)
        with pytest.raises(Refused) as refused:
            read_peers(comet)
        assert refused.value.reason is Reason.HOME_CORRUPT


def test_secrets_are_readable_by_their_owner_alone(network: Path) -> None:
    for member, _, _ in MEMBERS:
        for path in (network / member / COMET_FOLDER).rglob("*"):
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_peers_know_each_other_and_nobody_else(network: Path) -> None:
    settings = {member: read_settings(network / member) for member, _, _ in MEMBERS}
    addresses = [one["p2p"]["laddr"].removeprefix("tcp://") for one in settings.values()]

    for member, one in settings.items():
        peers = one["p2p"]["persistent_peers"].split(",")
        own = one["p2p"]["laddr"].removeprefix("tcp://")
        assert sorted(peer.partition("@")[2] for peer in peers) == sorted(set(addresses) - {own})
        assert (one["p2p"]["pex"], one["p2p"]["addr_book_strict"]) == (False, False)
        assert one["rpc"]["laddr"].startswith("tcp://127.")
        assert one["consensus"]["create_empty_blocks"] is False
        assert one["consensus"]["timeout_commit"] == "250ms"
        engine = read_configuration(network / member).engine
        assert isinstance(engine, Comet)
        assert one["proxy_app"] == f"unix://{engine.application}"


def test_nothing_is_left_where_founding_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise Refused(Reason.STORAGE_FULL, "the disk")

    monkeypatch.setattr(validators, "write_comet_folder", fail)

    with pytest.raises(Refused, match="the disk"):
        create_validator_homes(tmp_path / "net", "Net", MEMBERS)
    assert list((tmp_path / "net").iterdir()) == []


def test_a_key_is_changed_in_two_steps(network: Path) -> None:
    home = network / "alpha"
    old = find_key(home)

    drawn = draw_next_key(home)
    assert draw_next_key(home) == drawn != old
    assert find_key(home) == old

    assert change_key(home) == drawn == find_key(home)
    with pytest.raises(Refused, match="no next key"):
        change_key(home)


def test_a_key_is_not_changed_under_a_running_node(network: Path) -> None:
    home = network / "alpha"
    draw_next_key(home)
    lock = LedgerLock(home / LEDGER_FOLDER)

    with pytest.raises(Refused) as refused:
        change_key(home)
    lock.release()
    assert refused.value.reason is Reason.HOME_IN_USE


def test_a_damaged_key_file_is_named_without_its_content(network: Path) -> None:
    path = network / "alpha" / COMET_FOLDER / CONFIG_FOLDER / "priv_validator_key.json"
    secret = json.loads(path.read_text())["priv_key"]["value"]
    path.write_text(path.read_text().replace(secret, secret[:-8]))

    with pytest.raises(Refused) as refused:
        find_key(network / "alpha")
    assert refused.value.reason is Reason.HOME_CORRUPT
    assert secret[:8] not in str(refused.value)


def test_a_node_key_names_its_node_as_its_peers_do(network: Path) -> None:

    secret = base64.b64decode(read_json(network / "alpha", "node_key.json")["priv_key"]["value"])
    name = hashlib.sha256(secret[32:]).hexdigest()[:40]

    assert SigningKey.from_seed(secret[:32]).sign(b"x")
    assert f"{name}@" in read_settings(network / "beta")["p2p"]["persistent_peers"]
