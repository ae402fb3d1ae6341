"""`iamata person`: a member's staff, each with a wallet of their own."""

from typing import Annotated, Any

import typer

from iamata.cli.commands import make_noun, verb
from iamata.cli.options import HomeOption, MemberOption, PersonOption, WalletOption
from iamata.cli.output import show, spell_table
from iamata.cli.parties import read_person
from iamata.ledger.entries import Role
from iamata.ledger.events import PersonRegistered
from iamata.ledger.tables import PERSONS
from iamata.ledger.transactions.persons import RevokePerson, SetRoles
from iamata.model.reasons import Reason, require
from iamata.node.home import open_home
from iamata.node.wallets import admit_person

app = make_noun("Staff of a member.")

RolesOption = Annotated[
    list[str],
    typer.Option("--role", metavar="ROLE", help=f"{', '.join(Role)}. May be repeated."),
]


@verb(app, "register")
def register(home: HomeOption, member: MemberOption, wallet: WalletOption, roles: RolesOption) -> None:
    """Introduce a person of the staff; the wallet is made where there is none, and holds the new key."""
    chosen = read_roles(roles)
    with open_home(home) as opened:
        identity = admit_person(opened, wallet, member=member, roles=chosen)
    show(
        {"person": identity.id, "member": member, "roles": list(chosen), "wallet": str(wallet)},
        [f"{wallet} now acts for {member} as {', '.join(chosen)}; the id is {identity.id}."],
    )


@verb(app, "list")
def list_(home: HomeOption, member: MemberOption) -> None:
    """List the staff that a member has introduced; founding administrators stand in the genesis."""
    with open_home(home) as opened:
        opened.get_office(member)
        view = opened.engine.snapshot()
        rows: list[dict[str, Any]] = [
            {"person": leaf.event.person, "roles": list(entry.roles), "is_active": entry.is_active}
            for _, leaf in opened.engine.events(0)
            if isinstance(leaf.event, PersonRegistered)
            and leaf.event.member == member
            and (entry := PERSONS.find(view, leaf.event.person)) is not None
        ]
    table = [
        (row["person"], ", ".join(row["roles"]), "active" if row["is_active"] else "revoked")
        for row in rows
    ]
    show({"persons": rows}, spell_table(("person", "roles", "status"), table))


@verb(app, "set-roles")
def set_roles(home: HomeOption, member: MemberOption, person: PersonOption, roles: RolesOption) -> None:
    """Say anew what a person may do."""
    chosen = read_roles(roles)
    with open_home(home) as opened:
        who = read_person(opened, person, member=member)
        opened.get_office(member).author.submit(SetRoles, person=who, roles=chosen)
    show({"person": who, "roles": list(chosen)}, [f"Person {who} now acts as {', '.join(chosen)}."])


@verb(app, "revoke")
def revoke(home: HomeOption, member: MemberOption, person: PersonOption) -> None:
    """End what a person may do for the member, and the person's keys with it."""
    with open_home(home) as opened:
        who = read_person(opened, person, member=member)
        opened.get_office(member).author.submit(RevokePerson, person=who)
    show({"person": who}, [f"Person {who} no longer acts for {member}."])


def read_roles(names: list[str]) -> tuple[Role, ...]:
    """Read the names of roles."""
    unknown = [name for name in names if name not in list(Role)]
    require(not unknown, Reason.INPUT_INVALID, f"a role is one of {', '.join(Role)}")
    return tuple(sorted(dict.fromkeys(map(Role, names))))
