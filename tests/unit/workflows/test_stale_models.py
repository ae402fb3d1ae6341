"""Patients leave in two batches, and nobody learns in between: no model that knows them stays in use."""

from typing import Any

import msgspec
import pytest

from iamata.ledger.entries import Model, ModelStatus
from iamata.ledger.tables import MODELS
from iamata.model.canonical import encode_struct
from iamata.model.ids import ModelId
from iamata.model.instants import MS_PER_DAY, Instant
from iamata.model.reasons import Reason, Refused
from iamata.ports import LedgerView
from iamata.testing.learning import OWNER, SITES, StudyWorld
from iamata.workflows import withdrawals
from iamata.workflows.model_uses import fetch_model
from iamata.workflows.model_verification import Evidence, Statement, verify_model

SITE = SITES[1]


class Forged:
    """A ledger that has a model at another status."""

    def __init__(self, view: LedgerView, model: ModelId, status: ModelStatus) -> None:
        self._view, self._key = view, MODELS.key(model)
        self._value = encode_struct(msgspec.structs.replace(find_model(view, model), status=status))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._view, name)

    def get(self, key: bytes) -> bytes | None:
        return self._value if key == self._key else self._view.get(key)


def find_model(view: LedgerView, model: ModelId) -> Model:
    entry = MODELS.find(view, model)
    assert entry is not None
    return entry


def check_standing(world: StudyWorld, model: ModelId, status: ModelStatus) -> Statement:
    """Verify a model's standing on a ledger that has it at some status."""
    view: Any = Forged(world.world.engine.snapshot(), model, status)
    evidence = Evidence(
        view=view,
        networks=(world.world.engine.network,),
        at_ms=Instant(world.world.clock()),
        read_log=list,
        tell_block_ms=lambda _: Instant(0),
        custodies={},
        find_document=lambda _: None,
    )
    (standing,) = (one for one in verify_model(evidence, model) if one.name == "standing")
    return standing


def test_two_batches_without_a_retraining_leave_no_stale_model_in_use() -> None:
    world = StudyWorld(patients=40)
    for site in SITES:
        world.build(site)
    superseded, stale = world.learn(), world.learn()
    institute, office = world.offices[OWNER], world.offices[SITE]
    world.withdraw(SITE, 10)
    assert withdrawals.look_after(office, world.study) is withdrawals.Step.REPLACED
    current = world.learn(supersedes=superseded)
    before = find_model(world.world.engine.snapshot(), stale)
    assert before.status is ModelStatus.STALE
    assert fetch_model(institute, stale, lambda *_: b"").file == world.read_model(before.content)

    world.withdraw(SITE, 3)
    world.world.clock.advance(26 * MS_PER_DAY)
    assert withdrawals.look_after(office, world.study) is withdrawals.Step.RETIRED

    view = world.world.engine.snapshot()
    statuses = [find_model(view, one).status for one in (superseded, stale, current)]
    assert statuses == [ModelStatus.SUPERSEDED, ModelStatus.RETIRED, ModelStatus.RETIRED]
    with pytest.raises(Refused) as refused:
        fetch_model(institute, stale, lambda *_: b"")
    assert (refused.value.reason, refused.value.detail) == (Reason.MODEL_NOT_IN_USE, "it is retired")
    told = {status: check_standing(world, stale, status) for status in ModelStatus}
    assert [status for status in told if told[status].holds] == [
        ModelStatus.RETIRED,
        ModelStatus.SUPERSEDED,
    ]
    assert "its datasets: hospital-a active, hospital-b retired" in told[ModelStatus.RETIRED].says
