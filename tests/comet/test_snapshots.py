"""Snapshots: the same bytes everywhere, and nothing believed but what comes to the signed app hash."""

import hashlib

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iamata.engines.comet import snapshots, taking
from iamata.engines.comet.engine import CometEngine
from iamata.engines.comet.protocol import abci_pb2 as abci
from iamata.engines.keeping.beginning import Beginning, check_beginning, encode_beginning
from iamata.ledger.header import read_block_header
from iamata.model.canonical import encode_struct
from iamata.model.ids import Digest, decode_digest
from iamata.model.reasons import Refused
from iamata.testing.comet import PlayedComet
from iamata.testing.validator import ValidatorTown

MINUTE_MS = 60_000
ACCEPT, RETRY, REJECT_SNAPSHOT = 1, 3, 5


def fill(town: ValidatorTown, *, blocks: int = 30) -> None:
    """Make blocks over more than the replay window, with several transactions in each, and empty ones."""
    for number in range(blocks):
        town.clock.advance(MINUTE_MS)
        for raw in town.write_anchors(12):
            town.comet.broadcast(raw)
        town.comet.make_block()
        if number % 7 == 0:
            town.comet.make_block()


def make_snapshot(town: ValidatorTown) -> tuple[abci.Snapshot, list[bytes], bytes]:
    """Restart with snapshots after every block, make one, and fetch it as a peer would."""
    town.restart(snapshot_blocks=1)
    town.comet.connect()
    town.comet.make_block()
    town.engine._store.wait()  # noqa: SLF001  until it is on the disk
    snapshot = town.comet["snapshot"].ask(list_snapshots=abci.RequestListSnapshots()).snapshots[0]
    chunks = [
        town.comet["snapshot"]
        .ask(
            load_snapshot_chunk=abci.RequestLoadSnapshotChunk(
                height=snapshot.height, format=snapshot.format, chunk=index
            )
        )
        .chunk
        for index in range(snapshot.chunks)
    ]
    return snapshot, chunks, town.comet.app_hashes[-1]


def join(town: ValidatorTown) -> tuple[CometEngine, PlayedComet]:
    """Start a second application on an empty folder."""
    engine = town.open("late")
    comet = town.play("late")
    comet.connect()
    return engine, comet


def give(comet: PlayedComet, snapshot: abci.Snapshot, chunks: list[bytes], app_hash: bytes) -> list[int]:
    offer = comet["snapshot"].ask(
        offer_snapshot=abci.RequestOfferSnapshot(snapshot=snapshot, app_hash=app_hash)
    )
    results = [offer.result]
    for index, chunk in enumerate(chunks):
        request = abci.RequestApplySnapshotChunk(index=index, chunk=chunk, sender="peer")
        results.append(comet["snapshot"].ask(apply_snapshot_chunk=request).result)
    return results


def test_a_node_begins_with_a_snapshot_and_goes_on(
    town: ValidatorTown, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "CHUNK_BYTES", 10_000)
    town.comet.connect()
    fill(town)
    snapshot, chunks, app_hash = make_snapshot(town)
    before = town.engine.snapshot()
    late, comet = join(town)

    results = give(comet, snapshot, chunks, app_hash)
    comet.blocks, comet.app_hashes = list(town.comet.blocks), list(town.comet.app_hashes)
    comet.connect()
    for raw in town.write_anchors(3):
        for one in (town.comet, comet):
            one.broadcast(raw)
            one.make_block()
    ours, theirs = late.snapshot(), town.engine.snapshot()

    assert (results, len(chunks) > 3) == ([ACCEPT] * (1 + len(chunks)), True)
    assert (ours.height, ours.app_hash, ours.log_size) == (theirs.height, theirs.app_hash, theirs.log_size)
    assert before.height == snapshot.height
    grown = ours.prove_growth(before.log_size)
    assert grown.path == theirs.prove_growth(before.log_size).path
    for index in range(before.log_size - 5, ours.log_size):
        assert ours.prove_leaf(index).path == theirs.prove_leaf(index).path
    with pytest.raises(Refused, match="older than what this node began with"):
        ours.prove_leaf(0)
    comet.hang_up()
    late.close()
    assert town.open("late").snapshot().app_hash == ours.app_hash


def test_an_offer_of_more_than_a_snapshot_may_hold_is_refused_at_once(town: ValidatorTown) -> None:
    town.comet.connect()
    fill(town, blocks=2)
    snapshot, _, app_hash = make_snapshot(town)
    _, comet = join(town)

    for chunks, expected in (
        (taking.CHUNKS_MAX, ACCEPT),
        (taking.CHUNKS_MAX + 1, abci.ResponseOfferSnapshot.REJECT),
    ):
        hashes = bytes(32) * chunks
        offered = abci.Snapshot(
            height=snapshot.height,
            format=snapshot.format,
            chunks=chunks,
            hash=hashlib.sha256(hashes).digest(),
            metadata=hashes,
        )
        assert give(comet, offered, [], app_hash) == [expected]
    assert taking.CHUNKS_MAX * taking.CHUNK_BYTES_MAX == taking.SNAPSHOT_BYTES_MAX


def test_an_offered_chunk_that_is_a_giant_ends_the_snapshot(
    town: ValidatorTown, monkeypatch: pytest.MonkeyPatch
) -> None:
    town.comet.connect()
    fill(town)
    snapshot, chunks, app_hash = make_snapshot(town)
    _, comet = join(town)
    monkeypatch.setattr(taking, "CHUNK_BYTES_MAX", len(chunks[0]) - 1)

    assert give(comet, snapshot, chunks[:1], app_hash) == [ACCEPT, REJECT_SNAPSHOT]


def test_a_snapshot_that_nobody_would_take_is_not_made(
    town: ValidatorTown, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "SNAPSHOT_BYTES_MAX", 100)
    town.restart(snapshot_blocks=1)
    town.comet.connect()
    town.comet.make_block()
    town.engine._store.wait()  # noqa: SLF001  until it would be on the disk

    assert not town.comet["snapshot"].ask(list_snapshots=abci.RequestListSnapshots()).snapshots


def test_what_was_replayable_before_is_replayed_after(town: ValidatorTown) -> None:
    town.comet.connect()
    fill(town, blocks=13)
    [raw] = town.write_anchors(1)
    town.comet.broadcast(raw)
    town.comet.make_block()
    snapshot, chunks, app_hash = make_snapshot(town)
    _, comet = join(town)
    give(comet, snapshot, chunks, app_hash)

    assert town.comet.check(raw) == comet.check(raw) == 108


def test_two_nodes_make_the_same_bytes(town: ValidatorTown) -> None:
    town.comet.connect()
    fill(town, blocks=14)
    snapshot, chunks, app_hash = make_snapshot(town)
    late = town.open("late", snapshot_blocks=1)
    comet = town.play("late")
    comet.blocks, comet.app_hashes = town.comet.blocks[:-1], list(town.comet.app_hashes)
    comet.connect()
    late._store.wait()  # noqa: SLF001  until it is on the disk
    comet.blocks = list(town.comet.blocks)
    comet.connect()
    late._store.wait()  # noqa: SLF001
    listed = comet["snapshot"].ask(list_snapshots=abci.RequestListSnapshots()).snapshots
    request = abci.RequestLoadSnapshotChunk(height=snapshot.height, format=1, chunk=0)
    theirs = comet["snapshot"].ask(load_snapshot_chunk=request).chunk

    assert snapshot in listed
    assert theirs == chunks[0]
    assert app_hash == comet.app_hashes[-1]


def test_a_changed_byte_is_refused_and_fetched_again(town: ValidatorTown) -> None:
    town.comet.connect()
    fill(town, blocks=3)
    snapshot, [chunk], app_hash = make_snapshot(town)
    late, comet = join(town)
    changed = chunk[:500] + bytes([chunk[500] ^ 1]) + chunk[501:]

    assert give(comet, snapshot, [changed], app_hash) == [ACCEPT, RETRY]
    assert give(comet, snapshot, [chunk], bytes(32)) == [ACCEPT, REJECT_SNAPSHOT]
    assert late.snapshot().height == 0
    assert give(comet, snapshot, [chunk], app_hash) == [ACCEPT, ACCEPT]
    assert late.snapshot().height == snapshot.height


def test_a_liar_who_names_his_own_chunks_is_found_out(town: ValidatorTown) -> None:
    """State and leaves are bound by the app hash, whatever the hashes of chunks say."""
    town.comet.connect()
    fill(town, blocks=14)
    snapshot, chunks, app_hash = make_snapshot(town)
    beginning = msgspec.msgpack.decode(b"".join(chunks), type=Beginning)
    said = Digest(town.engine.snapshot().app_hash)
    assert decode_digest(said) == app_hash
    check_beginning(beginning, town.genesis, height=snapshot.height, app_hash=said)
    lies = [
        msgspec.structs.replace(beginning, entries=beginning.entries[1:]),
        msgspec.structs.replace(beginning, blocks=beginning.blocks[5:]),
        msgspec.structs.replace(beginning, blocks=beginning.blocks[:-1]),
        msgspec.structs.replace(beginning, edge=()),
        msgspec.structs.replace(beginning, blocks=()),
    ]

    for lie in lies:
        with pytest.raises(Refused):
            check_beginning(lie, town.genesis, height=snapshot.height, app_hash=said)


def test_any_flipped_bit_of_a_snapshot_is_harmless(town: ValidatorTown) -> None:
    town.comet.connect()
    fill(town, blocks=2)
    snapshot, chunks, _ = make_snapshot(town)
    raw, said = b"".join(chunks), Digest(town.engine.snapshot().app_hash)
    true = msgspec.msgpack.decode(raw, type=Beginning)

    @settings(max_examples=60)
    @given(st.integers(0, 8 * len(raw) - 1))
    def flip(bit: int) -> None:
        changed = bytearray(raw)
        changed[bit // 8] ^= 1 << bit % 8
        try:
            found = msgspec.msgpack.decode(bytes(changed), type=Beginning)
            check_beginning(found, town.genesis, height=snapshot.height, app_hash=said)
        except (Refused, msgspec.MsgspecError, ValueError):
            return
        assert found.entries == true.entries
        assert [one.leaves for one in found.blocks] == [one.leaves for one in true.blocks]

    flip()


@pytest.mark.parametrize("shift_ms", [-(10**9), 10**9])
def test_an_empty_blocks_time_cannot_be_moved(town: ValidatorTown, shift_ms: int) -> None:
    town.comet.connect()
    fill(town)
    _, chunks, app_hash = make_snapshot(town)
    beginning = msgspec.msgpack.decode(b"".join(chunks), type=Beginning)
    *blocks, last = beginning.blocks
    assert not last.leaves
    header = read_block_header(last.header, town.genesis)
    time_ms = header.time_ms + shift_ms
    forged = encode_struct(msgspec.structs.replace(header, time_ms=time_ms))
    blocks.append(msgspec.structs.replace(last, time_ms=time_ms, header=forged))
    lie = encode_beginning(msgspec.structs.replace(beginning, blocks=tuple(blocks)))
    hashes = hashlib.sha256(lie).digest()
    offer = abci.Snapshot(
        height=last.height, format=1, chunks=1, hash=hashlib.sha256(hashes).digest(), metadata=hashes
    )
    engine, comet = join(town)

    assert give(comet, offer, [lie], app_hash) == [ACCEPT, REJECT_SNAPSHOT]
    assert engine.snapshot().height == 0


def test_offers_that_cannot_be_are_rejected(town: ValidatorTown) -> None:
    town.comet.connect()
    fill(town, blocks=1)
    snapshot, _, app_hash = make_snapshot(town)
    _, comet = join(town)
    lies = {
        "format": (abci.Snapshot(height=1, format=9, chunks=1, hash=bytes(32)), 4),
        "hash": (abci.Snapshot(height=1, format=1, chunks=1, hash=bytes(32), metadata=bytes(32)), 3),
        "count": (
            abci.Snapshot(
                height=1, format=1, chunks=9, hash=hashlib.sha256(bytes(32)).digest(), metadata=bytes(32)
            ),
            3,
        ),
    }

    for offer, result in lies.values():
        assert give(comet, offer, [], app_hash) == [result]
    request = abci.RequestApplySnapshotChunk(index=0, chunk=b"x", sender="peer")
    assert comet["snapshot"].ask(apply_snapshot_chunk=request).result == 2
    assert give(town.comet, snapshot, [], app_hash) == [2]  # a ledger that has begun takes none


def test_a_crash_before_consensus_has_begun_too_is_no_harm(town: ValidatorTown) -> None:
    """CometBFT then knows nothing of the snapshot, and offers one again."""
    town.comet.connect()
    fill(town, blocks=3)
    snapshot, chunks, app_hash = make_snapshot(town)
    late, comet = join(town)
    assert give(comet, snapshot, chunks, app_hash) == [ACCEPT, ACCEPT]
    comet.hang_up()
    late.close()

    late, comet = town.open("late"), town.play("late")
    comet.blocks, comet.app_hashes = list(town.comet.blocks), list(town.comet.app_hashes)
    comet.connect()
    assert give(comet, snapshot, chunks, app_hash) == [ACCEPT, ACCEPT]

    assert late.snapshot().app_hash == town.engine.snapshot().app_hash
    comet.connect()
    for one in (town.comet, comet):
        one.make_block()
    assert late.snapshot().height == snapshot.height + 1
    offer = comet["snapshot"].ask(
        offer_snapshot=abci.RequestOfferSnapshot(snapshot=snapshot, app_hash=app_hash)
    )
    assert offer.result == abci.ResponseOfferSnapshot.ABORT
