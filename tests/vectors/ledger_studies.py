"""Cases of studies, datasets, runs and models: reviewed, authorised, attested, and undone by withdrawal."""

from typing import Any

from iamata.ledger.entries import EhdsPurpose, Role
from iamata.ledger.transactions.datasets import ConfirmDataset, PostDataset, RetireDataset
from iamata.ledger.transactions.models import RegisterModel
from iamata.ledger.transactions.persons import RevokePerson
from iamata.ledger.transactions.proposals import OpenProposal, SuspendMember, CastVote
from iamata.ledger.transactions.runs import AttestRun, FailRun, StartRun
from iamata.ledger.transactions.studies import ProposeStudy, ReviewStudy, RevokePermit
from iamata.model.instants import MS_PER_DAY, MS_PER_HOUR, Day, Instant
from iamata.model.reasons import Reason
from iamata.testing.vectors import Cases
from iamata.testing.world import Party, World
from ledger_proposals import propose

CASES = Cases("studies", rules=3)
OLDER = Cases("studies-older", rules=2)
SITES = ("hospital-b", "hospital-c")
OWNER = "hospital-a"
REVIEWERS = ("hospital-b", "regulator")


def researcher(world: World, *, member: str = OWNER, name: str = "rosa") -> Party:
    """Give somebody the researcher's role."""
    return world.register_person(name, member=member, roles=(Role.RESEARCHER,))


def reviewer(world: World, member: str) -> Party:
    """Give a member a reviewer."""
    return world.register_person(f"reviewer-{member}", member=member, roles=(Role.REVIEWER,))


def describe(world: World, **changes: Any) -> dict[str, Any]:
    """Describe a study of hospital A at the two others."""
    fields = {
        "study": world.derive_id("study"),
        "protocol": world.derive_commitment("protocol"),
        "code": world.derive_commitment("code"),
        "uses": ("DUO:0000006", "DUO:0000045"),
        "purpose": EhdsPurpose.RESEARCH,
        "is_prohibited_use_excluded": True,
        "sites": SITES,
        "budget_micro": 2_000_000,
        "until_day": Day(world.today + 365),
    }
    return fields | changes


def judge(world: World, *, is_approval: bool = True, **changes: Any) -> dict[str, Any]:
    """Describe a review."""
    fields = {
        "study": world.derive_id("study"),
        "protocol": world.derive_commitment("protocol"),
        "code": world.derive_commitment("code"),
        "is_approval": is_approval,
        "grounds": world.derive_commitment("grounds"),
    }
    return fields | changes


def submit_study(world: World, **changes: Any) -> Party:
    """Let Rosa of hospital A propose a study."""
    rosa = researcher(world)
    rosa.author.submit(ProposeStudy, **describe(world, **changes))
    return rosa


def grant_permit(world: World, **changes: Any) -> Party:
    """Let reviewers of two members approve it."""
    rosa = submit_study(world, **changes)
    for member in REVIEWERS:
        reviewer(world, member).author.submit(ReviewStudy, **judge(world))
    return rosa


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


def replace_dataset(world: World, site: str) -> None:
    """Let a site post its dataset without those who left."""
    older = world.derive_id("dataset", site, "")
    world.node(site).author.submit(PostDataset, **build(world, site, name="reduced", replaces=older))


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


def suspend(world: World, member: str) -> None:
    """Vote a member out."""
    fields = propose(world, SuspendMember(member=member))  # type: ignore[arg-type]
    voters = [one for one in world.founders if one != member]
    world.administrator(voters[0]).author.submit(OpenProposal, **fields)
    for voter in voters[1:]:
        world.administrator(voter).author.submit(CastVote, proposal=fields["proposal"], is_approval=True)


# Older rules


@OLDER.add(Reason.UNKNOWN_TYPE, "LED-STU-1", why="Rules that do not know studies know none of their types.")
def propose_under_older_rules(world: World) -> bytes:
    return researcher(world).author.write(ProposeStudy, **describe(world))


# Studies


@CASES.add("study.proposed", "LED-STU-1", "LED-STU-2", why="A researcher asks for a permit by an own key.")
def accepts_study_propose(world: World) -> bytes:
    return researcher(world).author.write(ProposeStudy, **describe(world))


@CASES.add(Reason.NOT_THE_PERSON, "LED-STU-2", why="A node asks for nothing: a researcher answers for a study.")
def propose_by_a_node(world: World) -> bytes:
    return world.node(OWNER).author.write(ProposeStudy, **describe(world))


@CASES.add(Reason.ROLE_MISSING, "LED-STU-2", why="A clinician is no researcher.")
def propose_without_the_role(world: World) -> bytes:
    clara = world.register_person("clara", member=OWNER)
    return clara.author.write(ProposeStudy, **describe(world))


@CASES.add(Reason.STUDY_ALREADY_EXISTS, "LED-STU-2", why="A study's id is used once.")
def propose_twice(world: World) -> bytes:
    rosa = submit_study(world)
    return rosa.author.write(ProposeStudy, **describe(world, until_day=world.today))


@CASES.add(Reason.PURPOSE_PROHIBITED, "LED-STU-3", why="No permit without ruling out what is prohibited.")
def propose_without_the_declaration(world: World) -> bytes:
    return researcher(world).author.write(ProposeStudy, **describe(world, is_prohibited_use_excluded=False))


@CASES.add(Reason.PURPOSE_PROHIBITED, "LED-STU-3", why="Official statistics are a public body's affair.")
def propose_statistics_as_a_hospital(world: World) -> bytes:
    fields = describe(world, purpose=EhdsPurpose.STATISTICS)
    return researcher(world).author.write(ProposeStudy, **fields)


@CASES.add("study.proposed", "LED-STU-3", why="A regulator may ask for statistics.")
def accepts_statistics_for_a_regulator(world: World) -> bytes:
    rosa = researcher(world, member="regulator")
    return rosa.author.write(ProposeStudy, **describe(world, purpose=EhdsPurpose.STATISTICS))


@CASES.add(Reason.MALFORMED, "LED-STU-4", why="Sites stand in one order, so that a study has one spelling.")
def propose_with_sites_out_of_order(world: World) -> bytes:
    return researcher(world).author.write(ProposeStudy, **describe(world, sites=SITES[::-1]))


@CASES.add(Reason.MALFORMED, "LED-STU-4", why="A use is named once.")
def propose_with_a_use_twice(world: World) -> bytes:
    fields = describe(world, uses=("DUO:0000006", "DUO:0000006"))
    return researcher(world).author.write(ProposeStudy, **fields)


@CASES.add(Reason.UNKNOWN_MEMBER, "LED-STU-4", why="A site is a member.")
def propose_at_nobodys_site(world: World) -> bytes:
    return researcher(world).author.write(ProposeStudy, **describe(world, sites=("hospital-z",)))


@CASES.add(Reason.MEMBER_NOT_ACTIVE, "LED-STU-4", why="Who is suspended is not asked.")
def propose_at_a_suspended_site(world: World) -> bytes:
    suspend(world, "hospital-c")
    return researcher(world).author.write(ProposeStudy, **describe(world))


@CASES.add(Reason.EXPIRED, "LED-STU-5", why="A permit lasts ten years at most.")
def propose_for_too_long(world: World) -> bytes:
    fields = describe(world, until_day=Day(world.today + 3_654))
    return researcher(world).author.write(ProposeStudy, **fields)


@CASES.add(Reason.EXPIRED, "LED-STU-5", why="A permit for yesterday is none.")
def propose_for_yesterday(world: World) -> bytes:
    fields = describe(world, until_day=Day(world.today - 1))
    return researcher(world).author.write(ProposeStudy, **fields)


# Reviews


@CASES.add("study.reviewed", "LED-STU-6", why="A reviewer of another member approves; one is not enough.")
def accepts_study_review(world: World) -> bytes:
    submit_study(world)
    return reviewer(world, "hospital-b").author.write(ReviewStudy, **judge(world))


@CASES.add("study.reviewed", "LED-STU-7", why="The second approval grants the permit.")
def accepts_the_review_that_grants(world: World) -> bytes:
    submit_study(world)
    reviewer(world, "hospital-b").author.submit(ReviewStudy, **judge(world))
    return reviewer(world, "regulator").author.write(ReviewStudy, **judge(world))


@CASES.add("study.reviewed", "LED-STU-7", why="The second rejection refuses it for good.")
def accepts_the_review_that_refuses(world: World) -> bytes:
    submit_study(world)
    reviewer(world, "hospital-b").author.submit(ReviewStudy, **judge(world, is_approval=False))
    return reviewer(world, "regulator").author.write(ReviewStudy, **judge(world, is_approval=False))


@CASES.add(Reason.STUDY_NOT_UNDER_REVIEW, "LED-STU-7", why="What is decided is not judged again.")
def review_what_is_granted(world: World) -> bytes:
    grant_permit(world)
    return reviewer(world, "hospital-c").author.write(ReviewStudy, **judge(world, is_approval=False))


@CASES.add(Reason.UNKNOWN_STUDY, "LED-STU-6", why="There has to be a study.")
def review_an_unknown_study(world: World) -> bytes:
    return reviewer(world, "hospital-b").author.write(ReviewStudy, **judge(world))


@CASES.add(Reason.ROLE_MISSING, "LED-STU-6", why="A researcher is no reviewer.")
def review_without_the_role(world: World) -> bytes:
    submit_study(world)
    other = researcher(world, member="hospital-b", name="roland")
    return other.author.write(ReviewStudy, **judge(world))


@CASES.add(Reason.REVIEWER_NOT_INDEPENDENT, "LED-STU-6", why="Nobody judges the own member's study.")
def review_the_own_study(world: World) -> bytes:
    submit_study(world)
    return reviewer(world, OWNER).author.write(ReviewStudy, **judge(world))


@CASES.add(Reason.ALREADY_REVIEWED, "LED-STU-6", why="A member counts once, whatever it said first.")
def review_twice_for_one_member(world: World) -> bytes:
    submit_study(world)
    reviewer(world, "hospital-b").author.submit(ReviewStudy, **judge(world, is_approval=False))
    other = world.register_person("rudolf", member="hospital-b", roles=(Role.REVIEWER,))
    return other.author.write(ReviewStudy, **judge(world))


@CASES.add(Reason.CODE_NOT_REVIEWED, "LED-STU-8", why="Who read other code did not review this study.")
def review_other_code(world: World) -> bytes:
    submit_study(world)
    fields = judge(world, code=world.derive_commitment("other code"))
    return reviewer(world, "hospital-b").author.write(ReviewStudy, **fields)


@CASES.add(Reason.EXPIRED, "LED-STU-9", why="After three months a study has to be proposed anew.")
def review_too_late(world: World) -> bytes:
    submit_study(world)
    rita = reviewer(world, "hospital-b")
    world.clock.advance(91 * MS_PER_DAY)
    return rita.author.write(ReviewStudy, **judge(world))


@CASES.add("study.revoked", "LED-STU-10", why="A member that granted a permit takes it back.")
def accepts_study_revoke(world: World) -> bytes:
    submit_study(world)
    rita = reviewer(world, "hospital-b")
    rita.author.submit(ReviewStudy, **judge(world))
    reviewer(world, "regulator").author.submit(ReviewStudy, **judge(world))
    study, grounds = world.derive_id("study"), world.derive_commitment("breach")
    return rita.author.write(RevokePermit, study=study, grounds=grounds)


@CASES.add("study.revoked", "LED-STU-10", why="The owner gives its permit back.")
def accepts_a_revocation_by_the_owner(world: World) -> bytes:
    grant_permit(world)
    study, grounds = world.derive_id("study"), world.derive_commitment("done")
    return world.node(OWNER).author.write(RevokePermit, study=study, grounds=grounds)


@CASES.add(Reason.REVIEWER_NOT_INDEPENDENT, "LED-STU-10", why="Who did not grant it does not take it away.")
def revoke_what_others_granted(world: World) -> bytes:
    grant_permit(world)
    study, grounds = world.derive_id("study"), world.derive_commitment("envy")
    return reviewer(world, "hospital-c").author.write(RevokePermit, study=study, grounds=grounds)


@CASES.add(Reason.NOT_THE_OWNER, "LED-STU-10", why="Another member's node has no say.")
def revoke_by_another_node(world: World) -> bytes:
    grant_permit(world)
    study, grounds = world.derive_id("study"), world.derive_commitment("envy")
    return world.node("hospital-c").author.write(RevokePermit, study=study, grounds=grounds)


@CASES.add(Reason.PERMIT_NOT_ACTIVE, "LED-STU-10", why="What was never granted cannot be revoked.")
def revoke_what_is_not_granted(world: World) -> bytes:
    submit_study(world)
    study, grounds = world.derive_id("study"), world.derive_commitment("done")
    return world.node(OWNER).author.write(RevokePermit, study=study, grounds=grounds)


# Datasets


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


@CASES.add("dataset.posted", "LED-DAT-5", why="Patients left: the models that learned from them turn stale.")
def accepts_a_dataset_that_replaces(world: World) -> bytes:
    learn(world)
    older = world.derive_id("dataset", "hospital-b", "")
    fields = build(world, "hospital-b", name="reduced", replaces=older)
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


@CASES.add("dataset.retired", "LED-DAT-7", why="Too few left to be hidden by a new dataset: the old one goes.")
def accepts_dataset_retire(world: World) -> bytes:
    learn(world)
    dataset = world.derive_id("dataset", "hospital-b", "")
    return world.node("hospital-b").author.write(RetireDataset, dataset=dataset)


@CASES.add(Reason.DATASET_NOT_ACTIVE, "LED-DAT-7", why="What is over does not end again.")
def retire_what_is_replaced(world: World) -> bytes:
    post_datasets(world)
    replace_dataset(world, "hospital-b")
    dataset = world.derive_id("dataset", "hospital-b", "")
    return world.node("hospital-b").author.write(RetireDataset, dataset=dataset)


# Runs


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


@CASES.add(Reason.RUN_OVER, "LED-RUN-10", why="What is finished did not fail.")
def fail_what_is_finished(world: World) -> bytes:
    learn(world)
    fields = {"run": world.derive_id("run"), "reason": int(Reason.NODE_UNREACHABLE)}
    return world.node("hospital-b").author.write(FailRun, **fields)


# Models


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
    dataset = world.derive_id("dataset", "hospital-b", "")
    world.node("hospital-b").author.submit(RetireDataset, dataset=dataset)
    finish(world)
    return world.node(OWNER).author.write(RegisterModel, **register(world))


@CASES.add("model.registered", "LED-MOD-4", why="The retrained model takes the stale one's place.")
def accepts_a_model_that_supersedes(world: World) -> bytes:
    rosa = learn(world)
    replace_dataset(world, "hospital-b")
    datasets = (world.derive_id("dataset", "hospital-b", "reduced"), world.derive_id("dataset", "hospital-c", ""))
    fields = train(world, rosa, name="second", datasets=datasets)
    world.node(OWNER).author.submit(StartRun, **fields)
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
