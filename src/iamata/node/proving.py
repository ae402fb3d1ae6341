"""Prove to whoever trusts a network that its members agreed on how it goes on.

The proofs lead to the last header that whoever ordered the network has signed.
"""

import contextlib
from collections.abc import Sequence
from pathlib import Path

from iamata.engines.comet.witness import list_steps
from iamata.engines.keeping.commits import CommitFile
from iamata.engines.keeping.storage import LedgerFile
from iamata.ledger.genesis import Genesis
from iamata.ledger.light.verifying import trust_genesis
from iamata.ledger.receipts import StateProof, write_checkpoint, write_state_proof
from iamata.ledger.state import LedgerState
from iamata.ledger.succession import list_evidence


def prove_agreement(folder: Path, state: LedgerState, genesis: Genesis) -> tuple[StateProof, ...]:
    """Prove who the members are in the end; nothing, where no validators vouch for the last block."""
    found = _find_header(folder, state)
    if found is None:
        return ()
    header, steps = found
    entries = state.entries.freeze()
    checkpoint = write_checkpoint(
        header,
        state_root=state.entries.root,
        log_root=state.frontier.root(),
        log_size=state.frontier.size,
        steps=steps,
    )
    return tuple(
        write_state_proof(key, entries, checkpoint) for key in list_evidence(state.entries, genesis)
    )


def _find_header(folder: Path, state: LedgerState) -> tuple[bytes, Sequence[bytes]] | None:
    if state.genesis.validators:
        with contextlib.closing(CommitFile(folder, is_writer=False)) as commits:
            light = commits.find_vouching(state.app_hash, height=state.height)
            root = trust_genesis(state.genesis)
            return None if light is None else (light, list_steps(light, root, commits))
    with contextlib.closing(LedgerFile(folder, is_writer=False)) as file:
        last = file.find_last_block()
        return None if last is None else (last.header, ())
