"""Key files: private, written once, read only when whole."""

from pathlib import Path

import pytest

from iamata.model.ids import encode_digest
from iamata.model.reasons import Reason, Refused
from iamata.node.keyfiles import read_key, write_key

SEED = bytes(range(32))


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "keys" / "signing.key"
    write_key(path, SEED)
    return path


def refuse(path: Path) -> Reason:
    with pytest.raises(Refused) as refusal:
        read_key(path)
    assert encode_digest(SEED)[:8] not in str(refusal.value)
    return refusal.value.reason


def test_a_key_is_read_as_it_was_written(key_file: Path) -> None:
    assert read_key(key_file) == SEED


def test_nobody_else_can_read_a_key_or_its_folder(key_file: Path) -> None:
    assert key_file.stat().st_mode & 0o777 == 0o600
    assert key_file.parent.stat().st_mode & 0o777 == 0o700


def test_a_key_is_never_overwritten(key_file: Path) -> None:
    with pytest.raises(Refused, match="HOME_ALREADY_EXISTS"):
        write_key(key_file, bytes(32))

    assert read_key(key_file) == SEED


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o660])
def test_a_key_that_others_can_open_is_refused(key_file: Path, mode: int) -> None:
    key_file.chmod(mode)

    assert refuse(key_file) is Reason.HOME_CORRUPT


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"short\n", b"\xff" * 44, encode_digest(SEED).encode() + b"\nmore", b"A" * 5_000],
)
def test_a_damaged_key_is_refused(key_file: Path, content: bytes) -> None:
    key_file.write_bytes(content)

    assert refuse(key_file) is Reason.HOME_CORRUPT


def test_each_flipped_bit_of_a_key_is_another_key_or_refused(key_file: Path) -> None:
    content = key_file.read_bytes()
    for bit in range(8 * len(content)):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        key_file.write_bytes(damaged)
        try:
            assert read_key(key_file) != SEED
        except Refused as refused:
            assert refused.reason is Reason.HOME_CORRUPT


def test_a_missing_key_is_not_found(tmp_path: Path) -> None:
    assert refuse(tmp_path / "signing.key") is Reason.HOME_NOT_FOUND


def test_a_folder_is_no_key(tmp_path: Path) -> None:
    assert refuse(tmp_path) is Reason.HOME_CORRUPT


def test_a_mounted_key_is_read_through_its_link(key_file: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.key"
    link.symlink_to(key_file)

    assert read_key(link) == SEED


def test_a_link_does_not_hide_that_others_can_read_the_key(key_file: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.key"
    link.symlink_to(key_file)
    key_file.chmod(0o644)

    assert refuse(link) is Reason.HOME_CORRUPT


def test_a_key_is_not_written_through_a_link(tmp_path: Path) -> None:
    link = tmp_path / "link.key"
    link.symlink_to(tmp_path / "elsewhere")

    with pytest.raises(Refused, match="HOME_ALREADY_EXISTS"):
        write_key(link, SEED)

    assert not (tmp_path / "elsewhere").exists()
