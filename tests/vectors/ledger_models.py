"""Cases of models: attested by all sites, stale or retired when patients leave, superseded when retrained."""

from typing import Any

from iamata.ledger.transactions.datasets import REPLACED_MAX, PostDataset
from iamata.ledger.transactions.models import RegisterModel
from iamata.ledger.transactions.runs import AttestRun, FailRun, StartRun
from iamata.model.reasons import Reason
from iamata.testing.vectors import Cases
from iamata.testing.world import Party, World
from ledger_datasets import build, replace_dataset, replace_often, retire
from ledger_runs import attest, finish, start, train
from ledger_studies import OWNER

CASES = Cases("models", rules=3)


def register(world: World, *, name: str = "model", run: str = "run", **changes: Any) -> dict[str, Any]:
    """Describe a model's registration."""
    fields = {
        "model": world.derive_id(name),
        "run": world.derive_id(run),
        "content": world.derive_commitment("model"),
        "card": world.derive_commitment("card"),
    }
    return fields | changes


def learn(world: World) -> Party:
    """Bring a model about."""
    rosa = start(world)
    finish(world)
    world.node(OWNER).author.submit(RegisterModel, **register(world))
    return rosa


def retrain(world: World, rosa: Party) -> bytes:
    """Let some leave, learn without them, and write that this model takes the first one's place."""
    replace_dataset(world, "hospital-b")
    datasets = (world.derive_id("dataset", "hospital-b", "reduced"), world.derive_id("dataset", "hospital-c", ""))
    world.node(OWNER).author.submit(StartRun, **train(world, rosa, name="second", datasets=datasets))
    finish(world, name="second")
    older = world.derive_id("model")
    fields = register(world, name="second-model", run="second", supersedes=older)
    return world.node(OWNER).author.write(RegisterModel, **fields)


@CASES.add("dataset.posted", "LED-DAT-5", why="Patients left: the models that learned from them turn stale.")
def accepts_a_dataset_that_replaces(world: World) -> bytes:
    learn(world)
    older = world.derive_id("dataset", "hospital-b", "")
    fields = build(world, "hospital-b", name="reduced", replaces=older)
    return world.node("hospital-b").author.write(PostDataset, **fields)


@CASES.add("dataset.retired", "LED-DAT-7", why="Too few left to be hidden by a new dataset: the old one goes.")
def accepts_dataset_retire(world: World) -> bytes:
    learn(world)
    return retire(world, "hospital-b", "")


@CASES.add(
    "dataset.retired",
    "LED-DAT-8",
    why="A stale model learned from those who leave now as well: it goes with the dataset in its own one's place.",
)
def accepts_the_end_of_what_replaced(world: World) -> bytes:
    learn(world)
    replace_dataset(world, "hospital-b")
    return retire(world, "hospital-b", "reduced")


@CASES.add("dataset.retired", "LED-DAT-8", why="A model in whose place another stands is superseded and stays so.")
def accepts_the_end_behind_a_superseded_model(world: World) -> bytes:
    world.memory.order([retrain(world, learn(world))])
    return retire(world, "hospital-b", "reduced")


@CASES.add(
    "dataset.posted",
    "LED-DAT-9",
    why="So many batches have left without a retraining: the oldest dataset goes, and its stale models.",
)
def accepts_a_dataset_that_leaves_the_oldest_behind(world: World) -> bytes:
    learn(world)
    last = replace_often(world, "hospital-b", REPLACED_MAX)
    older = world.derive_id("dataset", "hospital-b", last)
    fields = build(world, "hospital-b", name="one-more", replaces=older)
    return world.node("hospital-b").author.write(PostDataset, **fields)


@CASES.add(Reason.RUN_OVER, "LED-RUN-10", why="What is finished did not fail.")
def fail_what_is_finished(world: World) -> bytes:
    learn(world)
    fields = {"run": world.derive_id("run"), "reason": int(Reason.NODE_UNREACHABLE)}
    return world.node("hospital-b").author.write(FailRun, **fields)


@CASES.add("model.registered", "LED-MOD-1", why="All sites attest it, so it is the run's model.")
def accepts_model_register(world: World) -> bytes:
    start(world)
    finish(world)
    return world.node(OWNER).author.write(RegisterModel, **register(world))


@CASES.add(Reason.SITES_DISAGREE, "LED-MOD-1", why="A model that one site has not attested is not registered.")
def register_before_all_attest(world: World) -> bytes:
    start(world)
    world.node("hospital-b").author.submit(AttestRun, **attest(world))
    return world.node(OWNER).author.write(RegisterModel, **register(world))


@CASES.add(Reason.SITES_DISAGREE, "LED-MOD-1", why="A changed file is not the one that the sites attest.")
def register_another_file(world: World) -> bytes:
    start(world)
    finish(world)
    fields = register(world, content=world.derive_commitment("changed"))
    return world.node(OWNER).author.write(RegisterModel, **fields)


@CASES.add(Reason.NOT_THE_OWNER, "LED-MOD-1", why="The study's owner registers its models.")
def register_by_a_site(world: World) -> bytes:
    start(world)
    finish(world)
    return world.node("hospital-b").author.write(RegisterModel, **register(world))


@CASES.add(Reason.RUN_OVER, "LED-MOD-2", why="A run comes to one model.")
def register_twice(world: World) -> bytes:
    learn(world)
    return world.node(OWNER).author.write(RegisterModel, **register(world, name="second"))


@CASES.add(Reason.MODEL_ALREADY_EXISTS, "LED-MOD-2", why="A model's id is used once.")
def register_under_a_used_id(world: World) -> bytes:
    rosa = learn(world)
    world.node(OWNER).author.submit(StartRun, **train(world, rosa, name="second"))
    finish(world, name="second")
    return world.node(OWNER).author.write(RegisterModel, **register(world, run="second"))


@CASES.add(
    "model.registered",
    "LED-MOD-3",
    why="Patients left while it learned: the run finishes on its frozen dataset, the model is born stale.",
)
def accepts_a_model_that_is_born_stale(world: World) -> bytes:
    start(world)
    replace_dataset(world, "hospital-b")
    finish(world)
    return world.node(OWNER).author.write(RegisterModel, **register(world))


@CASES.add("model.registered", "LED-MOD-3", why="A dataset went while it learned: the model is born retired.")
def accepts_a_model_that_is_born_retired(world: World) -> bytes:
    start(world)
    world.memory.order([retire(world, "hospital-b", "")])
    finish(world)
    return world.node(OWNER).author.write(RegisterModel, **register(world))


@CASES.add(
    "model.registered",
    "LED-DAT-8",
    "LED-MOD-3",
    why="Its dataset was replaced while it learned, and what came in that one's place is gone.",
)
def accepts_a_model_that_is_born_after_the_end(world: World) -> bytes:
    start(world)
    replace_dataset(world, "hospital-b")
    world.memory.order([retire(world, "hospital-b", "reduced")])
    finish(world)
    return world.node(OWNER).author.write(RegisterModel, **register(world))


@CASES.add("model.registered", "LED-MOD-4", why="The retrained model takes the stale one's place.")
def accepts_a_model_that_supersedes(world: World) -> bytes:
    return retrain(world, learn(world))


@CASES.add("model.registered", "LED-MOD-5", why="A retired model is not to be used, whatever comes in its place.")
def accepts_a_model_in_a_retired_ones_place(world: World) -> bytes:
    rosa = learn(world)
    world.memory.order([retire(world, "hospital-b", "")])
    world.node("hospital-b").author.submit(PostDataset, **build(world, "hospital-b", name="next"))
    datasets = (world.derive_id("dataset", "hospital-b", "next"), world.derive_id("dataset", "hospital-c", ""))
    world.node(OWNER).author.submit(StartRun, **train(world, rosa, name="second", datasets=datasets))
    finish(world, name="second")
    older = world.derive_id("model")
    fields = register(world, name="second-model", run="second", supersedes=older)
    return world.node(OWNER).author.write(RegisterModel, **fields)


@CASES.add(Reason.UNKNOWN_MODEL, "LED-MOD-4", why="There has to be an older model.")
def supersede_nothing(world: World) -> bytes:
    start(world)
    finish(world)
    fields = register(world, supersedes=world.derive_id("nothing"))
    return world.node(OWNER).author.write(RegisterModel, **fields)
