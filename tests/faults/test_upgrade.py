"""Rules change while validators are down and come back: each block has the rules that were agreed on."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from iamata.crypto.ed25519 import SigningKey
from iamata.engines.embedded.engine import read_clock_ms
from iamata.engines.keeping.storage import LedgerFile
from iamata.ledger.transactions.proposals import CastVote, OpenProposal, UpgradeRules
from iamata.model.ids import ProposalId, decode_digest
from iamata.model.instants import Day, compute_day
from iamata.node.home import LEDGER_FOLDER, WALLETS_FOLDER
from iamata.stores.wallets import load_wallet
from iamata.testing.proving import Writing, prove
from iamata.testing.running import MEMBERS, RunningNetwork
from iamata.workflows import founding
from iamata.workflows.author import Author

PORT: Final = 8840
AHEAD: Final = 12
"""Blocks between the vote and the change: room for a restart of everybody."""


@pytest.fixture
def network(
    require_part: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[RunningNetwork]:
    require_part("cometbft")
    with monkeypatch.context() as older:
        older.setattr(founding, "NEWEST", 1)
        running = RunningNetwork(tmp_path / "net", first_port=PORT)
    running.start()
    try:
        running.await_height(1)
        running.await_comet()
        yield running
    finally:
        running.kill()
        shutil.rmtree(tmp_path / "net")


def agree(network: RunningNetwork) -> int:
    """Let three members' administrators agree on rules 2, and return the block from which they hold."""
    load = network.connect("hospital-a")
    authors = [
        Author(load.engine, read_administrator(network, one), read_clock_ms, os.urandom)
        for one in MEMBERS[:3]
    ]
    proposal = ProposalId(authors[0].make_id())
    height = network.read_height("hospital-a") + AHEAD
    action = UpgradeRules(version=2, height=height)
    day = Day(compute_day(read_clock_ms()) + 1)
    authors[0].submit(OpenProposal, proposal=proposal, action=action, until_day=day)
    for author in authors[1:]:
        author.submit(CastVote, proposal=proposal, is_approval=True)
    load.close()
    return height


def read_administrator(network: RunningNetwork, member: str) -> SigningKey:
    wallet = load_wallet(network.get_home(member) / WALLETS_FOLDER / f"{member}-administrator")
    return SigningKey.from_seed(decode_digest(wallet.identities[0].seed))


def list_rules(network: RunningNetwork, member: str) -> dict[int, set[int]]:
    """Tell by the form of each block's leaves which rules made it."""
    file = LedgerFile(network.get_home(member) / LEDGER_FOLDER, is_writer=False)
    try:
        return {
            block.height: {1 if "height" in json.loads(leaf) else 2 for leaf in block.leaves}
            for block in file.read_blocks()
            if block.leaves
        }
    finally:
        file.close()


@pytest.mark.slow
def test_an_upgrade_is_crossed_by_who_restarts_before_it_and_by_who_comes_back_after_it(
    network: RunningNetwork,
) -> None:
    height = agree(network)
    network.kill()
    network.start(MEMBERS[:3])
    network.await_height(1, MEMBERS[:3])
    network.await_comet(MEMBERS[:3])
    assert network.read_height("hospital-a") < height - 1

    writing = Writing(network, "hospital-a")
    network.await_height(height + 2, MEMBERS[:3])
    network.start()
    network.await_height(height + 4)
    acknowledged = writing.stop()

    prove(network, acknowledged)
    for member in MEMBERS:
        for at, versions in list_rules(network, member).items():
            assert versions == {2 if at >= height else 1}, f"block {at} of {member}"
