"""The ledger falls silent, nodes are killed, and what left late is posted all the same: real engines."""

import dataclasses
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import NoReturn

import pytest

from iamata.crypto.ed25519 import SigningKey
from iamata.engines.embedded.engine import EmbeddedEngine
from iamata.engines.follower.engine import FollowerEngine
from iamata.ledger.entries import Role
from iamata.ledger.events import AccessDisclosed, EmergencyPostedLate
from iamata.ledger.genesis import Genesis
from iamata.model.ids import MemberId, PersonId
from iamata.model.reasons import Reason, Refused
from iamata.node import home as homes
from iamata.node.home import Home, open_home
from iamata.node.identities import sign_as
from iamata.node.verification import verify_home
from iamata.ports import Finality
from iamata.stores.wallets import load_wallet
from iamata.testing import offices
from iamata.testing.leader import LocalLeader
from iamata.testing.stage import Stage, set_stage
from iamata.testing.world import Party, World
from iamata.workflows import disclosures, emergencies, late_posting, receiving
from iamata.workflows.late_posting import finish_late_emergencies
from iamata.workflows.messages import Release
from iamata.workflows.office import Office

PATIENCE_S = 20
REASON = "Unconscious after a fall"


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return set_stage(tmp_path)


def ask(home: Home, stage: Stage) -> str:
    """Let the doctor in the south declare for Ada without the ledger, and ask the north."""
    identity, author = sign_as(home, load_wallet(stage.wallet("south-doctor")), "south")
    declared = emergencies.declare_late(
        author,
        custodian=MemberId("north"),
        patient=home.get_office("north").compute_pseudonym("Patient/ada"),
        reason=REASON,
    )
    return receiving.ask_late(
        home.get_office("south"),
        person=PersonId(identity.id),
        purpose="BTG",
        declaration=str(declared.declaration),
    )[1]


def release(home: Home, stage: Stage) -> tuple[Release, ...]:
    """Let the north release while its engine is stopped."""
    request = ask(home, stage)
    home.engine.close()
    return disclosures.answer_request(home.get_office("north"), request)


def list_told(home: Home) -> list[type]:
    kinds = (AccessDisclosed, EmergencyPostedLate)
    return [type(leaf.event) for _, leaf in home.engine.events(0) if isinstance(leaf.event, kinds)]


def count_pending(stage: Stage) -> int:
    report = verify_home(stage.home, tell=lambda _: None)
    return sum(len(one.late_pending) for one in report.members)


def live_and_die(live: Callable[[], object]) -> None:
    """Run something in a process of its own, which is killed the moment that it is done."""
    child = os.fork()
    if child == 0:
        try:
            live()
            os.kill(os.getpid(), signal.SIGKILL)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL


def test_an_engine_that_stopped_is_told_when_the_home_is_opened_again(stage: Stage) -> None:
    with open_home(stage.home) as home:
        assert release(home, stage)
    assert count_pending(stage) == 1

    with open_home(stage.home) as home:
        assert list_told(home) == [EmergencyPostedLate]
    assert count_pending(stage) == 0


def test_a_node_killed_between_entry_and_release_posts_it_in_its_next_life(stage: Stage) -> None:
    def live() -> None:
        with open_home(stage.home) as home:
            release(home, stage)
            os.kill(os.getpid(), signal.SIGKILL)

    live_and_die(live)
    assert count_pending(stage) == 1

    with open_home(stage.home) as home:
        assert list_told(home) == [EmergencyPostedLate]
    assert count_pending(stage) == 0


def test_a_node_killed_before_it_posts_posts_it_in_its_next_life(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_home(stage.home) as home:
        release(home, stage)

    def live() -> None:
        def die(*_: Office) -> NoReturn:
            os.kill(os.getpid(), signal.SIGKILL)
            raise AssertionError

        monkeypatch.setattr(homes, "finish_late_emergencies", die)
        with open_home(stage.home):
            """Not reached: it dies while it opens."""

    live_and_die(live)
    assert count_pending(stage) == 1

    with open_home(stage.home) as home:
        assert list_told(home) == [EmergencyPostedLate]


@dataclasses.dataclass
class Following:
    """Hospital A keeps records, and follows a leader that can fall silent."""

    world: World
    leader: LocalLeader
    follower: FollowerEngine
    a: Office
    b: Office
    anna: Party
    emil: Party

    def ask(self) -> str:
        """Let Emil declare without the ledger, and ask."""
        declared = emergencies.declare_late(
            self.emil.author, custodian=self.a.member, patient=self.anna.id, reason=REASON
        )
        return receiving.ask_late(
            self.b, person=PersonId(self.emil.id), purpose="BTG", declaration=str(declared.declaration)
        )[1]

    def is_level(self) -> bool:
        """Tell whether the follower holds what the leader holds."""
        return self.follower.snapshot().height == self.leader.engine.snapshot().height

    def list_told(self) -> list[type]:
        kinds = (AccessDisclosed, EmergencyPostedLate)
        return [type(leaf.event) for _, leaf in self.follower.events(0) if isinstance(leaf.event, kinds)]


@pytest.fixture
def following(tmp_path: Path) -> Iterator[Following]:
    opened: list[EmbeddedEngine] = []

    def make_engine(genesis: Genesis, *, orderer: SigningKey, clock: Callable[[], int]) -> EmbeddedEngine:
        (tmp_path / "leader").mkdir()
        opened.append(EmbeddedEngine(tmp_path / "leader", genesis, orderer=orderer, clock=clock))
        return opened[0]

    world = World.found(make_engine=make_engine)
    (tmp_path / "follower").mkdir()
    leader = LocalLeader(opened[0])
    follower = FollowerEngine(tmp_path / "follower", opened[0].genesis, leader=leader, wait_s=0.1)
    a = offices.open_office(world, "hospital-a")
    anna = world.enrol_patient("anna", custodian="hospital-a")
    offices.keep_records(a, anna, {"plain": ("N",)})
    made = Following(
        world=world,
        leader=leader,
        follower=follower,
        a=dataclasses.replace(a, author=dataclasses.replace(a.author, engine=follower)),
        b=offices.open_office(world, "hospital-b"),
        anna=anna,
        emil=world.register_person("emil", member="hospital-b", roles=(Role.CLINICIAN, Role.EMERGENCY)),
    )
    offices.grant(world, a, anna, offices.write_terms(world, purposes=("TREAT", "ETREAT")))
    assert until(made.is_level)
    yield made
    follower.close()
    opened[0].close()


def until(is_so: Callable[[], bool]) -> bool:
    """Wait until something is so."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not is_so() and time.monotonic() < deadline_s:
        time.sleep(0.01)
    return is_so()


def test_a_follower_whose_leader_is_silent_serves_emergencies_alone(following: Following) -> None:
    following.leader.is_silent = True
    ordinary = offices.ask(following.b, following.emil, following.anna)

    assert len(disclosures.answer_request(following.a, following.ask())) == 1
    with pytest.raises(Refused) as refused:
        disclosures.answer_request(following.a, ordinary)
    assert refused.value.reason is Reason.NODE_UNREACHABLE
    assert following.list_told() == []


def test_a_follower_posts_first_when_its_leader_is_back(following: Following) -> None:
    following.leader.is_silent = True
    disclosures.answer_request(following.a, following.ask())
    following.leader.is_silent = False

    disclosures.answer_request(following.a, offices.ask(following.b, following.emil, following.anna))

    assert following.list_told() == [EmergencyPostedLate, AccessDisclosed]


def test_a_follower_posts_unasked_when_its_leader_is_back(following: Following) -> None:
    following.leader.is_silent = True
    disclosures.answer_request(following.a, following.ask())
    assert finish_late_emergencies(following.a) == []
    following.leader.is_silent = False

    assert len(finish_late_emergencies(following.a)) == 1


def test_a_leader_that_takes_and_never_answers_is_waited_for_a_few_seconds(
    following: Following, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(late_posting, "TRY_S", 0.2)
    monkeypatch.setattr(following.leader, "submit", lambda _: Future())
    begun_s = time.monotonic()

    assert len(disclosures.answer_request(following.a, following.ask())) == 1
    assert time.monotonic() - begun_s < PATIENCE_S
    monkeypatch.undo()

    assert len(finish_late_emergencies(following.a)) == 1


def test_what_the_leader_took_in_after_all_is_not_posted_twice(
    following: Following, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The leader orders it and its answer is lost on the way: an attempt is no proof that it failed."""
    monkeypatch.setattr(late_posting, "TRY_S", 0.2)
    submit = following.leader.submit

    def lose(raw: bytes) -> Future[Finality]:
        submit(raw).result(PATIENCE_S)
        return Future()

    monkeypatch.setattr(following.leader, "submit", lose)
    assert len(disclosures.answer_request(following.a, following.ask())) == 1
    monkeypatch.undo()
    assert until(following.is_level)

    assert finish_late_emergencies(following.a) == []
    assert following.list_told() == [EmergencyPostedLate]
