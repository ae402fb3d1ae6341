"""One suite for every way to put transactions in order: workflows cannot tell which one runs."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from iamata.crypto.ed25519 import SigningKey
from iamata.engines.comet.engine import CometEngine
from iamata.engines.embedded.engine import EmbeddedEngine
from iamata.engines.follower.engine import FollowerEngine
from iamata.ledger.bases import ConsentBasis
from iamata.ledger.genesis import Genesis
from iamata.ledger.receipts import check_growth, check_receipt, check_state_proof
from iamata.ledger.tables import CONSENTS, PATIENTS
from iamata.ledger.transactions.access import Disclose
from iamata.ledger.transactions.consents import WithdrawConsent
from iamata.model.reasons import ACCEPTED, Reason, Refused
from iamata.ports import Engine
from iamata.testing.comet import PlayedComet, PlayedWitness, RunningComet
from iamata.testing.engine import MemoryEngine
from iamata.testing.entropy import derive_key
from iamata.testing.leader import LocalLeader
from iamata.testing.world import Party, World
from iamata.workflows.author import await_finality

ANSWER_TIMEOUT_S = 30
SEED = "contract"
VALIDATOR = "hospital-a"


def open_memory(_folder: Path, _stack: list[Any], genesis: Genesis, **parts: Any) -> Engine:
    return MemoryEngine(genesis, **parts)


def open_embedded(folder: Path, stack: list[Any], genesis: Genesis, **parts: Any) -> Engine:
    (folder / "embedded").mkdir()
    engine = EmbeddedEngine(folder / "embedded", genesis, **parts)
    stack.append(engine)
    return engine


def open_follower(folder: Path, stack: list[Any], genesis: Genesis, **parts: Any) -> Engine:
    leader = open_embedded(folder, stack, genesis, **parts)
    assert isinstance(leader, EmbeddedEngine)
    (folder / "follower").mkdir()
    engine = FollowerEngine(folder / "follower", genesis, leader=LocalLeader(leader), wait_s=0.2)
    stack.append(engine)
    return engine


def open_comet(
    folder: Path, stack: list[Any], genesis: Genesis, *, orderer: SigningKey, clock: Callable[[], int]
) -> Engine:
    """Put a played CometBFT before a validator; nobody needs the one orderer's key."""
    assert orderer.key_id != genesis.validators[0].key
    (folder / "comet").mkdir()
    path = folder / "comet.sock"
    comet = RunningComet(PlayedComet(path, genesis, clock=clock))
    engine = CometEngine(
        folder / "comet",
        genesis,
        address=f"unix://{path}",
        broadcast=comet.broadcast,
        witness=PlayedWitness(genesis, [derive_key(SEED, "validator", VALIDATOR)]),
        clock=clock,
    )
    stack.append(engine)
    comet.start()
    stack.append(comet)
    return engine


ENGINES: dict[str, Callable[..., Engine]] = {
    "memory": open_memory,
    "embedded": open_embedded,
    "follower": open_follower,
    "comet": open_comet,
}


@pytest.fixture(params=ENGINES)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """Found the same world on each engine."""
    stack: list[Any] = []
    make = ENGINES[request.param]
    validators = (VALIDATOR,) if request.param == "comet" else ()

    def make_engine(genesis: Genesis, *, orderer: SigningKey, clock: Callable[[], int]) -> Engine:
        return make(tmp_path, stack, genesis, orderer=orderer, clock=clock)

    yield World.found(SEED, make_engine=make_engine, validators=validators)
    for engine in reversed(stack):
        engine.close()


def disclose(world: World, patient: Party, consent: str) -> bytes:
    """Write a disclosure on a consent."""
    return world.node(patient.custodian).author.write(
        Disclose,
        access=world.derive_id("access", consent),
        patient=patient.id,
        basis=ConsentBasis(world.derive_id("consent", consent)),
        commitment=world.derive_commitment("access"),
    )


def test_who_submits_reads_what_came_of_it(world: World) -> None:
    anna = world.enrol_patient("anna", custodian="hospital-a")
    consent = world.grant("one", anna)

    entry = CONSENTS.find(world.engine.snapshot(), consent)

    assert entry is not None
    assert entry.patient == anna.id


def test_an_answer_says_where_the_transaction_stands(world: World) -> None:
    anna = world.enrol_patient("anna", custodian="hospital-a")
    world.grant("one", anna)

    finality = await_finality(world.engine, disclose(world, anna, "one"))
    view = world.engine.snapshot()
    leaf = check_receipt(view.prove_leaf(finality.index), world.engine.genesis)

    assert (leaf.id, leaf.reason, leaf.time_ms) == (finality.id, ACCEPTED, finality.time_ms)
    assert view.height >= finality.height
    assert view.time_ms >= finality.time_ms


def test_a_rules_refusal_is_an_answer_with_a_leaf(world: World) -> None:
    anna = world.enrol_patient("anna", custodian="hospital-a")
    consent = world.grant("one", anna)
    anna.author.submit(WithdrawConsent, consent=consent)

    finality = world.engine.submit(disclose(world, anna, "one")).result(ANSWER_TIMEOUT_S)
    leaf = check_receipt(world.engine.snapshot().prove_leaf(finality.index), world.engine.genesis)

    assert finality.reason == leaf.reason == Reason.BASIS_NOT_ACTIVE


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda raw: b"", Reason.NOT_CANONICAL),
        (lambda raw: raw + b"\n", Reason.MALFORMED),
        (lambda raw: raw[:-8] + raw[-8:-4][::-1] + raw[-4:], Reason.BAD_SIGNATURE),
    ],
)
def test_what_is_no_transaction_is_refused(
    world: World, spoil: Callable[[bytes], bytes], reason: Reason
) -> None:
    anna = world.enrol_patient("anna", custodian="hospital-a")
    world.grant("one", anna)

    with pytest.raises(Refused) as refused:
        await_finality(world.engine, spoil(disclose(world, anna, "one")))

    assert refused.value.reason is reason


def test_the_same_transaction_again_is_replayed(world: World) -> None:
    anna = world.enrol_patient("anna", custodian="hospital-a")
    world.grant("one", anna)
    raw = disclose(world, anna, "one")
    await_finality(world.engine, raw)

    with pytest.raises(Refused) as refused:
        await_finality(world.engine, raw)

    assert refused.value.reason is Reason.REPLAYED


def test_events_follow_a_cursor(world: World) -> None:
    anna = world.enrol_patient("anna", custodian="hospital-a")
    cursor = world.engine.snapshot().log_size
    consent = world.grant("one", anna)

    seen = list(world.engine.events(cursor))

    assert [(index, leaf.event.consent) for index, leaf in seen] == [(cursor, consent)]
    assert list(world.engine.events(cursor + 1)) == []


def test_a_view_stays_what_it_was(world: World) -> None:
    before = world.engine.snapshot()
    anna = world.enrol_patient("anna", custodian="hospital-a")

    after = world.engine.snapshot()

    assert PATIENTS.find(before, anna.id) is None
    assert PATIENTS.find(after, anna.id) is not None
    assert after.height > before.height


def test_entries_absences_and_growth_are_proved(world: World) -> None:
    anna = world.enrol_patient("anna", custodian="hospital-a")
    early = world.engine.snapshot()
    world.grant("one", anna)
    view, genesis = world.engine.snapshot(), world.engine.genesis

    shown = check_state_proof(view.prove_entry(PATIENTS.key(anna.id)), genesis)
    absent = check_state_proof(view.prove_entry(b"patient/nobody"), genesis)
    earlier = early.prove_leaf(0).checkpoint

    assert shown is not None
    assert absent is None
    check_growth(view.prove_growth(early.log_size), earlier, genesis)
