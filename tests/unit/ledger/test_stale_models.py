"""A model that is stale goes with the dataset in its own one's place, or when too many have left since."""

from iamata.ledger.entries import DatasetStatus, ModelStatus
from iamata.ledger.tables import DATASETS, MODELS
from iamata.ledger.transactions.datasets import REPLACED_MAX
from iamata.ledger.transactions.models import RegisterModel
from iamata.testing.world import World
from ledger_datasets import replace_dataset, replace_often, retire
from ledger_models import learn, register, retrain
from ledger_runs import finish, start
from ledger_studies import OWNER

SITE = "hospital-b"


def tell_model(world: World, name: str = "model") -> ModelStatus:
    entry = MODELS.find(world.engine.snapshot(), world.derive_id(name))
    assert entry is not None
    return entry.status


def tell_dataset(world: World, name: str = "") -> DatasetStatus:
    entry = DATASETS.find(world.engine.snapshot(), world.derive_id("dataset", SITE, name))
    assert entry is not None
    return entry.status


def test_a_stale_model_goes_with_the_dataset_at_the_end_of_the_chain() -> None:
    world = World.found()
    learn(world)
    last = replace_often(world, SITE, 3)
    assert (tell_model(world), tell_dataset(world)) == (ModelStatus.STALE, DatasetStatus.REPLACED)

    world.memory.order([retire(world, SITE, last)])

    assert tell_model(world) is ModelStatus.RETIRED
    told = [tell_dataset(world, name) for name in ("", "reduced-0", "reduced-1", last)]
    assert told == [DatasetStatus.RETIRED] * 4


def test_a_superseded_model_stays_so_when_the_dataset_of_the_next_one_goes() -> None:
    world = World.found()
    world.memory.order([retrain(world, learn(world))])

    world.memory.order([retire(world, SITE, "reduced")])

    assert tell_model(world) is ModelStatus.SUPERSEDED
    assert tell_model(world, "second-model") is ModelStatus.RETIRED


def test_a_model_whose_run_outlives_all_of_a_chain_is_born_retired() -> None:
    world = World.found()
    start(world)
    replace_dataset(world, SITE)
    world.memory.order([retire(world, SITE, "reduced")])
    finish(world)

    world.node(OWNER).author.submit(RegisterModel, **register(world))

    assert tell_model(world) is ModelStatus.RETIRED


def test_a_model_is_stale_for_so_many_datasets_and_then_retires() -> None:
    world = World.found()
    learn(world)
    last = replace_often(world, SITE, REPLACED_MAX)
    assert tell_model(world) is ModelStatus.STALE

    replace_dataset(world, SITE, before=last)

    assert tell_model(world) is ModelStatus.RETIRED
    told = [tell_dataset(world, name) for name in ("", "reduced-0", last, "reduced")]
    assert told == [
        DatasetStatus.RETIRED,
        DatasetStatus.REPLACED,
        DatasetStatus.REPLACED,
        DatasetStatus.ACTIVE,
    ]
