"""Typed tables over the authenticated map, and the scratch copy on which a block runs.

Handlers see tables; underneath are bytes. A transaction's writes stay apart until it has succeeded, so a
handler that fails leaves nothing behind.
"""

from typing import Final, Generic, Protocol, TypeVar

import msgspec

from iamata.ledger import entries
from iamata.model.canonical import encode_struct
from iamata.model.reasons import Reason, Refused

EntryT = TypeVar("EntryT", bound=entries.Entry)


class Bytes(Protocol):
    """Whatever can be asked for the value of a key: the map itself, or a snapshot of it."""

    def get(self, key: bytes) -> bytes | None:
        """Return the value of a key, or None."""
        ...


class Scratch:
    """Changes to a map that are not yet part of it, in two layers: the block's and one transaction's."""

    def __init__(self, base: Bytes) -> None:
        self._base = base
        self._read: dict[bytes, entries.Entry] = {}
        """What the base holds, decoded once a block: most transactions ask for the same few members."""
        self._block: dict[bytes, entries.Entry] = {}
        self._transaction: dict[bytes, entries.Entry] = {}

    def find(self, key: bytes, decoder: "msgspec.json.Decoder[EntryT]") -> EntryT | None:
        """Return the newest entry at a key, or None."""
        entry = self._transaction.get(key) or self._block.get(key) or self._read.get(key)
        if entry is not None:
            return entry  # type: ignore[return-value]  # a key's prefix fixes the type of its entry
        value = self._base.get(key)
        if value is None:
            return None
        self._read[key] = found = decoder.decode(value)
        return found

    def put(self, key: bytes, entry: entries.Entry) -> None:
        """Write an entry on behalf of the running transaction."""
        self._transaction[key] = entry

    def keep(self) -> None:
        """Make the running transaction's writes the block's."""
        self._block.update(self._transaction)
        self._transaction.clear()

    def drop(self) -> None:
        """Forget the running transaction's writes."""
        self._transaction.clear()

    def compute_changes(self) -> dict[bytes, bytes]:
        """Encode what the block wrote."""
        return {key: encode_struct(entry) for key, entry in self._block.items()}


class Table(Generic[EntryT]):
    """One kind of entry by id. An id that is not there is a refusal, not an accident."""

    def __init__(self, scratch: Scratch, spec: "TableSpec[EntryT]") -> None:
        self._scratch = scratch
        self._spec = spec

    def find(self, entry_id: str) -> EntryT | None:
        """Return an entry, or None."""
        return self._scratch.find(self._spec.key(entry_id), self._spec.decoder)

    def __getitem__(self, entry_id: str) -> EntryT:
        entry = self.find(entry_id)
        if entry is None:
            raise Refused(self._spec.unknown)
        return entry

    def __setitem__(self, entry_id: str, entry: EntryT) -> None:
        self._scratch.put(self._spec.key(entry_id), entry)

    def __contains__(self, entry_id: str) -> bool:
        return self.find(entry_id) is not None


class TableSpec(Generic[EntryT]):
    """Where a table's entries lie in the map, how they read, and what a missing one means."""

    def __init__(self, prefix: str, kind: type[EntryT], unknown: Reason) -> None:
        self.prefix = f"{prefix}/".encode("ascii")
        self.kind = kind
        self.decoder: msgspec.json.Decoder[EntryT] = msgspec.json.Decoder(kind)
        self.unknown = unknown

    def key(self, entry_id: str) -> bytes:
        """Spell the map's key of an entry."""
        return self.prefix + entry_id.encode("ascii")

    def find(self, source: Bytes, entry_id: str) -> EntryT | None:
        """Read an entry straight from a map or a snapshot."""
        value = source.get(self.key(entry_id))
        return None if value is None else self.decoder.decode(value)


MEMBERS: Final = TableSpec("member", entries.Member, Reason.UNKNOWN_MEMBER)
INVITATIONS: Final = TableSpec("invitation", entries.Invitation, Reason.UNKNOWN_INVITATION)
PERSONS: Final = TableSpec("person", entries.Person, Reason.UNKNOWN_PERSON)
PATIENTS: Final = TableSpec("patient", entries.Patient, Reason.UNKNOWN_PATIENT)
KEYS: Final = TableSpec("key", entries.KeyOwner, Reason.UNKNOWN_KEY)
CONSENTS: Final = TableSpec("consent", entries.Consent, Reason.UNKNOWN_CONSENT)
RECORD_ANCHORS: Final = TableSpec("record-anchor", entries.RecordAnchor, Reason.NOT_FOUND)
READ_ANCHORS: Final = TableSpec("read-anchor", entries.RecordAnchor, Reason.NOT_FOUND)
ACCESSES: Final = TableSpec("access", entries.Access, Reason.UNKNOWN_ACCESS)
EMERGENCIES: Final = TableSpec("emergency", entries.Emergency, Reason.UNKNOWN_EMERGENCY)
ERASURES: Final = TableSpec("erasure", entries.Erasure, Reason.NOT_FOUND)
PROPOSALS: Final = TableSpec("proposal", entries.Tally, Reason.UNKNOWN_PROPOSAL)
STUDIES: Final = TableSpec("study", entries.Study, Reason.UNKNOWN_STUDY)
DATASETS: Final = TableSpec("dataset", entries.Dataset, Reason.UNKNOWN_DATASET)
RUNS: Final = TableSpec("run", entries.Run, Reason.UNKNOWN_RUN)
MODELS: Final = TableSpec("model", entries.Model, Reason.UNKNOWN_MODEL)
SPENDINGS: Final = TableSpec("spending", entries.Spending, Reason.NOT_FOUND)
PARAMETERS: Final = TableSpec("network", entries.Parameters, Reason.HOME_CORRUPT)
ROLLS: Final = TableSpec("roll", entries.Roll, Reason.HOME_CORRUPT)
UPGRADES: Final = TableSpec("upgrades", entries.Schedule, Reason.NOT_FOUND)
VALIDATORS: Final = TableSpec("validators", entries.Validators, Reason.NOT_FOUND)

CURRENT: Final = "current"
"""The one id in the tables that hold one entry: parameters, roll, upgrades, validators."""

SPECS: Final = (
    MEMBERS,
    INVITATIONS,
    PERSONS,
    PATIENTS,
    KEYS,
    CONSENTS,
    RECORD_ANCHORS,
    READ_ANCHORS,
    ACCESSES,
    EMERGENCIES,
    ERASURES,
    PROPOSALS,
    STUDIES,
    DATASETS,
    RUNS,
    MODELS,
    SPENDINGS,
    PARAMETERS,
    ROLLS,
    UPGRADES,
    VALIDATORS,
)


class Tables:
    """Every table, over one scratch copy."""

    def __init__(self, scratch: Scratch) -> None:
        self.members = Table(scratch, MEMBERS)
        self.invitations = Table(scratch, INVITATIONS)
        self.persons = Table(scratch, PERSONS)
        self.patients = Table(scratch, PATIENTS)
        self.keys = Table(scratch, KEYS)
        self.consents = Table(scratch, CONSENTS)
        self.record_anchors = Table(scratch, RECORD_ANCHORS)
        self.read_anchors = Table(scratch, READ_ANCHORS)
        self.accesses = Table(scratch, ACCESSES)
        self.emergencies = Table(scratch, EMERGENCIES)
        self.erasures = Table(scratch, ERASURES)
        self.proposals = Table(scratch, PROPOSALS)
        self.studies = Table(scratch, STUDIES)
        self.datasets = Table(scratch, DATASETS)
        self.runs = Table(scratch, RUNS)
        self.models = Table(scratch, MODELS)
        self.spendings = Table(scratch, SPENDINGS)
        self._parameters = Table(scratch, PARAMETERS)
        self._rolls = Table(scratch, ROLLS)
        self._upgrades = Table(scratch, UPGRADES)
        self._validators = Table(scratch, VALIDATORS)

    @property
    def parameters(self) -> entries.Parameters:
        """What the members have agreed on."""
        return self._parameters[CURRENT]

    @parameters.setter
    def parameters(self, value: entries.Parameters) -> None:
        self._parameters[CURRENT] = value

    @property
    def roll(self) -> entries.Roll:
        """Who may vote."""
        return self._rolls[CURRENT]

    @roll.setter
    def roll(self, value: entries.Roll) -> None:
        self._rolls[CURRENT] = value

    @property
    def upgrades(self) -> tuple[entries.Upgrade, ...]:
        """Which rules the members agreed on, from which block on."""
        schedule = self._upgrades.find(CURRENT)
        return () if schedule is None else schedule.upgrades

    @upgrades.setter
    def upgrades(self, value: tuple[entries.Upgrade, ...]) -> None:
        self._upgrades[CURRENT] = entries.Schedule(upgrades=value)

    @property
    def validators(self) -> tuple[entries.Validator, ...]:
        """Who orders blocks together; nobody where one signer does."""
        found = self._validators.find(CURRENT)
        return () if found is None else found.active

    @validators.setter
    def validators(self, value: tuple[entries.Validator, ...]) -> None:
        self._validators[CURRENT] = entries.Validators(active=value)
