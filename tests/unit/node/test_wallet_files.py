"""A wallet's file: private, replaced whole, refused when it is not what was written."""

import resource
from pathlib import Path

import pytest

from iamata.ledger.entries import OwnerKind
from iamata.model.ids import MemberId, NetworkId, encode_digest
from iamata.model.reasons import Reason, Refused
from iamata.stores.wallets import WALLET_FILE, create_wallet, load_wallet, save_wallet
from iamata.workflows.wallets import Identity, Wallet, add_identity


@pytest.fixture
def wallet(tmp_path: Path) -> Wallet:
    identity = Identity(
        network=NetworkId(encode_digest(bytes(32))),
        kind=OwnerKind.PERSON,
        member=MemberId("north-hospital"),
        id="person",
        seed=encode_digest(bytes(range(32))),
    )
    made = add_identity(create_wallet(tmp_path), identity)
    save_wallet(tmp_path, made)
    return made


def refuse(folder: Path) -> Reason:
    with pytest.raises(Refused) as refusal:
        load_wallet(folder)
    assert encode_digest(bytes(range(32)))[:8] not in str(refusal.value)
    return refusal.value.reason


def test_a_wallet_is_read_as_it_was_saved(wallet: Wallet, tmp_path: Path) -> None:
    assert load_wallet(tmp_path) == wallet


def test_nobody_else_can_read_a_wallet(wallet: Wallet, tmp_path: Path) -> None:  # noqa: ARG001  it must be there
    assert (tmp_path / WALLET_FILE).stat().st_mode & 0o777 == 0o600


def test_saving_leaves_one_file(wallet: Wallet, tmp_path: Path) -> None:
    save_wallet(tmp_path, wallet)

    assert [path.name for path in tmp_path.iterdir()] == [WALLET_FILE]


def test_a_wallet_that_others_can_open_is_refused(wallet: Wallet, tmp_path: Path) -> None:  # noqa: ARG001  as above
    (tmp_path / WALLET_FILE).chmod(0o644)

    assert refuse(tmp_path) is Reason.CANNOT_OPEN


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"identities":[{}]}', b"[" * 100_000])
def test_a_damaged_wallet_is_refused(wallet: Wallet, tmp_path: Path, content: bytes) -> None:  # noqa: ARG001  as above
    (tmp_path / WALLET_FILE).write_bytes(content)

    assert refuse(tmp_path) is Reason.CANNOT_OPEN


def test_another_spelling_of_a_wallet_is_refused(wallet: Wallet, tmp_path: Path) -> None:  # noqa: ARG001  as above
    path = tmp_path / WALLET_FILE
    path.write_bytes(path.read_bytes() + b"\n")

    assert refuse(tmp_path) is Reason.CANNOT_OPEN


def test_a_wallet_that_is_nowhere_is_not_found(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    assert refuse(tmp_path / "nowhere") is Reason.WALLET_NOT_FOUND
    assert refuse(tmp_path / "file") is Reason.WALLET_NOT_FOUND


def test_a_second_wallet_in_one_folder_is_refused(wallet: Wallet, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="WALLET_ALREADY_EXISTS"):
        create_wallet(tmp_path)

    assert load_wallet(tmp_path) == wallet


def test_a_full_disk_keeps_the_wallet_that_was_there(wallet: Wallet, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, hard))
    try:
        with pytest.raises(Refused, match="STORAGE_FULL"):
            save_wallet(tmp_path, wallet)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert load_wallet(tmp_path) == wallet
    assert [path.name for path in tmp_path.iterdir()] == [WALLET_FILE]
