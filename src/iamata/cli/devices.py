"""`iamata wallet add-device` and its kin: several keys for one patient, each on a device of its own."""

from pathlib import Path
from typing import Annotated

import typer

from iamata.cli.commands import verb
from iamata.cli.options import AtOption, CustodiansOption, EverywhereOption, WalletOption
from iamata.cli.outbox import NowOption, decide, document_outcomes, spell_outcomes, warn_of_haste
from iamata.cli.output import show
from iamata.cli.parties import choose_member, choose_members
from iamata.cli.places import NodeOption, PlaceOption, open_place
from iamata.ledger.entries import OwnerKind
from iamata.model.ids import KeyId
from iamata.node import devices
from iamata.node.outbox import settle
from iamata.stores.wallets import load_wallet
from iamata.workflows.wallets import get_key


def add_to(app: typer.Typer) -> None:
    """Add the commands about devices to the wallet's."""
    verb(app, "devices")(list_devices)
    verb(app, "add-device")(add_device)
    verb(app, "remove-device")(remove_device)


def list_devices(
    *, home: PlaceOption = None, node: NodeOption = None, wallet: WalletOption, custodian: AtOption = None
) -> None:
    """List the keys that speak for you at one custodian."""
    with open_place(home, node, wallet) as opened:
        member = choose_member(opened, load_wallet(wallet), custodian, kind=OwnerKind.PATIENT)
        own, keys = devices.list_keys(opened, wallet, member=member)
    show(
        {"own": own, "keys": list(keys)},
        [f"{key}{'  (this wallet)' if key == own else ''}" for key in keys],
    )


def add_device(
    *,
    home: PlaceOption = None,
    node: NodeOption = None,
    wallet: WalletOption,
    to: Annotated[
        Path, typer.Option("--to", metavar="FOLDER", help="The other device's wallet; made if new.")
    ],
    custodian: CustodiansOption = None,
    everywhere: EverywhereOption = False,
    now: NowOption = False,
) -> None:
    """Let a second wallet speak for you, with a key of its own at each custodian."""
    with open_place(home, node, wallet) as opened:
        members = choose_members(opened, load_wallet(wallet), custodian, is_everywhere=everywhere)
        keyed = [(one, devices.prepare_device(opened, wallet, to, member=one)) for one in members]
        outcomes = decide(opened, wallet, keyed, is_now=now)
    keys = {member: get_key(act.identity).key_id for member, act in keyed}
    show(
        {"key": keys[members[0]], "wallet": str(to), "acts": document_outcomes(outcomes)},
        spell_outcomes(
            outcomes,
            lambda one: f"{to} speaks for you at {one.member} too, with the key {keys[one.member]}.",
        ),
    )
    settle(outcomes)


def remove_device(
    *,
    home: PlaceOption = None,
    node: NodeOption = None,
    wallet: WalletOption,
    key: Annotated[str, typer.Option("--key", metavar="KEY", help="The lost device's key.")],
    custodian: AtOption = None,
) -> None:
    """Let a lost device speak for you no more; the last key cannot be removed."""
    with open_place(home, node, wallet) as opened:
        member = choose_member(opened, load_wallet(wallet), custodian, kind=OwnerKind.PATIENT)
        linked = devices.remove_key(opened, wallet, KeyId(key), member=member)
    show({"key": key}, [f"The key {key} speaks for nobody any more.", *warn_of_haste(linked)])
