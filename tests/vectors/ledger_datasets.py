"""Cases of datasets: posted under a permit, confirmed, replaced when patients leave, retired."""

from typing import Any

from iamata.ledger.transactions.datasets import ConfirmDataset, PostDataset, RetireDataset
from iamata.model.instants import MS_PER_DAY
from iamata.model.reasons import Reason
from iamata.testing.vectors import Cases
from iamata.testing.world import Party, World
from ledger_studies import OWNER, SITES, grant_permit, submit_study

CASES = Cases("datasets", rules=3)


def build(world: World, site: str, *, name: str = "", **changes: Any) -> dict[str, Any]:
    """Describe a site's dataset."""
    fields = {
        "dataset": world.derive_id("dataset", site, name),
        "study": world.derive_id("study"),
        "members": world.derive_commitment("members", site, name),
        "leaves": 64,
        "consents": world.derive_commitment("consents", site, name),
        "height": 1,
    }
    return fields | changes


def post_datasets(world: World, **changes: Any) -> Party:
    """Let both sites post their datasets."""
    rosa = grant_permit(world, **changes)
    for site in SITES:
        world.node(site).author.submit(PostDataset, **build(world, site))
    return rosa


def retire(world: World, site: str, name: str) -> bytes:
    """Write that a site's dataset goes."""
    return world.node(site).author.write(RetireDataset, dataset=world.derive_id("dataset", site, name))


def replace_dataset(world: World, site: str, *, before: str = "", name: str = "reduced") -> None:
    """Let a site post its dataset without those who left."""
    older = world.derive_id("dataset", site, before)
    world.node(site).author.submit(PostDataset, **build(world, site, name=name, replaces=older))


def replace_often(world: World, site: str, times: int) -> str:
    """Let a site post a dataset without those who left so many times, and return the last one's name."""
    before = ""
    for number in range(times):
        replace_dataset(world, site, before=before, name=f"reduced-{number}")
        before = f"reduced-{number}"
    return before


@CASES.add("dataset.posted", "LED-DAT-1", why="A site commits to its table under the permit.")
def accepts_dataset_post(world: World) -> bytes:
    grant_permit(world)
    return world.node("hospital-b").author.write(PostDataset, **build(world, "hospital-b"))


@CASES.add(Reason.PERMIT_NOT_ACTIVE, "LED-DAT-1", why="Without a permit nothing is built.")
def post_without_a_permit(world: World) -> bytes:
    submit_study(world)
    return world.node("hospital-b").author.write(PostDataset, **build(world, "hospital-b"))


@CASES.add(Reason.PERMIT_NOT_ACTIVE, "LED-DAT-1", "LED-TIME-4", why="A permit ends with its last day.")
def post_after_the_permits_last_day(world: World) -> bytes:
    grant_permit(world, until_day=world.today)
    world.clock.advance(MS_PER_DAY)
    return world.node("hospital-b").author.write(PostDataset, **build(world, "hospital-b"))


@CASES.add(Reason.NOT_A_SITE, "LED-DAT-1", why="Who was not asked has nothing to post.")
def post_by_no_site(world: World) -> bytes:
    grant_permit(world)
    return world.node(OWNER).author.write(PostDataset, **build(world, OWNER))


@CASES.add(Reason.UNKNOWN_STUDY, "LED-DAT-1", why="A dataset is some study's.")
def post_for_no_study(world: World) -> bytes:
    return world.node("hospital-b").author.write(PostDataset, **build(world, "hospital-b"))


@CASES.add(Reason.DATASET_ALREADY_EXISTS, "LED-DAT-2", why="A dataset's id is used once.")
def post_twice(world: World) -> bytes:
    post_datasets(world)
    return world.node("hospital-c").author.write(
        PostDataset, **build(world, "hospital-c", dataset=world.derive_id("dataset", "hospital-b", ""))
    )


@CASES.add(Reason.MALFORMED, "LED-DAT-3", why="How many patients there are is told in bands only.")
def post_a_number_of_patients(world: World) -> bytes:
    grant_permit(world)
    return world.node("hospital-b").author.write(PostDataset, **build(world, "hospital-b", leaves=63))


@CASES.add(Reason.MALFORMED, "LED-DAT-3", why="Consents cannot have been asked in the future.")
def post_from_a_height_to_come(world: World) -> bytes:
    grant_permit(world)
    height = world.memory.state.height + 1
    return world.node("hospital-b").author.write(PostDataset, **build(world, "hospital-b", height=height))


@CASES.add(
    Reason.DATASET_NOT_ACTIVE,
    "LED-DAT-4",
    why="Two datasets of one site at a time would differ by the patients that one of them lacks.",
)
def post_a_second_beside_the_first(world: World) -> bytes:
    post_datasets(world)
    return world.node("hospital-b").author.write(PostDataset, **build(world, "hospital-b", name="second"))


@CASES.add(Reason.DATASET_NOT_ACTIVE, "LED-DAT-4", why="A site replaces its own dataset.")
def post_in_place_of_anothers(world: World) -> bytes:
    post_datasets(world)
    other = world.derive_id("dataset", "hospital-c", "")
    fields = build(world, "hospital-b", name="second", replaces=other)
    return world.node("hospital-b").author.write(PostDataset, **fields)


@CASES.add("dataset.confirmed", "LED-DAT-6", why="The custodian keeps saying that nobody waits too long.")
def accepts_dataset_confirm(world: World) -> bytes:
    post_datasets(world)
    dataset = world.derive_id("dataset", "hospital-b", "")
    return world.node("hospital-b").author.write(ConfirmDataset, dataset=dataset)


@CASES.add(Reason.NOT_THE_CUSTODIAN, "LED-DAT-6", why="Nobody else gives the custodian's word.")
def confirm_anothers(world: World) -> bytes:
    post_datasets(world)
    dataset = world.derive_id("dataset", "hospital-b", "")
    return world.node("hospital-c").author.write(ConfirmDataset, dataset=dataset)


@CASES.add(Reason.UNKNOWN_DATASET, "LED-DAT-6", why="There has to be a dataset.")
def confirm_an_unknown_one(world: World) -> bytes:
    return world.node("hospital-b").author.write(ConfirmDataset, dataset=world.derive_id("nothing"))


@CASES.add(Reason.DATASET_NOT_ACTIVE, "LED-DAT-7", why="What is over does not end again.")
def retire_what_is_replaced(world: World) -> bytes:
    post_datasets(world)
    replace_dataset(world, "hospital-b")
    return retire(world, "hospital-b", "")


