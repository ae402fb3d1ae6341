"""Cases of rules 2, and of the vote that brings them."""

from iamata.ledger.entries import OwnerKind
from iamata.ledger.transaction import Possession
from iamata.ledger.transactions.patients import EnrolPatient
from iamata.ledger.transactions.proposals import OpenProposal, UpgradeRules
from iamata.model.ids import MemberId
from iamata.model.reasons import Reason
from iamata.testing.vectors import Cases
from iamata.testing.world import World
from ledger_proposals import propose

CASES = Cases("rules-2", rules=2)
A, B = MemberId("hospital-a"), MemberId("hospital-b")


def upgrade(world: World, *, version: int, ahead: int) -> bytes:
    """Ask the members for rules from some blocks on."""
    action = UpgradeRules(version=version, height=world.memory.state.height + 1 + ahead)
    return world.administrator("hospital-a").author.write(OpenProposal, **propose(world, action))


@CASES.add("patient.enrolled", "LED-KEY-3", "LED-LOG-2", why="The proof names who is to enrol.")
def accepts_a_proof_for_this_member(world: World) -> bytes:
    patient = world.derive_id("patient", "anna")
    possession = world.stranger("anna").prove_possession(OwnerKind.PATIENT, patient, member=A)
    return world.node(A).author.write(EnrolPatient, patient=patient, possession=possession)


@CASES.add(
    Reason.BAD_PROOF_OF_POSSESSION,
    "LED-KEY-3",
    why="Who sees a proof on its way to another member cannot enrol the patient first.",
)
def enrol_with_a_proof_for_another_member(world: World) -> bytes:
    patient = world.derive_id("patient", "anna")
    possession = world.stranger("anna").prove_possession(OwnerKind.PATIENT, patient, member=A)
    return world.node(B).author.write(EnrolPatient, patient=patient, possession=possession)


@CASES.add(Reason.BAD_PROOF_OF_POSSESSION, "LED-KEY-3", why="A proof spelled as under rules 1 is none.")
def enrol_with_a_proof_that_names_no_member(world: World) -> bytes:
    patient = world.derive_id("patient", "anna")
    possession = world.stranger("anna").state(Possession, subject=f"patient/{patient}")
    return world.node(A).author.write(EnrolPatient, patient=patient, possession=possession)


@CASES.add("proposal.opened", "LED-UPG-2", why="The members can agree on rules that nobody knows yet.")
def accepts_an_upgrade_ahead(world: World) -> bytes:
    return upgrade(world, version=3, ahead=10)


@CASES.add(Reason.PROPOSAL_NOT_APPLICABLE, "LED-UPG-2", why="Rules do not change behind a block's back.")
def upgrade_this_very_block(world: World) -> bytes:
    return upgrade(world, version=3, ahead=0)


@CASES.add(Reason.PROPOSAL_NOT_APPLICABLE, "LED-UPG-2", why="Rules only become newer.")
def upgrade_to_what_holds(world: World) -> bytes:
    return upgrade(world, version=2, ahead=10)
