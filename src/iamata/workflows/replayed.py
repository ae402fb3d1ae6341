"""A ledger that was replayed, as a verifier asks it: where it stands, and what held when records left."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Final, TypeVar

from iamata.ledger.entries import Entry
from iamata.ledger.events import AccessDisclosed, ConsentLifted, ConsentNarrowed, PersonChanged
from iamata.ledger.leaves import decode_leaf
from iamata.ledger.state import LedgerState
from iamata.ledger.tables import TableSpec
from iamata.model.ids import AccessId, Commitment, ConsentId, NetworkId, PersonId
from iamata.model.reasons import Reason, Refused
from iamata.workflows.author import VALID_MS

EntryT = TypeVar("EntryT", bound=Entry)


@dataclasses.dataclass(frozen=True, slots=True)
class Narrowing:
    """A restriction as the log tells of it."""

    terms: Commitment
    is_by_custodian: bool
    time_ms: int


@dataclasses.dataclass(frozen=True, slots=True)
class Leave:
    """A disclosure as the log tells of it: when, and what narrowed its consent in that very block."""

    time_ms: int
    narrowings: tuple[Narrowing, ...]

    def find_known_ms(self, at_ms: int) -> int:
        """Tell up to when a custodian that says it decided at a time must have known the ledger.

        Its word counts only for the minutes that a transaction may wait for its block.
        """
        return max(at_ms, self.time_ms - VALID_MS)


class History:
    """What the log says about consents and people, leaf by leaf."""

    def __init__(self) -> None:
        self.narrowed: dict[Commitment, ConsentId] = {}
        """Every restriction that there ever was, and the consent that it narrowed."""
        self._standing: dict[ConsentId, tuple[Narrowing, ...]] = {}
        self._leaves: dict[AccessId, Leave] = {}
        self._changed_ms: dict[PersonId, int] = {}

    def take_all(self, leaves: Sequence[bytes]) -> None:
        """Take in the leaves of the log's next block."""
        for raw in leaves:
            self.take(raw)

    def take(self, raw: bytes) -> None:
        """Take in the log's next leaf; most are told to be about something else without decoding them."""
        if not any(word in raw for word in _TELLING):
            return
        leaf = decode_leaf(raw)
        event = leaf.event
        if isinstance(event, ConsentNarrowed):
            narrowing = Narrowing(event.restriction, event.is_by_custodian, leaf.time_ms)
            self.narrowed[event.restriction] = event.consent
            self._standing[event.consent] = (*self._standing.get(event.consent, ()), narrowing)
        elif isinstance(event, ConsentLifted):
            self._standing[event.consent] = tuple(
                one
                for one in self._standing[event.consent]
                if not (one.is_by_custodian and one.terms == event.restriction)
            )
        elif isinstance(event, PersonChanged):
            self._changed_ms[event.person] = leaf.time_ms
        elif isinstance(event, AccessDisclosed):
            consent = ConsentId(event.basis.removeprefix("consent/"))
            self._leaves[event.access] = Leave(leaf.time_ms, self._standing.get(consent, ()))

    def get_leave(self, access: AccessId) -> Leave:
        """Return when a disclosure that the ledger holds came to the log, and under what.

        Refuse where the log that is here began later: then nobody here can tell.
        """
        if access not in self._leaves:
            raise Refused(Reason.NOT_FOUND, f"disclosure {access} is older than what the ledger began with")
        return self._leaves[access]

    def has_changed(self, person: PersonId, *, since_ms: int) -> bool:
        """Tell whether a person's roles may have been others before a time."""
        return self._changed_ms.get(person, 0) > since_ms


class Replayed:
    """The state that the blocks come to, table by table, and their history."""

    def __init__(self, state: LedgerState, history: History, networks: Sequence[NetworkId] = ()) -> None:
        self.state = state
        self.history = history
        self.networks = networks or (state.network,)
        """The network's ids, the newest last: what was signed before it went on names an older."""
        self._tables: dict[bytes, list[tuple[str, bytes]]] = {}
        for key, value in state.entries.items():
            table, slash, name = key.partition(b"/")
            self._tables.setdefault(table + slash, []).append((name.decode("ascii"), value))

    def list_entries(self, table: TableSpec[EntryT]) -> Iterator[tuple[str, EntryT]]:
        """List a table's entries with their ids."""
        for name, value in self._tables.get(table.prefix, []):
            yield name, table.decoder.decode(value)


_TELLING: Final = (b'"consent.narrowed"', b'"consent.lifted"', b'"access.disclosed"', b'"person.changed"')
