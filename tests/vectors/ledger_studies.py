"""Cases of studies: proposed by a researcher, judged by reviewers of other members."""

from typing import Any

from iamata.ledger.entries import EhdsPurpose, Role
from iamata.ledger.transactions.proposals import OpenProposal, SuspendMember, CastVote
from iamata.ledger.transactions.studies import ProposeStudy, ReviewStudy, RevokePermit
from iamata.model.instants import MS_PER_DAY, Day
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


def suspend(world: World, member: str) -> None:
    """Vote a member out."""
    fields = propose(world, SuspendMember(member=member))  # type: ignore[arg-type]
    voters = [one for one in world.founders if one != member]
    world.administrator(voters[0]).author.submit(OpenProposal, **fields)
    for voter in voters[1:]:
        world.administrator(voter).author.submit(CastVote, proposal=fields["proposal"], is_approval=True)


@OLDER.add(Reason.UNKNOWN_TYPE, "LED-STU-1", why="Rules that do not know studies know none of their types.")
def propose_under_older_rules(world: World) -> bytes:
    return researcher(world).author.write(ProposeStudy, **describe(world))




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


