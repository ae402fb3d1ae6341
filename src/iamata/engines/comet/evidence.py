"""Evidence as CometBFT hands it over, put into the ledger's words."""

from collections.abc import Iterable
from typing import Final

from iamata.engines.comet.protocol import abci_pb2 as abci
from iamata.engines.comet.times import read_ms
from iamata.ledger.entries import OwnerKind
from iamata.ledger.misbehaviour import Misbehaviour, MisbehaviourKind, compute_address
from iamata.ledger.state import LedgerState
from iamata.ledger.tables import CURRENT, KEYS, VALIDATORS
from iamata.model.ids import KeyId
from iamata.model.instants import Instant

_KINDS: Final = {
    abci.DUPLICATE_VOTE: MisbehaviourKind.DUPLICATE_VOTE,
    abci.LIGHT_CLIENT_ATTACK: MisbehaviourKind.LIGHT_CLIENT_ATTACK,
}


def read_evidence(state: LedgerState, said: Iterable[abci.Misbehavior]) -> tuple[Misbehaviour, ...]:
    """Name the keys that broke the rules; what names no key that ever was a validator's is left out."""
    found = []
    for one in said:
        kind, key = _KINDS.get(one.type), _find_key(state, one.validator.address)
        if kind is not None and key is not None:
            time_ms = Instant(read_ms(one.time))
            found.append(Misbehaviour(kind=kind, key=key, height=one.height, time_ms=time_ms))
    return tuple(found)


def _find_key(state: LedgerState, address: bytes) -> KeyId | None:
    """Find a validator's key by its address: among those who order now, or else among all keys."""
    validators = VALIDATORS.find(state.entries, CURRENT)
    for one in () if validators is None else validators.active:
        if compute_address(one.key) == address:
            return one.key
    # Evidence may come days after its key was dismissed. That is rare, so a long look will do.
    for name, value in state.entries.items():
        if name.startswith(KEYS.prefix):
            key = KeyId(name.removeprefix(KEYS.prefix).decode("ascii"))
            is_validator = KEYS.decoder.decode(value).kind is OwnerKind.VALIDATOR
            if is_validator and compute_address(key) == address:
                return key
    return None
