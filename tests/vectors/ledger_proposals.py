"""Cases of proposals: who may open and vote, when they are carried out, what they change."""

from typing import Any

import msgspec

from iamata.ledger.entries import Role
from iamata.ledger.parameters import DEFAULT_PARAMETERS
from iamata.ledger.transactions.emergencies import DeclareEmergency, ReviewEmergency
from iamata.ledger.transactions.members import ApplyAsMember, LeaveNetwork
from iamata.ledger.transactions.proposals import (
    AdmitMember,
    CastVote,
    OpenProposal,
    ReinstateMember,
    RestorePrivilege,
    SetParameters,
    SuspendMember,
)
from iamata.model.ids import MemberId
from iamata.model.instants import MS_PER_DAY, MS_PER_HOUR
from iamata.model.reasons import Reason
from iamata.testing.vectors import Cases
from iamata.testing.world import World
from ledger_members import apply_with, submit_invitation, suspend

CASES = Cases("proposals")


def propose(world: World, action: Any, *, days: int = 7) -> dict[str, Any]:
    """Describe a proposal."""
    return {"proposal": world.derive_id("proposal"), "action": action, "until_day": world.today + days}


def open_one(world: World, action: Any) -> dict[str, Any]:
    """Let hospital A open a proposal; return what a vote in favour says."""
    fields = propose(world, action)
    world.administrator("hospital-a").author.submit(OpenProposal, **fields)
    return {"proposal": fields["proposal"], "is_approval": True}


def change(**changes: int) -> SetParameters:
    """Propose other parameters."""
    return SetParameters(parameters=msgspec.structs.replace(DEFAULT_PARAMETERS, **changes))


SHORTER = change(confirm_days=30)


@CASES.add("proposal.opened", "LED-PRO-5", why="An administrator asks the members.")
def accepts_proposal_open(world: World) -> bytes:
    return world.administrator("hospital-a").author.write(OpenProposal, **propose(world, SHORTER))


@CASES.add(Reason.NOT_THE_PERSON, "LED-PRO-1", why="A node alone cannot vote: a human being signs.")
def open_by_a_node(world: World) -> bytes:
    return world.node("hospital-a").author.write(OpenProposal, **propose(world, SHORTER))


@CASES.add(Reason.ROLE_MISSING, "LED-PRO-1", why="A clinician does not vote for the hospital.")
def open_by_a_clinician(world: World) -> bytes:
    clara = world.register_person("clara", member="hospital-a")
    return clara.author.write(OpenProposal, **propose(world, SHORTER))


@CASES.add(Reason.MEMBER_NOT_ACTIVE, "LED-PRO-1", "LED-PER-6", why="A suspended member has no say.")
def open_for_a_suspended_member(world: World) -> bytes:
    suspend(world, "hospital-c")
    return world.administrator("hospital-c").author.write(OpenProposal, **propose(world, SHORTER))


@CASES.add(Reason.PROPOSAL_ALREADY_EXISTS, "LED-PRO-2", why="A proposal's id is used once.")
def open_twice(world: World) -> bytes:
    open_one(world, SHORTER)
    return world.administrator("hospital-b").author.write(OpenProposal, **propose(world, SHORTER))


@CASES.add(Reason.PROPOSAL_CLOSED, "LED-PRO-3", why="No proposal stays open without end.")
def open_for_too_long(world: World) -> bytes:
    return world.administrator("hospital-a").author.write(OpenProposal, **propose(world, SHORTER, days=31))


@CASES.add(Reason.PARAMETER_OUT_OF_RANGE, "LED-PRO-4", "LED-GEN-3", why="No vote leaves the ranges.")
def propose_a_parameter_out_of_range(world: World) -> bytes:
    fields = propose(world, change(emergencies_open_max=4))
    return world.administrator("hospital-a").author.write(OpenProposal, **fields)


@CASES.add(Reason.PARAMETER_OUT_OF_RANGE, "LED-GEN-3", why="A minority must not decide.")
def propose_a_quorum_below_half(world: World) -> bytes:
    fields = propose(world, change(quorum_numerator=1, quorum_denominator=3))
    return world.administrator("hospital-a").author.write(OpenProposal, **fields)


@CASES.add(Reason.UNKNOWN_MEMBER, "LED-PRO-4", why="Nobody of this name has applied.")
def admit_nobody(world: World) -> bytes:
    fields = propose(world, AdmitMember(member=MemberId("laboratory")))
    return world.administrator("hospital-a").author.write(OpenProposal, **fields)


@CASES.add(
    Reason.PROPOSAL_NOT_APPLICABLE, "LED-PRO-4", "LED-PRO-10", why="A member cannot be admitted again."
)
def admit_a_member(world: World) -> bytes:
    fields = propose(world, AdmitMember(member=MemberId("hospital-b")))
    return world.administrator("hospital-a").author.write(OpenProposal, **fields)


@CASES.add(Reason.UNKNOWN_PERSON, "LED-PRO-4", why="There is nobody to restore the privilege of.")
def restore_nobodys_privilege(world: World) -> bytes:
    fields = propose(world, RestorePrivilege(person=world.derive_id("nobody")))
    return world.administrator("hospital-a").author.write(OpenProposal, **fields)


@CASES.add(
    Reason.PROPOSAL_NOT_APPLICABLE, "LED-PRO-4", "LED-EMG-11", why="What was not taken is not restored."
)
def restore_a_privilege_that_stands(world: World) -> bytes:
    clara = world.register_person("clara", member="hospital-a", roles=(Role.EMERGENCY,))
    fields = propose(world, RestorePrivilege(person=clara.id))
    return world.administrator("hospital-a").author.write(OpenProposal, **fields)


@CASES.add(Reason.LAST_MEMBER, "LED-PRO-4", "LED-MEM-13", why="The last member cannot suspend itself.")
def suspend_the_last_member(world: World) -> bytes:
    for member in ("hospital-b", "hospital-c", "regulator"):
        world.node(member).author.submit(LeaveNetwork)
    fields = propose(world, SuspendMember(member=MemberId("hospital-a")))
    return world.administrator("hospital-a").author.write(OpenProposal, **fields)


@CASES.add(
    "proposal.opened", "LED-PRO-5", "LED-PRO-6", why="Where one is the quorum, opening decides at once."
)
def open_alone(world: World) -> bytes:
    for member in ("hospital-b", "hospital-c", "regulator"):
        world.node(member).author.submit(LeaveNetwork)
    return world.administrator("hospital-a").author.write(OpenProposal, **propose(world, SHORTER))


@CASES.add(
    "proposal.voted",
    "LED-PRO-7",
    why="Two of four are no quorum: the vote is counted, nothing happens yet.",
)
def accepts_proposal_vote(world: World) -> bytes:
    vote = open_one(world, SHORTER)
    return world.administrator("hospital-b").author.write(CastVote, **vote)


@CASES.add("proposal.voted", "LED-PRO-6", "LED-PRO-9", why="The third of four carries the proposal out.")
def vote_that_decides(world: World) -> bytes:
    vote = open_one(world, SHORTER)
    world.administrator("hospital-b").author.submit(CastVote, **vote)
    return world.administrator("hospital-c").author.write(CastVote, **vote)


@CASES.add(Reason.UNKNOWN_PROPOSAL, "LED-PRO-7", why="There is nothing to vote on.")
def vote_on_nothing(world: World) -> bytes:
    return world.administrator("hospital-b").author.write(
        CastVote, proposal=world.derive_id("nothing"), is_approval=True
    )


@CASES.add(
    Reason.PROPOSAL_CLOSED, "LED-PRO-7", "LED-TIME-4", why="A vote after the last day does not count."
)
def vote_too_late(world: World) -> bytes:
    vote = open_one(world, SHORTER)
    world.clock.advance(8 * MS_PER_DAY)
    return world.administrator("hospital-b").author.write(CastVote, **vote)


@CASES.add(Reason.PROPOSAL_CLOSED, "LED-PRO-9", why="What was carried out is closed.")
def vote_after_the_decision(world: World) -> bytes:
    vote = open_one(world, SHORTER)
    for member in ("hospital-b", "hospital-c"):
        world.administrator(member).author.submit(CastVote, **vote)
    return world.administrator("regulator").author.write(CastVote, **vote)


@CASES.add(Reason.PROPOSAL_CLOSED, "LED-PRO-9", why="What can no longer reach the quorum is closed.")
def vote_after_it_is_lost(world: World) -> bytes:
    vote = open_one(world, SHORTER)
    for member in ("hospital-b", "hospital-c"):
        world.administrator(member).author.submit(CastVote, proposal=vote["proposal"], is_approval=False)
    return world.administrator("regulator").author.write(CastVote, **vote)


@CASES.add(
    Reason.ALREADY_VOTED, "LED-PRO-8", why="One vote a member, whoever of its administrators casts it."
)
def vote_twice(world: World) -> bytes:
    vote = open_one(world, SHORTER)
    other = world.register_person("other", member="hospital-a", roles=(Role.ADMINISTRATOR,))
    return other.author.write(CastVote, **vote)


@CASES.add(
    Reason.PROPOSAL_NOT_APPLICABLE, "LED-PRO-4", "LED-PRO-9", why="The world moved on since it was opened."
)
def vote_on_what_no_longer_applies(world: World) -> bytes:
    vote = open_one(world, SuspendMember(member=MemberId("hospital-c")))
    world.node("hospital-c").author.submit(LeaveNetwork)
    return world.administrator("hospital-b").author.write(CastVote, **vote)


@CASES.add("proposal.voted", "LED-PRO-10", "LED-MEM-11", why="An applicant becomes a member by vote.")
def admit_an_applicant(world: World) -> bytes:
    submit_invitation(world)
    world.stranger("laboratory").submit(ApplyAsMember, **apply_with(world))
    vote = open_one(world, AdmitMember(member=MemberId("laboratory")))
    world.administrator("hospital-b").author.submit(CastVote, **vote)
    return world.administrator("hospital-c").author.write(CastVote, **vote)


@CASES.add("proposal.voted", "LED-PRO-10", why="A suspended member comes back by vote.")
def reinstate_a_member(world: World) -> bytes:
    suspend(world, "hospital-c")
    vote = open_one(world, ReinstateMember(member=MemberId("hospital-c")))
    return world.administrator("hospital-b").author.write(CastVote, **vote)


@CASES.add(
    "proposal.voted", "LED-PRO-10", "LED-EMG-11", why="Trust lost by a review is given back by vote."
)
def restore_a_privilege(world: World) -> bytes:
    anna = world.enrol_patient("anna", custodian="hospital-a")
    emil = world.register_person("emil", member="hospital-b", roles=(Role.EMERGENCY,))
    rita = world.register_person("rita", member="hospital-a", roles=(Role.REVIEWER,))
    emergency = world.derive_id("emergency")
    emil.author.submit(
        DeclareEmergency,
        emergency=emergency,
        patient=anna.id,
        commitment=world.derive_commitment("reason"),
        until_ms=world.clock() + MS_PER_HOUR,
    )
    rita.author.submit(
        ReviewEmergency,
        emergency=emergency,
        outcome="unjustified",
        commitment=world.derive_commitment("grounds"),
    )
    vote = open_one(world, RestorePrivilege(person=emil.id))
    world.administrator("hospital-b").author.submit(CastVote, **vote)
    return world.administrator("hospital-c").author.write(CastVote, **vote)
