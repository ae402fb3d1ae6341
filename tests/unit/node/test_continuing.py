"""A network goes on in new homes with all that it had, or nothing is left behind (LED-SUC)."""

import contextlib
import shutil
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from iamata.engines.keeping.lock import LedgerLock
from iamata.ledger.entries import OwnerKind
from iamata.ledger.genesis import compute_network_id, get_first_height
from iamata.ledger.receipts import check_growth, check_receipt
from iamata.ledger.transactions.access import AnchorReads
from iamata.model.ids import ConsentId, MemberId, encode_digest
from iamata.model.instants import Instant
from iamata.model.reasons import Reason, Refused
from iamata.node import following
from iamata.node.consensus_keys import find_key
from iamata.node.continued import CONTINUED_FILE
from iamata.node.continuing import continue_as_validators, hold_network
from iamata.node.exporting import export_home
from iamata.node.following import follow_in_home
from iamata.node.home import GENESIS_FILE, LEDGER_FOLDER, load_genesis, open_home
from iamata.node.lineage import PREDECESSORS_FILE
from iamata.node.verification import HomeReport, verify_export, verify_home
from iamata.stores.outboxes import load_outbox, save_outbox
from iamata.stores.wallets import load_wallet
from iamata.testing.successors import go_on
from iamata.workflows.outbox import ActId, LiftAct, Outbox, Waiting

MEMBERS: Final = ("lake-hospital", "north-hospital", "regulator", "south-hospital")
LEADER: Final = "north-hospital"


def read_tree(folder: Path) -> dict[str, bytes]:
    return {str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*") if one.is_file()}


def verify(home: Path) -> HomeReport:
    return verify_home(home, tell=lambda _: None)


def refuse(source: Path, target: Path, **options: Any) -> Refused:
    with pytest.raises(Refused) as refused:
        go_on(source, target, **options)
    return refused.value


def test_every_member_has_a_home_that_verifies_with_all_that_the_old_one_held(continued: Path) -> None:
    old = verify(continued / "old")
    for member in MEMBERS:
        report = verify(continued / "net" / member)
        assert report.ledger.blocks == old.ledger.blocks + 1
        assert report.ledger.transactions == old.ledger.transactions
        assert report.ledger.app_hash == old.ledger.app_hash
        (ours,) = report.members
        assert ours in old.members


def test_the_network_goes_on_where_it_was_and_takes_nothing_in_twice(told: Path, net: Path) -> None:
    """LED-SUC-5, LED-SUC-6."""
    with open_home(shutil.copytree(told, net / "old")) as old:
        signed = [raw for block in old.engine.read_blocks() for raw in block.transactions]
    with open_home(net / LEADER) as home:
        author, before = home.get_office(LEADER).author, home.engine.snapshot()
        assert before.height == get_first_height(home.engine.genesis)

        done = author.submit(AnchorReads, anchor=author.make_id(), root=encode_digest(bytes(32)), count=1)

        assert (done.height, done.index) == (before.height + 1, before.log_size)
        for raw in signed:
            with pytest.raises(Refused) as refused:
                home.engine.submit(raw).result()
            assert refused.value.reason is Reason.FOREIGN_NETWORK


def test_old_leaves_are_proven_under_the_new_genesis_and_the_log_only_grew(
    told: Path, net: Path, tmp_path: Path
) -> None:
    """LED-SUC-8."""
    before = shutil.copytree(told, tmp_path / "before")
    with open_home(before) as old:
        first, earlier = old.engine.genesis, old.engine.snapshot().prove_leaf(0).checkpoint
    with open_home(net / LEADER) as home:
        view, genesis = home.engine.snapshot(), home.engine.genesis

        for index in range(earlier.log_size):
            check_receipt(view.prove_leaf(index), genesis)
        check_growth(view.prove_growth(earlier.log_size), earlier, genesis, before=first)

        with pytest.raises(Refused):
            check_growth(view.prove_growth(earlier.log_size - 1), earlier, genesis, before=first)


def test_the_old_home_is_marked_and_still_verifies(continued: Path) -> None:
    with pytest.raises(Refused) as refused, open_home(continued / "old"):
        pass

    assert refused.value.reason is Reason.NETWORK_CONTINUED
    assert compute_network_id(load_genesis(continued / "net" / LEADER)) in refused.value.detail
    verify(continued / "old")
    again = refuse(continued / "old", continued / "again")
    assert again.reason is Reason.NETWORK_CONTINUED


def test_wallets_in_the_home_go_on_with_their_keys(told: Path, continued: Path) -> None:
    network = compute_network_id(load_genesis(continued / "net" / LEADER))
    wallets = {path.name: path for path in (continued / "net").glob("*/wallets/*")}

    assert set(wallets) == {path.name for path in (told / "wallets").iterdir()}
    for name, path in wallets.items():
        before, after = load_wallet(told / "wallets" / name), load_wallet(path)
        assert {one.network for one in after.identities} == {network}
        assert [one.seed for one in after.identities] == [one.seed for one in before.identities]
        assert after.kept == before.kept


def test_a_wallet_elsewhere_follows_in_a_home(told: Path, continued: Path, tmp_path: Path) -> None:
    wallet = shutil.copytree(told / "wallets" / "patient", tmp_path / "patient")

    (followed,) = follow_in_home(continued / "net" / LEADER, wallet)

    assert followed.before == compute_network_id(load_genesis(told))
    assert {one.network for one in load_wallet(wallet).identities} == {followed.after}
    assert all(one.kind is OwnerKind.PATIENT for one in load_wallet(wallet).identities)
    assert follow_in_home(continued / "net" / LEADER, wallet) == []


def test_a_wallet_that_broke_off_follows_whole_when_asked_again(
    told: Path, continued: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wallet, home = shutil.copytree(told / "wallets" / "patient", tmp_path / "patient"), continued / "net"
    identity = load_wallet(wallet).identities[0]
    waiting = Waiting(
        id=ActId(identity.id),
        network=identity.network,
        member=identity.member,
        due_ms=Instant(0),
        act=LiftAct(consent=ConsentId(identity.id), restrictions=()),
    )
    save_outbox(wallet, Outbox(waiting=(waiting,)))

    def break_off(*_: object) -> None:
        raise OSError

    for name in ("save_wallet", "save_outbox"):  # whichever of them comes second
        with monkeypatch.context() as patched, contextlib.suppress(OSError):
            patched.setattr(following, name, break_off)
            follow_in_home(home / LEADER, wallet)
    follow_in_home(home / LEADER, wallet)

    network = compute_network_id(load_genesis(home / LEADER))
    assert {one.network for one in load_wallet(wallet).identities} == {network}
    assert [one.network for one in load_outbox(wallet).waiting] == [network]


def test_a_network_goes_on_more_than_once_and_loses_a_home_that_is_named(net: Path, tmp_path: Path) -> None:
    shutil.rmtree(net / LEADER)
    missing = refuse(net, tmp_path / "next")
    assert (missing.reason, LEADER in missing.detail) == (Reason.HOME_NOT_FOUND, True)

    genesis = go_on(net, tmp_path / "next", without=(LEADER,))

    assert len(genesis.agreements) == len(MEMBERS) - 1
    report = verify(tmp_path / "next" / "lake-hospital")
    assert report.genesis == genesis
    with open_home(tmp_path / "next" / "lake-hospital") as home:
        export_home(home, tmp_path / "export")
    exported = verify_export(tmp_path / "export", genesis=genesis, tell=lambda _: None)
    assert exported.ledger.app_hash == report.ledger.app_hash


def test_without_the_members_that_decide_nothing_goes_on(net: Path, tmp_path: Path) -> None:
    lost = MEMBERS[:2]
    for member in lost:
        shutil.rmtree(net / member)

    assert refuse(net, tmp_path / "next", without=lost).reason is Reason.NOT_AGREED
    assert not any((tmp_path / "next").glob("*"))
    assert not any(net.glob(f"*/{CONTINUED_FILE}"))


@pytest.mark.parametrize("name", ["nobody", LEADER])
def test_only_a_lost_member_is_left_out(net: Path, tmp_path: Path, name: str) -> None:
    assert refuse(net, tmp_path / "next", without=(name,)).reason is Reason.INPUT_INVALID


def test_a_home_in_use_goes_on_nowhere(net: Path, tmp_path: Path) -> None:
    lock = LedgerLock(net / "regulator" / LEDGER_FOLDER)
    with contextlib.ExitStack() as held:
        held.callback(lock.release)
        assert refuse(net, tmp_path / "next").reason is Reason.HOME_IN_USE
    assert not (tmp_path / "next").exists()


def test_a_home_with_a_fault_goes_on_nowhere(home: Path, tmp_path: Path) -> None:
    stored = home / LEDGER_FOLDER / "ledger.db"
    raw = bytearray(stored.read_bytes())
    place = raw.index(b"member.admitted" if b"member.admitted" in raw else b"record")
    raw[place] ^= 1
    stored.write_bytes(raw)

    assert refuse(home, tmp_path / "next").reason is Reason.FAULT_FOUND
    assert not (tmp_path / "next").exists()


def test_where_something_is_already_nothing_is_written(home: Path, tmp_path: Path) -> None:
    (tmp_path / "next").mkdir()
    (tmp_path / "next" / "file").touch()

    assert refuse(home, tmp_path / "next").reason is Reason.HOME_ALREADY_EXISTS
    assert not (home / CONTINUED_FILE).exists()


def test_a_member_that_is_not_there_orders_nothing(home: Path, tmp_path: Path) -> None:
    assert refuse(home, tmp_path / "next", orderer=MemberId("nobody")).reason is Reason.UNKNOWN_MEMBER
    assert not (home / CONTINUED_FILE).exists()


def test_homes_of_two_networks_are_not_joined(net: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    go_on(net, other)
    shutil.copytree(net / "regulator", other / "stranger")
    (other / "stranger" / CONTINUED_FILE).unlink()

    assert refuse(other, tmp_path / "next").reason is Reason.FOREIGN_NETWORK


def test_a_failure_leaves_no_new_home_and_no_mark(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("iamata.node.continuing.mark_continued", fail)
    before = read_tree(home)

    assert refuse(home, tmp_path / "next").reason is Reason.STORAGE_FULL
    assert list((tmp_path / "next").iterdir()) == []
    assert read_tree(home) == before


@pytest.mark.parametrize("where", ["network", "app_hash", "signature", "proof", "gone"])
def test_a_changed_byte_in_what_came_before_is_found(net: Path, where: str) -> None:
    home = net / LEADER
    path = home / PREDECESSORS_FILE
    raw = path.read_bytes()
    places = {
        "network": b'"name":"',
        "app_hash": b'"log_root":"',
        "signature": b'"header":"',
        "proof": b'"state_root":"',
    }
    if where == "gone":
        path.unlink()
    else:
        place = raw.index(places[where]) + len(places[where])
        path.write_bytes(
            raw[:place] + (b"A" if raw[place : place + 1] != b"A" else b"B") + raw[place + 1 :]
        )

    with pytest.raises(Refused) as refused:
        verify(home)

    assert refused.value.reason is Reason.FAULT_FOUND
    assert PREDECESSORS_FILE in refused.value.detail


def test_an_export_tells_the_whole_history_and_another_genesis_is_found(net: Path, tmp_path: Path) -> None:
    with open_home(net / LEADER) as home:
        blocks = export_home(home, tmp_path / "export")
    report = verify_export(tmp_path / "export", genesis=load_genesis(net / LEADER), tell=lambda _: None)
    assert report.ledger.blocks == blocks
    newest, first, *rest = (tmp_path / "export").read_bytes().splitlines(keepends=True)
    wrong = {
        "without the first": (newest, *rest),
        "the other way round": (first, newest, *rest),
        "cut before it goes on": (newest, first, *rest[:-2]),
        "another name": (newest, first.replace(b'"name":"', b'"name":"X', 1), *rest),
    }
    for what, lines in wrong.items():
        path = tmp_path / what
        path.write_bytes(b"".join(lines))
        with pytest.raises(Refused) as refused:
            verify_export(path, genesis=None, tell=lambda _: None)
        assert refused.value.reason is Reason.FAULT_FOUND, what


def test_a_home_without_the_blocks_of_before_is_not_opened(net: Path) -> None:
    (net / LEADER / LEDGER_FOLDER / "ledger.db").write_bytes(b"")
    (net / "regulator" / LEDGER_FOLDER / "ledger.db").write_bytes(b"")
    for member in (LEADER, "regulator"):
        with pytest.raises(Refused) as refused, open_home(net / member):
            pass
        assert refused.value.reason is Reason.HOME_CORRUPT


def test_validators_begin_where_one_signer_ends(home: Path, tmp_path: Path) -> None:
    """LED-SUC-9."""
    with hold_network(home, tmp_path / "net", tell=lambda _: None) as old:
        genesis = continue_as_validators(old, tmp_path / "net", first_port=9400)

    assert [one.member for one in genesis.validators] == list(MEMBERS)
    for member in MEMBERS:
        place = tmp_path / "net" / member
        report = verify(place)
        assert report.votes is not None
        assert report.ledger.blocks == get_first_height(genesis) - 1
        assert find_key(place) == next(one.key for one in genesis.validators if one.member == member)
        said = msgspec.json.decode((place / "comet/config" / GENESIS_FILE).read_bytes())
        assert said["initial_height"] == str(get_first_height(genesis))
