"""Cases of runs: authorised by a permit and datasets, within a budget, attested by every site."""

from typing import Any

from iamata.ledger.entries import Role
from iamata.ledger.transactions.datasets import ConfirmDataset
from iamata.ledger.transactions.persons import RevokePerson
from iamata.ledger.transactions.runs import AttestRun, FailRun, StartRun
from iamata.ledger.transactions.studies import RevokePermit
from iamata.model.instants import MS_PER_DAY, MS_PER_HOUR, Day, Instant
from iamata.model.reasons import Reason
from iamata.testing.vectors import Cases
from iamata.testing.world import Party, World
from ledger_datasets import post_datasets, replace_dataset
from ledger_studies import OWNER, SITES, grant_permit, suspend

CASES = Cases("runs", rules=3)


def train(world: World, rosa: Party, *, name: str = "run", **changes: Any) -> dict[str, Any]:
    """Describe a run on both datasets."""
    fields = {
        "run": world.derive_id(name),
        "study": world.derive_id("study"),
        "researcher": rosa.id,
        "code": world.derive_commitment("code"),
        "datasets": tuple(world.derive_id("dataset", site, "") for site in SITES),
        "spends_micro": 1_000_000,
        "until_ms": Instant(world.clock() + MS_PER_HOUR),
    }
    return fields | changes


def start(world: World, *, name: str = "run", **changes: Any) -> Party:
    """Let hospital A begin a run."""
    rosa = post_datasets(world)
    world.node(OWNER).author.submit(StartRun, **train(world, rosa, name=name, **changes))
    return rosa


def attest(world: World, *, name: str = "run", model: str = "model", **changes: Any) -> dict[str, Any]:
    """Describe a site's word."""
    fields = {
        "run": world.derive_id(name),
        "code": world.derive_commitment("code"),
        "model": world.derive_commitment(model),
        "transcript": world.derive_commitment("transcript"),
    }
    return fields | changes


def finish(world: World, *, name: str = "run") -> None:
    """Let both sites attest a run."""
    for site in SITES:
        world.node(site).author.submit(AttestRun, **attest(world, name=name))


@CASES.add("run.started", "LED-RUN-1", why="The owner's node begins a training for a researcher.")
def accepts_run_start(world: World) -> bytes:
    rosa = post_datasets(world)
    return world.node(OWNER).author.write(StartRun, **train(world, rosa))


@CASES.add(Reason.NOT_THE_OWNER, "LED-RUN-1", why="A site trains nothing for itself.")
def start_by_a_site(world: World) -> bytes:
    rosa = post_datasets(world)
    return world.node("hospital-b").author.write(StartRun, **train(world, rosa))


@CASES.add(Reason.PERMIT_NOT_ACTIVE, "LED-RUN-1", why="A permit that was taken back authorises nothing.")
def start_after_the_revocation(world: World) -> bytes:
    rosa = post_datasets(world)
    study, grounds = world.derive_id("study"), world.derive_commitment("done")
    world.node(OWNER).author.submit(RevokePermit, study=study, grounds=grounds)
    return world.node(OWNER).author.write(StartRun, **train(world, rosa))


@CASES.add(Reason.ROLE_MISSING, "LED-RUN-2", why="Somebody who is a researcher answers for a run.")
def start_for_a_clinician(world: World) -> bytes:
    post_datasets(world)
    clara = world.register_person("clara", member=OWNER)
    return world.node(OWNER).author.write(StartRun, **train(world, clara))


@CASES.add(Reason.PERSON_NOT_ACTIVE, "LED-RUN-2", why="Who has left the hospital trains nothing.")
def start_for_somebody_who_left(world: World) -> bytes:
    rosa = post_datasets(world)
    world.node(OWNER).author.submit(RevokePerson, person=rosa.id)
    return world.node(OWNER).author.write(StartRun, **train(world, rosa))


@CASES.add(Reason.UNKNOWN_PERSON, "LED-RUN-2", why="A researcher is somebody.")
def start_for_nobody(world: World) -> bytes:
    rosa = post_datasets(world)
    fields = train(world, rosa, researcher=world.derive_id("nobody"))
    return world.node(OWNER).author.write(StartRun, **fields)


@CASES.add(Reason.RUN_ALREADY_EXISTS, "LED-RUN-2", why="A run's id is used once.")
def start_twice(world: World) -> bytes:
    rosa = start(world)
    return world.node(OWNER).author.write(StartRun, **train(world, rosa, spends_micro=1))


@CASES.add(Reason.CODE_NOT_REVIEWED, "LED-RUN-3", why="What runs is what was reviewed.")
def start_other_code(world: World) -> bytes:
    rosa = post_datasets(world)
    fields = train(world, rosa, code=world.derive_commitment("other code"))
    return world.node(OWNER).author.write(StartRun, **fields)


@CASES.add(Reason.EXPIRES_TOO_LATE, "LED-RUN-4", why="A run is over within a day.")
def start_for_two_days(world: World) -> bytes:
    rosa = post_datasets(world)
    fields = train(world, rosa, until_ms=Instant(world.clock() + 2 * MS_PER_DAY))
    return world.node(OWNER).author.write(StartRun, **fields)


@CASES.add(Reason.UNKNOWN_DATASET, "LED-RUN-5", why="A run reads what was posted.")
def start_on_nothing(world: World) -> bytes:
    rosa = grant_permit(world)
    return world.node(OWNER).author.write(StartRun, **train(world, rosa))


@CASES.add(Reason.DATASET_NOT_ACTIVE, "LED-RUN-5", why="A dataset that was replaced still has those who left.")
def start_on_a_replaced_dataset(world: World) -> bytes:
    rosa = post_datasets(world)
    replace_dataset(world, "hospital-b")
    return world.node(OWNER).author.write(StartRun, **train(world, rosa))


@CASES.add(
    Reason.DATASET_NOT_ACTIVE,
    "LED-RUN-5",
    "LED-DAT-6",
    why="Without its custodian's word a dataset is overdue, and nothing learns from it.",
)
def start_on_an_overdue_dataset(world: World) -> bytes:
    rosa = post_datasets(world)
    world.clock.advance(31 * MS_PER_DAY)
    return world.node(OWNER).author.write(StartRun, **train(world, rosa))


@CASES.add(Reason.MALFORMED, "LED-RUN-5", why="A dataset read twice would count its patients twice.")
def start_on_one_dataset_twice(world: World) -> bytes:
    rosa = post_datasets(world)
    datasets = (world.derive_id("dataset", "hospital-b", ""),) * 2
    return world.node(OWNER).author.write(StartRun, **train(world, rosa, datasets=datasets))


@CASES.add(Reason.MEMBER_NOT_ACTIVE, "LED-RUN-5", why="A suspended site's dataset is not learned from.")
def start_on_a_suspended_sites_dataset(world: World) -> bytes:
    rosa = post_datasets(world)
    suspend(world, "hospital-c")
    return world.node(OWNER).author.write(StartRun, **train(world, rosa))


@CASES.add(Reason.BUDGET_EXHAUSTED, "LED-RUN-6", why="A study spends what its reviewers granted.")
def start_beyond_the_studys_budget(world: World) -> bytes:
    rosa = start(world, spends_micro=1_500_000)
    fields = train(world, rosa, name="second", spends_micro=500_001)
    return world.node(OWNER).author.write(StartRun, **fields)


@CASES.add(Reason.BUDGET_EXHAUSTED, "LED-RUN-6", why="Where noise was promised no sum is exact.")
def start_without_noise(world: World) -> bytes:
    rosa = post_datasets(world)
    return world.node(OWNER).author.write(StartRun, **train(world, rosa, spends_micro=0))


@CASES.add(Reason.BUDGET_EXHAUSTED, "LED-RUN-7", why="A custodian's patients give so much of their privacy a year.")
def start_beyond_the_custodians_year(world: World) -> bytes:
    rosa = post_datasets(world, budget_micro=20_000_000)
    world.node(OWNER).author.submit(StartRun, **train(world, rosa, spends_micro=10_000_000))
    fields = train(world, rosa, name="second", spends_micro=1)
    return world.node(OWNER).author.write(StartRun, **fields)


@CASES.add("run.started", "LED-RUN-7", why="After a year what was spent is forgotten.")
def accepts_a_run_a_year_later(world: World) -> bytes:
    rosa = post_datasets(world, budget_micro=20_000_000, until_day=Day(world.today + 1_000))
    world.node(OWNER).author.submit(StartRun, **train(world, rosa, spends_micro=10_000_000))
    world.clock.advance(365 * MS_PER_DAY)
    for site in SITES:
        dataset = world.derive_id("dataset", site, "")
        world.node(site).author.submit(ConfirmDataset, dataset=dataset)
    fields = train(world, rosa, name="second", spends_micro=10_000_000)
    return world.node(OWNER).author.write(StartRun, **fields)


@CASES.add("run.attested", "LED-RUN-8", why="A site says what it computed.")
def accepts_run_attest(world: World) -> bytes:
    start(world)
    return world.node("hospital-b").author.write(AttestRun, **attest(world))


@CASES.add(Reason.UNKNOWN_RUN, "LED-RUN-8", why="There has to be a run.")
def attest_no_run(world: World) -> bytes:
    return world.node("hospital-b").author.write(AttestRun, **attest(world))


@CASES.add(Reason.NOT_A_SITE, "LED-RUN-8", why="Who gave no dataset computed nothing.")
def attest_by_no_site(world: World) -> bytes:
    start(world)
    return world.node(OWNER).author.write(AttestRun, **attest(world))


@CASES.add(Reason.CODE_NOT_REVIEWED, "LED-RUN-8", why="A site attests the code that was reviewed.")
def attest_other_code(world: World) -> bytes:
    start(world)
    fields = attest(world, code=world.derive_commitment("other code"))
    return world.node("hospital-b").author.write(AttestRun, **fields)


@CASES.add(Reason.ALREADY_ATTESTED, "LED-RUN-8", why="A word is given once.")
def attest_twice(world: World) -> bytes:
    start(world)
    world.node("hospital-b").author.submit(AttestRun, **attest(world))
    return world.node("hospital-b").author.write(AttestRun, **attest(world))


@CASES.add(Reason.SITES_DISAGREE, "LED-RUN-9", why="Sites that saw different sums make no model.")
def attest_another_model(world: World) -> bytes:
    start(world)
    world.node("hospital-b").author.submit(AttestRun, **attest(world))
    return world.node("hospital-c").author.write(AttestRun, **attest(world, model="another"))


@CASES.add(Reason.RUN_OVER, "LED-RUN-4", why="After its time a run comes to nothing.")
def attest_too_late(world: World) -> bytes:
    start(world)
    world.clock.advance(2 * MS_PER_HOUR)
    return world.node("hospital-b").author.write(AttestRun, **attest(world))


@CASES.add("run.failed", "LED-RUN-10", why="A site died, and everybody may know why there is no model.")
def accepts_run_fail(world: World) -> bytes:
    start(world)
    fields = {"run": world.derive_id("run"), "reason": int(Reason.NODE_UNREACHABLE)}
    return world.node("hospital-b").author.write(FailRun, **fields)


@CASES.add(Reason.NOT_A_SITE, "LED-RUN-10", why="Who has no part in a run does not end it.")
def fail_by_a_bystander(world: World) -> bytes:
    start(world)
    fields = {"run": world.derive_id("run"), "reason": int(Reason.NODE_UNREACHABLE)}
    return world.node("regulator").author.write(FailRun, **fields)


