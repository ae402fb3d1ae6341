"""Networks that go on under another genesis: drafted and agreed to in a small world."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from iamata.crypto.authmap import AuthMap
from iamata.ledger.entries import Validator
from iamata.ledger.genesis import Genesis, Predecessor
from iamata.ledger.state import LedgerState
from iamata.ledger.succession import agree
from iamata.model.ids import MemberId
from iamata.model.instants import Instant
from iamata.node.continuing import continue_under_one, hold_network
from iamata.testing.entropy import derive_key
from iamata.testing.world import World


def draft(world: World, **changes: Any) -> Genesis:  # noqa: ANN401  fields of the genesis
    """Write what a world's members could agree on: another signer, from where their ledger stands."""
    state = world.memory.state
    fields: dict[str, Any] = {
        "name": state.genesis.name,
        "created_ms": Instant(state.time_ms + 1_000),
        "rules": state.genesis.rules,
        "orderer": derive_key(world.seed, "next orderer").key_id,
        "continues": Predecessor(network=state.network, height=state.height, app_hash=state.app_hash),
    }
    return Genesis(**(fields | changes))


def validate(world: World, members: Sequence[str]) -> dict[str, Any]:
    """Return the fields of a draft under which these members order together."""
    return {
        "orderer": msgspec.UNSET,
        "validators": tuple(
            Validator(member=MemberId(one), key=derive_key(world.seed, "consensus", one).key_id, power=1)
            for one in members
        ),
    }


def settle(world: World, genesis: Genesis, members: Sequence[str]) -> Genesis:
    """Let these members agree, in this order."""
    agreements = tuple(agree(genesis, world.node(one).author.key) for one in members)
    return msgspec.structs.replace(genesis, agreements=agreements)


def succeed(world: World, genesis: Genesis) -> LedgerState:
    """Take a world's ledger over under another genesis; the world itself stays as it is."""
    before, state = world.memory.state, LedgerState(genesis)
    entries = AuthMap.load(list(before.entries.items()))
    state.inherit(entries=entries, frontier=before.frontier, time_ms=before.time_ms)
    return state


def go_on(source: Path, target: Path, *, without: Sequence[str] = (), **options: Any) -> Genesis:  # noqa: ANN401  of the call
    """Let the network of a home, or of several, go on in new homes under one signer."""
    lost = tuple(map(MemberId, without))
    with hold_network(source, target, without=lost, tell=lambda _: None) as old:
        return continue_under_one(old, target, **options)
