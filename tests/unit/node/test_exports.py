"""An export: one file for an outsider, in which every changed byte is found and named."""

import random
import resource
from pathlib import Path

import msgspec
import pytest

from iamata.model.reasons import Reason, Refused
from iamata.node.exports import write_export
from iamata.node.home import load_genesis, open_home
from iamata.node.verification import HomeReport, verify_export

FLIPS = 120


@pytest.fixture(scope="module")
def export(told: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("export") / "ledger.export"
    with open_home(told) as home:
        write_export(path, home.engine.genesis, home.engine.read_blocks())
    return path


def verify(path: Path) -> HomeReport:
    return verify_export(path, genesis=None, tell=lambda _: None)


def find_fault(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    with pytest.raises(Refused) as refusal:
        verify(path)
    assert refusal.value.reason is Reason.FAULT_FOUND
    return refusal.value.detail


def test_an_export_verifies_and_says_how_far_it_goes(export: Path, told: Path) -> None:
    report = verify_export(export, genesis=load_genesis(told), tell=lambda _: None)

    with open_home(told) as home:
        view = home.engine.snapshot()
    assert (report.ledger.blocks, report.ledger.app_hash) == (view.height, view.app_hash)


def test_each_flipped_bit_is_found_in_its_line(export: Path, tmp_path: Path) -> None:
    content, chance = export.read_bytes(), random.Random(3)
    for _ in range(FLIPS):
        bit = chance.randrange(8 * len(content))
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        line = content.count(b"\n", 0, bit // 8)

        fault = find_fault(tmp_path / "damaged", bytes(damaged))

        # The end of a line that is no end any more is found with the next.
        assert any(f"block {number}" in fault for number in (line, line + 1)) or line == 0, fault


def test_another_spelling_of_the_same_block_is_a_fault(export: Path, tmp_path: Path) -> None:
    lines = export.read_bytes().splitlines(keepends=True)
    lines[1] = msgspec.json.encode(msgspec.json.decode(lines[1])) + b"\n"
    lines[2] = lines[2].replace(b'{"first_leaf":', b'{ "first_leaf":')

    assert find_fault(tmp_path / "damaged", b"".join(lines)) == "block 2 of the export is spelled otherwise"


@pytest.mark.parametrize("cut", [1, 2, 100])
def test_a_line_that_is_cut_off_is_a_fault(export: Path, tmp_path: Path, cut: int) -> None:
    assert "is cut off" in find_fault(tmp_path / "damaged", export.read_bytes()[:-cut])


def test_nothing_hides_behind_an_empty_line(export: Path, tmp_path: Path) -> None:
    lines = export.read_bytes().splitlines(keepends=True)

    assert "block 3" in find_fault(tmp_path / "damaged", b"".join([*lines[:3], b"\n", *lines[3:]]))


def test_a_missing_block_is_a_fault(export: Path, tmp_path: Path) -> None:
    lines = export.read_bytes().splitlines(keepends=True)

    assert "block 2: it is missing" in find_fault(tmp_path / "damaged", b"".join([*lines[:2], *lines[3:]]))


def test_blocks_missing_from_the_end_show_in_height_and_app_hash_alone(
    export: Path, tmp_path: Path
) -> None:
    lines = export.read_bytes().splitlines(keepends=True)
    (tmp_path / "shorter").write_bytes(b"".join(lines[:-1]))

    shorter, whole = verify(tmp_path / "shorter").ledger, verify(export).ledger

    assert shorter.blocks == whole.blocks - 1
    assert shorter.app_hash != whole.app_hash


def test_an_export_of_another_network_is_refused(export: Path, told: Path) -> None:
    genesis = msgspec.structs.replace(load_genesis(told), name="Another network")

    with pytest.raises(Refused, match="of another network"):
        verify_export(export, genesis=genesis, tell=lambda _: None)


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"{}\n", b"\xff\n", b"no genesis at all\n", b"[" * 100_000]
)
def test_what_is_no_export_is_refused(tmp_path: Path, content: bytes) -> None:
    assert "genesis" in find_fault(tmp_path / "damaged", content)


def test_a_missing_export_is_not_found(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(Refused, match="FILE_NOT_FOUND"):
            verify(path)


def test_an_export_never_overwrites(export: Path, told: Path) -> None:
    with pytest.raises(Refused, match="HOME_ALREADY_EXISTS"):
        write_export(export, load_genesis(told), [])

    verify(export)


def test_a_full_disk_leaves_no_half_export(told: Path, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with open_home(told) as home:
        blocks = list(home.engine.read_blocks())
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_000, hard))
    try:
        with pytest.raises(Refused, match="STORAGE_FULL"):
            write_export(tmp_path / "export", load_genesis(told), blocks)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert list(tmp_path.iterdir()) == []
