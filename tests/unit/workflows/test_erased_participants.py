"""Who is erased leaves a dataset without noise at once, and takes it along where too few leave."""

from iamata.learning.protocols import is_kept_out
from iamata.ledger.entries import ModelStatus
from iamata.ledger.tables import MODELS
from iamata.model.ids import ModelId
from iamata.testing.learning import SITES, StudyWorld, write_protocol
from iamata.workflows import erasures, withdrawals

SITE = SITES[1]


def tell_status(world: StudyWorld, model: ModelId) -> ModelStatus:
    entry = MODELS.find(world.world.engine.snapshot(), model)
    assert entry is not None
    return entry.status


def test_with_one_who_is_erased_a_dataset_without_noise_goes_at_once() -> None:
    world = StudyWorld(patients=24)
    for site in SITES:
        world.build(site)
    model, office = world.learn(), world.offices[SITE]

    erasures.erase_patient(office, next(iter(world.rows[SITE])))

    assert withdrawals.look_after(office, world.study) is withdrawals.Step.RETIRED
    assert tell_status(world, model) is ModelStatus.RETIRED
    assert tell_status(world, world.learn()) is ModelStatus.CURRENT  # of the other three


def test_ten_of_whom_one_is_erased_leave_together_and_the_model_is_learned_anew() -> None:
    world = StudyWorld(patients=24)
    for site in SITES:
        world.build(site)
    model, office = world.learn(), world.offices[SITE]
    left = world.withdraw(SITE, 10)

    erasures.erase_patient(office, left[0])

    assert withdrawals.look_after(office, world.study) is withdrawals.Step.REPLACED
    world.learn(supersedes=model)


def test_with_one_who_is_kept_out_and_erased_the_dataset_goes_on_without_its_holdout() -> None:
    world = StudyWorld(patients=80, protocol=write_protocol(holdout_percent=30))
    world.build(SITE)
    kept_out = next(one for one in world.rows[SITE] if is_kept_out(world.protocol, one))

    erasures.erase_patient(world.offices[SITE], kept_out)

    assert withdrawals.look_after(world.offices[SITE], world.study) is withdrawals.Step.REPLACED
