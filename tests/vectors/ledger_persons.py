"""Cases of persons: roles, keys, revocation."""

from iamata.ledger.entries import OwnerKind
from iamata.ledger.entries import KEYS_MAX, Role
from iamata.ledger.transaction import Possession
from iamata.ledger.transactions.persons import (
    AddPersonKey,
    RegisterPerson,
    RemovePersonKey,
    RevokePerson,
    SetRoles,
)
from iamata.model.reasons import Reason
from iamata.testing.vectors import Cases
from iamata.testing.world import World

CASES = Cases("persons")


def register(world: World, *roles: Role, subject: str = "person/{}") -> bytes:
    """Write the registration of a clinician."""
    person = world.derive_id("person", "clara")
    return world.node("hospital-a").author.write(
        RegisterPerson,
        person=person,
        possession=world.stranger("clara").state(Possession, subject=subject.format(person)),
        roles=roles or (Role.CLINICIAN,),
        sign_in=world.derive_commitment("sign-in"),
    )


@CASES.add("person.registered", "LED-PER-1", why="A member introduces its staff.")
def accepts_person_register(world: World) -> bytes:
    return register(world)


@CASES.add(Reason.PERSON_ALREADY_EXISTS, "LED-PER-1", why="A person is introduced once.")
def register_twice(world: World) -> bytes:
    world.register_person("clara", member="hospital-a")
    return register(world)


@CASES.add(Reason.NOT_CANONICAL, "LED-PER-2", why="A set of roles has one spelling.")
def register_with_roles_out_of_order(world: World) -> bytes:
    return register(world, Role.REVIEWER, Role.CLINICIAN)


@CASES.add(
    Reason.BAD_PROOF_OF_POSSESSION, "LED-KEY-3", why="A key is not registered without its holder's word."
)
def register_a_key_proved_for_a_patient(world: World) -> bytes:
    return register(world, subject="patient/{}")


@CASES.add("person.changed", "LED-PER-2", why="What a person may do changes.")
def accepts_person_set_roles(world: World) -> bytes:
    clara = world.register_person("clara", member="hospital-a")
    return world.node("hospital-a").author.write(SetRoles, person=clara.id, roles=(Role.EMERGENCY,))


@CASES.add(Reason.UNKNOWN_PERSON, "LED-PER-3", why="Only who is registered can be changed.")
def set_roles_of_nobody(world: World) -> bytes:
    return world.node("hospital-a").author.write(
        SetRoles, person=world.derive_id("nobody"), roles=(Role.EMERGENCY,)
    )


@CASES.add(Reason.NOT_THE_MEMBER, "LED-PER-4", why="Another member's staff is none of one's business.")
def set_roles_of_anothers_staff(world: World) -> bytes:
    clara = world.register_person("clara", member="hospital-a")
    return world.node("hospital-b").author.write(SetRoles, person=clara.id, roles=(Role.EMERGENCY,))


@CASES.add(Reason.PERSON_NOT_ACTIVE, "LED-PER-5", why="Revocation is final.")
def set_roles_of_the_revoked(world: World) -> bytes:
    clara = world.register_person("clara", member="hospital-a")
    world.node("hospital-a").author.submit(RevokePerson, person=clara.id)
    return world.node("hospital-a").author.write(SetRoles, person=clara.id, roles=(Role.EMERGENCY,))


@CASES.add("person.changed", "LED-PER-8", why="A second device speaks for a person.")
def accepts_person_add_key(world: World) -> bytes:
    clara = world.register_person("clara", member="hospital-a")
    possession = world.stranger("phone").prove_possession(OwnerKind.PERSON, clara.id, member=clara.custodian)
    return world.node("hospital-a").author.write(AddPersonKey, person=clara.id, possession=possession)


@CASES.add(Reason.TOO_MANY_KEYS, "LED-KEY-4", why="Eight keys are enough.")
def add_a_ninth_key(world: World) -> bytes:
    clara = world.register_person("clara", member="hospital-a")
    node = world.node("hospital-a").author
    proofs = [world.stranger(str(n)).prove_possession(OwnerKind.PERSON, clara.id, member=clara.custodian) for n in range(KEYS_MAX)]
    for proof in proofs[:-1]:
        node.submit(AddPersonKey, person=clara.id, possession=proof)
    return node.write(AddPersonKey, person=clara.id, possession=proofs[-1])


@CASES.add("person.changed", "LED-PER-8", why="A lost device speaks for nobody.")
def accepts_person_remove_key(world: World) -> bytes:
    clara = world.register_person("clara", member="hospital-a")
    node, phone = world.node("hospital-a").author, world.stranger("phone")
    node.submit(AddPersonKey, person=clara.id, possession=phone.prove_possession(OwnerKind.PERSON, clara.id, member=clara.custodian))
    return node.write(RemovePersonKey, person=clara.id, key=phone.key.key_id)


@CASES.add(Reason.UNKNOWN_KEY, "LED-KEY-5", why="Only the person's own keys can be removed.")
def remove_anothers_key(world: World) -> bytes:
    clara = world.register_person("clara", member="hospital-a")
    key = world.administrator("hospital-a").author.key.key_id
    return world.node("hospital-a").author.write(RemovePersonKey, person=clara.id, key=key)


@CASES.add(Reason.LAST_KEY, "LED-KEY-6", why="Without a key a person could never sign again.")
def remove_the_last_key(world: World) -> bytes:
    clara = world.register_person("clara", member="hospital-a")
    key = clara.author.key.key_id
    return world.node("hospital-a").author.write(RemovePersonKey, person=clara.id, key=key)


@CASES.add("person.revoked", "LED-PER-7", why="A person leaves the staff.")
def accepts_person_revoke(world: World) -> bytes:
    clara = world.register_person("clara", member="hospital-a")
    return world.node("hospital-a").author.write(RevokePerson, person=clara.id)
