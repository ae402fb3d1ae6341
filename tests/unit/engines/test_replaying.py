"""A replay trusts nothing that is stored, and names the first fault."""

from collections.abc import Callable
from typing import TypeAlias

import msgspec
import pytest

from iamata.crypto.ed25519 import SigningKey
from iamata.engines.embedded.checking import SignatureChecker
from iamata.ledger.blocks import StoredBlock
from iamata.ledger.header import compute_transactions_root, read_header, sign_header
from iamata.model.reasons import Reason, Refused
from iamata.testing.town import Town
from iamata.workflows.replaying import replay

ANSWER_TIMEOUT_S = 20

Blocks: TypeAlias = list[StoredBlock]


def test_replay_of_a_sound_ledger_comes_to_the_same_state(town: Town) -> None:
    blocks = _write_ledger(town)
    view = town.opened[0].snapshot()

    report = replay(town.genesis, blocks, SignatureChecker())

    assert (report.network, report.blocks, report.transactions, report.refused, report.app_hash) == (
        town.opened[0].network,
        view.height,
        view.log_size,
        1,
        view.app_hash,
    )
    assert all(view.get(key) == value for key, value in report.state.entries.items())


@pytest.mark.parametrize(
    ("tamper", "named"),
    [
        (lambda blocks, _: blocks[:1] + blocks[2:], "block 2: it is missing, block 3 follows"),
        (lambda blocks, _: _change(blocks, 1, header=blocks[0].header), "block 2: it does not stand"),
        (
            lambda blocks, _: _change(blocks, 1, header=blocks[1].header[:-20] + b"A" * 20),
            "block 2: its header",
        ),
        (lambda blocks, _: _change(blocks, 1, time_ms=1), "block 2: it does not stand"),
        (lambda blocks, _: _change(blocks, 1, first_leaf=7), "block 2: it does not stand"),
        (
            lambda blocks, key: _sign_anew(blocks, 1, key, parent="A" * 43),
            "block 2: its header does not follow",
        ),
        (lambda blocks, key: _sign_anew(blocks, 1, key, app_hash="A" * 43), "block 2: its app hash"),
        (
            lambda blocks, key: _sign_anew(blocks, 1, key, transactions="A" * 43),
            "block 2: its transactions are not",
        ),
        (lambda blocks, key: _turn_back(blocks, 1, key), "block 2: its time is not later"),
        (lambda blocks, _: _change(blocks, 1, transactions=()), "block 2: its transactions are not"),
        (lambda blocks, _: _change(blocks, 1, transactions=(b"x",)), "block 2: transaction 0: "),
        (lambda blocks, _: _change(blocks, 2, leaves=()), "block 3: the number of its leaves"),
        (lambda blocks, _: _change(blocks, 2, leaves=(b"{}",)), "block 3: leaf 2 of the log"),
    ],
)
def test_first_fault_is_named(
    town: Town, tamper: Callable[[Blocks, SigningKey], Blocks], named: str
) -> None:
    blocks = tamper(_write_ledger(town), town.orderer)

    with pytest.raises(Refused, match=named) as refused:
        replay(town.genesis, blocks, SignatureChecker())
    assert refused.value.reason is Reason.FAULT_FOUND


def test_forged_signature_is_named_before_a_later_fault(town: Town) -> None:
    blocks = _write_ledger(town)
    [raw] = blocks[1].transactions
    forged = raw[:-86] + blocks[2].transactions[0][-86:]
    state_before = _sign_anew(_change(blocks, 1, transactions=(forged,)), 1, town.orderer, is_root_new=True)

    for tampered in (state_before, _change(state_before, 2, transactions=(b"x",))):
        with pytest.raises(Refused, match="block 2: transaction 0: a signature does not hold"):
            replay(town.genesis, tampered, SignatureChecker())


def _write_ledger(town: Town) -> Blocks:
    """Write three accepted transactions and a refused one, a block each."""
    engine = town.open()
    for raw in (*town.write_anchors(engine, 3), *town.write_refused(engine, 1)):
        engine.submit(raw).result(ANSWER_TIMEOUT_S)
    return list(engine.read_blocks())


def _change(blocks: Blocks, at: int, **fields: object) -> Blocks:
    return [*blocks[:at], msgspec.structs.replace(blocks[at], **fields), *blocks[at + 1 :]]


def _sign_anew(
    blocks: Blocks, at: int, key: SigningKey, *, is_root_new: bool = False, **fields: object
) -> Blocks:
    """Let the orderer itself lie in a header."""
    header = read_header(blocks[at].header, orderer=key.key_id)
    if is_root_new:
        fields["transactions"] = compute_transactions_root(blocks[at].transactions)
    return _change(blocks, at, header=sign_header(msgspec.structs.replace(header, **fields), key))


def _turn_back(blocks: Blocks, at: int, key: SigningKey) -> Blocks:
    time_ms = blocks[at - 1].time_ms
    return _change(_sign_anew(blocks, at, key, time_ms=time_ms), at, time_ms=time_ms)
