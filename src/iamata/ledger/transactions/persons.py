"""Persons: staff of a member, with keys and roles of their own."""

from typing import Annotated

import msgspec

from iamata.ledger import keyring
from iamata.ledger.context import Context
from iamata.ledger.entries import OwnerKind, Person, Role
from iamata.ledger.events import PersonChanged, PersonRegistered, PersonRevoked
from iamata.ledger.transaction import ROLES_MAX, Possession, Signed, Transaction
from iamata.model.ids import Commitment, KeyId, MemberId, PersonId
from iamata.model.reasons import Reason, require

Roles = Annotated[tuple[Role, ...], msgspec.Meta(min_length=1, max_length=ROLES_MAX)]


class RegisterPerson(Transaction, tag="person.register"):
    """Introduce a person of one's staff."""

    person: PersonId
    possession: Signed[Possession]
    roles: Roles
    sign_in: Commitment


class SetRoles(Transaction, tag="person.set-roles"):
    """Say anew what a person may do."""

    person: PersonId
    roles: Roles


class AddPersonKey(Transaction, tag="person.add-key"):
    """Let one more key speak for a person."""

    person: PersonId
    possession: Signed[Possession]


class RemovePersonKey(Transaction, tag="person.remove-key"):
    """Let a key speak for a person no more."""

    person: PersonId
    key: KeyId


class RevokePerson(Transaction, tag="person.revoke"):
    """End what a person may do for the member, and the person's keys with it."""

    person: PersonId


def register_person(tx: RegisterPerson, ctx: Context) -> PersonRegistered:
    """Introduce a person who has proved to hold the key."""
    member = ctx.member
    require(tx.person not in ctx.state.persons, Reason.PERSON_ALREADY_EXISTS)
    check_roles(tx.roles)
    keyring.check_possession(tx.possession, kind=OwnerKind.PERSON, owner=tx.person, member=member, ctx=ctx)

    ctx.state.persons[tx.person] = Person(
        member=member, keys=(tx.possession.key,), roles=tx.roles, sign_in=tx.sign_in
    )
    keyring.register_key(tx.possession.key, kind=OwnerKind.PERSON, owner=tx.person, ctx=ctx)

    return PersonRegistered(person=tx.person, member=member)


def set_roles(tx: SetRoles, ctx: Context) -> PersonChanged:
    """Replace a person's roles."""
    person = require_own_person(tx.person, ctx.member, ctx)
    check_roles(tx.roles)

    ctx.state.persons[tx.person] = msgspec.structs.replace(person, roles=tx.roles)

    return PersonChanged(person=tx.person)


def add_person_key(tx: AddPersonKey, ctx: Context) -> PersonChanged:
    """Register one more key, whose holder has signed for it."""
    person = require_own_person(tx.person, ctx.member, ctx)
    keyring.check_room(person.keys)
    keyring.check_possession(
        tx.possession, kind=OwnerKind.PERSON, owner=tx.person, member=person.member, ctx=ctx
    )

    ctx.state.persons[tx.person] = msgspec.structs.replace(person, keys=(*person.keys, tx.possession.key))
    keyring.register_key(tx.possession.key, kind=OwnerKind.PERSON, owner=tx.person, ctx=ctx)

    return PersonChanged(person=tx.person)


def remove_person_key(tx: RemovePersonKey, ctx: Context) -> PersonChanged:
    """Retire a key, but never the last one: that is what revoking is for."""
    person = require_own_person(tx.person, ctx.member, ctx)
    remaining = keyring.check_removal(tx.key, person.keys)

    ctx.state.persons[tx.person] = msgspec.structs.replace(person, keys=remaining)
    keyring.retire_key(tx.key, ctx)

    return PersonChanged(person=tx.person)


def revoke_person(tx: RevokePerson, ctx: Context) -> PersonRevoked:
    """End a person's part in the network; open emergencies still await their review."""
    person = require_own_person(tx.person, ctx.member, ctx)

    ctx.state.persons[tx.person] = msgspec.structs.replace(person, is_active=False)
    for key in person.keys:
        keyring.retire_key(key, ctx)

    return PersonRevoked(person=tx.person)


def require_own_person(person_id: PersonId, member: MemberId, ctx: Context) -> Person:
    """Return the person, or refuse unless an active one of this member's staff."""
    person = ctx.state.persons[person_id]
    require(person.member == member, Reason.NOT_THE_MEMBER)
    require(person.is_active, Reason.PERSON_NOT_ACTIVE)
    return person


def check_roles(roles: tuple[Role, ...]) -> None:
    """Refuse roles that are not in order, or named twice: a set has one spelling."""
    require(list(roles) == sorted(dict.fromkeys(roles)), Reason.NOT_CANONICAL)
