"""`iamata person`: a member's staff, each with a wallet of their own."""

from typing import Annotated

import typer

from iamata.cli.commands import make_noun, verb
from iamata.cli.options import HomeOption, MemberOption, WalletOption
from iamata.cli.output import show
from iamata.ledger.entries import OwnerKind, Role
from iamata.model.ids import PersonId
from iamata.model.reasons import Reason, Refused
from iamata.node.home import open_home
from iamata.node.wallets import admit_person

app = make_noun("Staff of a member.")


@verb(app, "register")
def register(
    home: HomeOption,
    member: MemberOption,
    wallet: WalletOption,
    roles: Annotated[list[str], typer.Option("--role", help="clinician, emergency, reviewer, administrator, …")],
) -> None:
    """Introduce a person of the staff; the wallet is made where there is none, and holds the new key."""
    with open_home(home) as opened:
        identity = admit_person(opened, wallet, member=member, roles=read_roles(roles))
    person = PersonId(identity.id)
    show(
        {"person": person, "member": member, "kind": str(OwnerKind.PERSON), "roles": roles},
        [f"Person {person} now acts for {member} as {', '.join(roles)}."],
    )


def read_roles(names: list[str]) -> tuple[Role, ...]:
    """Read the names of roles."""
    if unknown := [name for name in names if name not in list(Role)]:
        raise Refused(Reason.INPUT_INVALID, f"there is no role {unknown[0]}; there are {', '.join(Role)}")
    return tuple(sorted(dict.fromkeys(map(Role, names))))
