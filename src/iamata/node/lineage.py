"""The networks that a home's network goes on from: `predecessors.json`, with what proves that it may.

A genesis names the id of the one before, which is its hash; so nothing in this file has to be believed.
"""

import itertools
import os
from pathlib import Path
from typing import Final

import msgspec

from iamata.ledger.genesis import Genesis
from iamata.ledger.succession import Lineage, check_lineage
from iamata.model.canonical import encode_struct
from iamata.model.reasons import Reason, Refused, require
from iamata.node.keyfiles import write_new

PREDECESSORS_FILE: Final = "predecessors.json"
PREDECESSORS_BYTES_MAX: Final = 64 * 1024 * 1024
MODE: Final = 0o644


def write_lineage(path: Path, lineage: Lineage) -> None:
    """Write the file of a new home, none where its network continues no other."""
    if lineage.predecessors:
        write_new(path / PREDECESSORS_FILE, encode_struct(lineage), mode=MODE)


def read_lineage(path: Path, genesis: Genesis) -> Lineage:
    """Read which networks a home's network goes on from, or refuse what does not lead to its genesis."""
    if genesis.continues is None:
        return Lineage()
    try:
        with (path / PREDECESSORS_FILE).open("rb") as file:
            raw = file.read(PREDECESSORS_BYTES_MAX + 1)
    except OSError as error:
        detail = f"{PREDECESSORS_FILE}: {os.strerror(error.errno or 0)}"
        raise Refused(Reason.HOME_CORRUPT, detail) from error
    require(len(raw) <= PREDECESSORS_BYTES_MAX, Reason.HOME_CORRUPT, f"{PREDECESSORS_FILE} is damaged")
    try:
        lineage = msgspec.json.decode(raw, type=Lineage)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Refused(Reason.HOME_CORRUPT, f"{PREDECESSORS_FILE} is damaged") from error
    is_whole = bool(lineage.predecessors) and encode_struct(lineage) == raw
    require(is_whole, Reason.HOME_CORRUPT, f"{PREDECESSORS_FILE} is damaged")
    check_lineage((*list_geneses(lineage), genesis))
    return lineage


def list_geneses(lineage: Lineage) -> tuple[Genesis, ...]:
    """List the genesis of each network that came before, oldest first."""
    return tuple(one.genesis for one in lineage.predecessors)


def list_proven(lineage: Lineage) -> tuple[Genesis, ...]:
    """List the newest of those whose members provably agreed on what followed, with no block shown."""
    proven = itertools.takewhile(lambda one: one.proofs, reversed(lineage.predecessors))
    return tuple(one.genesis for one in proven)[::-1]
