"""Options that several commands share, each with its one meaning."""

import enum
from pathlib import Path
from typing import Annotated

import typer


class Ordering(enum.StrEnum):
    """Who orders the blocks of a new network."""

    EMBEDDED = "embedded"
    COMET = "comet"


HomeOption = Annotated[
    Path, typer.Option("--home", metavar="FOLDER", help="The folder of the home.", envvar="IAMATA_HOME")
]
WalletOption = Annotated[Path, typer.Option("--wallet", metavar="FOLDER", help="The folder of the wallet.")]
MemberOption = Annotated[
    str, typer.Option("--member", metavar="ID", help="The member that acts, by its id.")
]
CustodianOption = Annotated[
    str, typer.Option("--custodian", metavar="ID", help="The member that keeps the records, by its id.")
]
PersonOption = Annotated[
    str, typer.Option("--person", metavar="WHO", help="Who acts: the folder of their wallet, or their id.")
]
PatientOption = Annotated[
    str,
    typer.Option(
        "--patient",
        metavar="WHO",
        help="Whose: Patient/… as the records say it, a wallet's folder, or the pseudonym.",
    ),
]
PurposeOption = Annotated[
    str,
    typer.Option("--purpose", metavar="CODE", help="What for, by its v3-ActReason code: TREAT, HRESCH, …"),
]
AtOption = Annotated[
    str | None,
    typer.Option(
        "--custodian", metavar="ID", help="At which member; not needed where only one knows the wallet."
    ),
]
CustodiansOption = Annotated[
    list[str] | None,
    typer.Option(
        "--custodian",
        metavar="ID",
        help="At which member, or members; not needed where only one knows the wallet.",
    ),
]
EverywhereOption = Annotated[
    bool, typer.Option("--everywhere", help="At every custodian that knows this wallet.")
]
ForOption = Annotated[
    str | None,
    typer.Option(
        "--member", metavar="ID", help="For which member; not needed where only one knows the wallet."
    ),
]
ConsentOption = Annotated[
    str | None,
    typer.Option("--consent", metavar="ID", help="Which consent; not needed where only one is in force."),
]
YesOption = Annotated[bool, typer.Option("--yes", help="Agree beforehand, and do not ask.")]
