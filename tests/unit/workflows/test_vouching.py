"""Votes are held against the ledger that they are for, and the first fault is named."""

from collections.abc import Callable
from typing import Any, Final

import msgspec
import pytest

from iamata.crypto.ed25519 import SigningKey
from iamata.engines.embedded.checking import SignatureChecker
from iamata.ledger.blocks import StoredBlock
from iamata.ledger.bundles import list_bundles
from iamata.ledger.envelope import read_transaction
from iamata.ledger.light.blocks import NO_ITEMS_HASH, LightBlock, order_validators
from iamata.ledger.light.verifying import DRIFT_MS, trust_genesis
from iamata.ledger.misbehaviour import Misbehaviour, MisbehaviourKind
from iamata.ledger.state import LedgerState
from iamata.ledger.tables import CURRENT, VALIDATORS
from iamata.ledger.transactions.members import LeaveNetwork
from iamata.model.canonical import encode_struct
from iamata.model.ids import KeyId, encode_digest
from iamata.model.instants import Instant
from iamata.model.reasons import Reason, Refused
from iamata.testing.entropy import derive_key
from iamata.testing.lights import sign_light, trust_light, vouch_for
from iamata.testing.world import FOUNDERS, World
from iamata.workflows.replaying import replay
from iamata.workflows.vouching import VoteReport, Vouchings

WORLD: Final = World.found("vouching", validators=sorted(FOUNDERS))
KEYS: Final[dict[KeyId, SigningKey]] = {
    key.key_id: key for key in (derive_key("vouching", "validator", member) for member in FOUNDERS)
}
ANNA: Final = WORLD.enrol_patient("anna", custodian="hospital-a")
WORLD.grant("c1", ANNA)
WORLD.node("hospital-b").author.submit(LeaveNetwork)
WORLD.enrol_patient("ben", custodian="hospital-a")
GENESIS: Final = WORLD.engine.genesis


def write_chain() -> tuple[list[StoredBlock], list[LightBlock]]:
    """Order the world's transactions again as validators would: bundles, evidence, empty blocks."""
    state, blocks, lights = LedgerState(GENESIS), [], []
    first = order_validators(GENESIS.validators)
    trust, coming = trust_genesis(GENESIS), (first, first)
    raws = [raw for block in WORLD.memory.blocks for raw in block.transactions]
    bundles: list[list[bytes]] = [raws[:2], [], raws[2:3], [], [], raws[3:], []]
    for number, bundle in enumerate(bundles):
        evidence = (accuse(number),) if number == 1 else ()
        app_hash = str(state.app_hash)
        block = install(state, bundle, evidence)
        now, following = coming
        light = vouch_for(trust, block, app_hash, now=now, following=following, keys=KEYS)
        trust = trust_light(light)
        entry = VALIDATORS.find(state.entries, CURRENT)
        assert entry is not None
        coming = (following, order_validators(entry.active))
        blocks.append(block)
        lights.append(light)
    return blocks, lights


def accuse(height: int) -> Misbehaviour:
    kind, key = MisbehaviourKind.DUPLICATE_VOTE, GENESIS.validators[0].key
    return Misbehaviour(kind=kind, key=key, height=height, time_ms=Instant(GENESIS.created_ms))


def install(state: LedgerState, bundle: list[bytes], evidence: tuple[Misbehaviour, ...]) -> StoredBlock:
    transactions = [read_transaction(raw) for raw in bundle]
    position = state.place(GENESIS.created_ms)
    installed = state.install(position, transactions, state.run(position, transactions, evidence))
    return StoredBlock(
        height=position.height,
        time_ms=position.time_ms,
        first_leaf=installed.first_leaf,
        header=encode_struct(installed.header),
        transactions=tuple(bundle),
        leaves=installed.outcome.leaves,
        groups=(len(bundle),) if bundle else (),
        misbehaviours=evidence,
    )


BLOCKS, LIGHTS = write_chain()


def verify(blocks: list[StoredBlock], lights: list[LightBlock], *, late_ms: int = 0) -> VoteReport:
    kept = {light.header.height: encode_struct(light) for light in lights}
    vouchings = Vouchings(kept.get, now_ms=BLOCKS[-1].time_ms + late_ms)
    replay(GENESIS, blocks, SignatureChecker(), watcher=vouchings)
    report = vouchings.sum_up()
    assert report is not None
    return report


def test_votes_of_the_replayed_validators_hold() -> None:
    report = verify(BLOCKS, LIGHTS)

    assert (report.headers, report.votes, report.unvouched) == (7, 4 * 4 + 3 * 3, 0)
    assert (report.validators, report.faulty_max, report.is_result_vouched) == (3, 0, True)
    assert report.time_ms == BLOCKS[-1].time_ms


def test_what_the_last_block_came_to_is_vouched_for_by_the_next() -> None:
    assert not verify(BLOCKS[:6], LIGHTS[:6]).is_result_vouched


def test_votes_for_a_time_to_come_are_a_fault() -> None:
    verify(BLOCKS, LIGHTS, late_ms=-DRIFT_MS)

    with pytest.raises(Refused, match=r"block 7: its votes: .*from the future"):
        verify(BLOCKS, LIGHTS, late_ms=-DRIFT_MS - 1)


def test_blocks_without_votes_at_the_end_are_counted() -> None:
    report = verify(BLOCKS, LIGHTS[:5])

    assert (report.headers, report.unvouched, report.is_result_vouched) == (5, 2, False)


def resign(at: int, **changes: Any) -> list[LightBlock]:
    """Let the right validators sign a header that says something else."""
    light = LIGHTS[at]
    header = msgspec.structs.replace(light.header, **changes)
    voters = [KEYS.get(one.key) for one in light.validators]
    changed = sign_light(msgspec.structs.replace(light, header=header), voters)
    return [*LIGHTS[:at], changed, *LIGHTS[at + 1 :]]


OTHER: Final = encode_digest(bytes(range(32)))


@pytest.mark.parametrize(
    ("tamper", "named"),
    [
        (lambda: [*LIGHTS[:2], *LIGHTS[3:]], "block 3: its votes are missing"),
        (lambda: resign(2, data_hash=OTHER), "block 3: its validators have voted for another transactions"),
        (lambda: resign(2, app_hash=OTHER), "block 3: its validators have voted for another app hash"),
        (lambda: resign(1, evidence_hash=NO_ITEMS_HASH), "block 2: its validators have voted for another"),
        (lambda: resign(2, next_validators_hash=OTHER), "block 3: .* another next validators"),
        (lambda: resign(2, time=msgspec.structs.replace(LIGHTS[2].header.time, nanos=999_999_999)),
         "block 3: .* another time"),
        (lambda: resign(2, chain_id="elsewhere"), "block 3: its votes: FOREIGN_NETWORK"),
        (lambda: [*LIGHTS[:2], msgspec.structs.replace(LIGHTS[2], round=1), *LIGHTS[3:]],
         "block 3: its votes: BAD_SIGNATURE"),
        (lambda: [*LIGHTS[:2], msgspec.structs.replace(LIGHTS[2], votes=(None,) * 4), *LIGHTS[3:]],
         "block 3: its votes: FAULT_FOUND: .* no more than two thirds"),
    ],
)  # fmt: skip
def test_the_first_fault_is_named(tamper: Callable[[], list[LightBlock]], named: str) -> None:
    with pytest.raises(Refused, match=named) as refused:
        verify(BLOCKS, tamper())

    assert refused.value.reason is Reason.FAULT_FOUND


def test_validators_that_the_ledger_did_not_appoint_are_named() -> None:
    strangers = [derive_key("vouching", "stranger", str(number)) for number in range(4)]
    keys = {key.key_id: key for key in strangers}
    usurpers = tuple(
        msgspec.structs.replace(one, key=key.key_id)
        for one, key in zip(LIGHTS[0].validators, strangers, strict=True)
    )
    trust, app_hash = trust_light(LIGHTS[4]), LIGHTS[5].header.app_hash
    forged = vouch_for(trust, BLOCKS[5], app_hash, now=usurpers, following=usurpers, keys=keys)

    with pytest.raises(Refused, match=r"block 6: its votes: .* other validators than the one before"):
        verify(BLOCKS, [*LIGHTS[:5], forged])


def test_bundles_are_what_consensus_saw() -> None:
    block = msgspec.structs.replace(BLOCKS[0], transactions=(b"a", b"b", b"c"), groups=(2, 1))

    assert list_bundles(block) == [b"a\nb", b"c"]
    assert list_bundles(msgspec.structs.replace(block, groups=())) == [b"a", b"b", b"c"]
