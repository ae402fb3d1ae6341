"""Options that several commands share, each with its one meaning."""

from pathlib import Path
from typing import Annotated

import typer

HomeOption = Annotated[Path, typer.Option("--home", help="The folder of the node's home.", envvar="IAMATA_HOME")]
MemberOption = Annotated[str, typer.Option("--member", help="The member that acts, by its id.")]
PersonOption = Annotated[str, typer.Option("--person", help="The person of its staff who acts, by id.")]
PatientOption = Annotated[str, typer.Option("--patient", help="The patient, by pseudonym.")]
PurposeOption = Annotated[
    str, typer.Option("--purpose", help="What for, as a v3-ActReason code: TREAT, HRESCH, BTG, …")
]
WalletOption = Annotated[Path, typer.Option("--wallet", help="The folder of the wallet.")]
CustodianOption = Annotated[str, typer.Option("--custodian", help="The member that keeps the records, by its id.")]
