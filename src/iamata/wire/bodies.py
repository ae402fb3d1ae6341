"""Bodies of requests and answers. Each is a frozen type, parsed once at the edge, with its limits in it."""

from typing import Annotated, Final, dataclass_transform

import msgspec

from iamata.consent.data_use import Conditions
from iamata.consent.permits import Obligation
from iamata.crypto.mapproof import HASH_BYTES
from iamata.learning.questions import QUESTION_BYTES_MAX
from iamata.learning.schemas import COLUMNS_MAX, NAME_CHARACTERS_MAX
from iamata.learning.secure_sum.messages import MESSAGE_BYTES_MAX, PHASES
from iamata.learning.tables import Cell
from iamata.ledger.blocks import StoredBlock
from iamata.ledger.envelope import TRANSACTION_BYTES_MAX
from iamata.ledger.receipts import Checkpoint, GrowthProof, Path, Receipt
from iamata.ledger.transactions.studies import SITES_MAX
from iamata.model.ids import (
    AccessId,
    DatasetId,
    Digest,
    KeyId,
    MemberId,
    ModelId,
    NetworkId,
    PatientId,
    RunId,
    StudyId,
)
from iamata.ports import Finality
from iamata.wire.refusals import Problem
from iamata.workflows.accesses import AccessProof
from iamata.workflows.messages import DECLARATION_LENGTH_MAX, SHARE_CODE_LENGTH_MAX, Purpose, Release
from iamata.workflows.receiving import Received
from iamata.workflows.relaying import PLAN_BYTES_MAX
from iamata.workflows.wallets import KeptTerms, SaltedTerms

TRANSACTIONS_MAX: Final = 500
"""Transactions in one request."""
EVENTS_MAX: Final = 1_000
BLOCKS_MAX: Final = 200
BLOCKS_BYTES_MAX: Final = 4 * 1_024 * 1_024
"""A page of blocks ends with the first that reaches this size."""
WAIT_S_MAX: Final = 25
"""How long a long poll may wait."""
REFERENCE_LENGTH_MAX: Final = 256

Jws = Annotated[str, msgspec.Meta(max_length=TRANSACTION_BYTES_MAX, pattern=r"^[A-Za-z0-9._-]*\Z")]
"""A signed statement or transaction (RFC 7515 compact)."""
ShortJws = Annotated[str, msgspec.Meta(max_length=DECLARATION_LENGTH_MAX, pattern=r"^[A-Za-z0-9._-]*\Z")]
"""A signed statement that travels inside another one."""
Cursor = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
ColumnName = Annotated[str, msgspec.Meta(min_length=1, max_length=NAME_CHARACTERS_MAX)]
LeftOut = Annotated[tuple[MemberId, ...], msgspec.Meta(max_length=SITES_MAX)]
"""Sites that take no part in a run."""
WaitS = Annotated[float, msgspec.Meta(ge=0, le=WAIT_S_MAX)]


@dataclass_transform(kw_only_default=True, frozen_default=True)
class Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every request's body has in common: nothing unknown in it."""


class Nothing(Body):
    """An answer that says no more than that it was done."""


# ------------------------------------------------------------------------------------------ the node itself


class NodeInfo(Body):
    """Who serves here, on which ledger, ordered by whom."""

    member: MemberId
    network: NetworkId
    name: str
    engine: str
    """How this node comes by its blocks."""
    orderer: KeyId | None
    """The one signer that orders the blocks; null where validators agree on them."""
    height: int
    time_ms: int
    log_size: int


class Health(Body):
    """That the node answers, or is ready to serve."""

    status: str


# -------------------------------------------------------------------------------------------- the ledger


class Submission(Body):
    """Signed transactions, to be put in order."""

    transactions: Annotated[tuple[Jws, ...], msgspec.Meta(min_length=1, max_length=TRANSACTIONS_MAX)]
    is_proven: bool = False
    """Answer with the proof that each is in the log."""


class Settled(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one transaction: its place, with a proof if asked for, or a refusal before any."""

    finality: Finality | None = None
    receipt: Receipt | None = None
    refused: Problem | None = None


class Settlement(Body):
    """What became of each, in the order in which they were sent."""

    answers: tuple[Settled, ...]


class Position(Body):
    """Where the ledger stands, and that it only grew since the size that was named."""

    height: int
    checkpoint: Checkpoint | None = None
    """None on a ledger without blocks."""
    growth: GrowthProof | None = None
    """None where no earlier size was named."""


class EventPage(Body):
    """A stretch of the log, with what lies before it and growth from its end to a checkpoint."""

    after: Cursor
    size: int
    """Of the whole log."""
    leaves: tuple[str, ...]
    left: Path
    """The roots of the complete subtrees before the first leaf, largest first."""
    growth: GrowthProof | None = None
    """From the end of this page on; None where the page is empty."""


class Block(Body):
    """A block as it is kept and replayed."""

    height: int
    time_ms: int
    first_leaf: int
    header: str
    transactions: tuple[str, ...]
    leaves: tuple[str, ...]

    @classmethod
    def write(cls, block: StoredBlock) -> "Block":
        """Spell a stored block."""
        return cls(
            height=block.height,
            time_ms=block.time_ms,
            first_leaf=block.first_leaf,
            header=block.header.decode("ascii"),
            transactions=tuple(one.decode("ascii") for one in block.transactions),
            leaves=tuple(one.decode("utf-8") for one in block.leaves),
        )

    def read(self) -> StoredBlock:
        """Return the block as it is stored; who believes it has replayed it."""
        return StoredBlock(
            height=self.height,
            time_ms=self.time_ms,
            first_leaf=self.first_leaf,
            header=self.header.encode("utf-8"),
            transactions=tuple(one.encode("utf-8") for one in self.transactions),
            leaves=tuple(one.encode("utf-8") for one in self.leaves),
        )


class BlockPage(Body):
    """Consecutive blocks, and where the ledger stands."""

    height: int
    blocks: tuple[Block, ...]


class SinceQuery(Body):
    """From which size of the log on growth is to be proven."""

    since: Cursor = 0


class ProofQuery(Body):
    """At which height: one whose checkpoint was asked for a moment ago, or now."""

    height: Cursor | None = None


class LeafQuery(ProofQuery, kw_only=True):
    """Which leaf of the log."""

    index: Cursor


class GrowthQuery(ProofQuery, kw_only=True):
    """Growth from a size of the log to a height."""

    since: Cursor = 0


class StateQuery(ProofQuery, kw_only=True):
    """Which entry of the map."""

    key: Annotated[str, msgspec.Meta(min_length=1, max_length=256, pattern=r"^[!-~]*\Z")]


class EventsQuery(ProofQuery, kw_only=True):
    """From which leaf on, how many at most, and how long to wait for the first."""

    after: Cursor = 0
    limit: Annotated[int, msgspec.Meta(ge=1, le=EVENTS_MAX)] = 100
    wait_s: WaitS = 0.0


class BlocksQuery(Body):
    """From which height on, how many at most, and how long to wait for the first."""

    first: Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)] = 1
    limit: Annotated[int, msgspec.Meta(ge=1, le=BLOCKS_MAX)] = 50
    wait_s: WaitS = 0.0


# ------------------------------------------------------------------ what nodes and people ask of a node


class RequestBody(Body):
    """A member's signed request for records."""

    request: Jws
    height: Cursor = 0
    """Where the asking node saw the ledger: the custodian's own copy has to have come as far."""


class Releases(Body):
    """What the custodian releases, sealed to the node that asked."""

    releases: tuple[Release, ...]


class ReceiptBody(Body):
    """A member's signed word that a release arrived."""

    receipt: Jws


class SearchBody(Body):
    """A person's signed search in an emergency."""

    search: Jws


class StaffSearchBody(SearchBody):
    """A person's signed search, and which custodian it is for."""

    custodian: MemberId


class Found(Body):
    """The one patient who was found."""

    patient: PatientId


class GrantBody(Body):
    """A patient's signed grant, with what opens its commitment."""

    grant: Jws
    salted: SaltedTerms


class RestrictionBody(Body):
    """The opening of a restriction that the patient has put on the ledger."""

    salted: SaltedTerms


class Unconfirmed(Body):
    """What the custodian signed for a patient who has not made it their own yet."""

    consents: tuple[KeptTerms, ...]


class AccessListBody(Body):
    """A patient's signed question who looked."""

    request: Jws


class AccessList(Body):
    """Who looked, each with its proof."""

    accesses: tuple[AccessProof, ...]


class InvitationBody(Body):
    """Which patient shall take over, as the records say it or by pseudonym; left out, a new one."""

    patient: Annotated[str, msgspec.Meta(max_length=REFERENCE_LENGTH_MAX)] | None = None


class Invitation(Body):
    """The code with which a patient enrols; whoever holds it becomes that patient."""

    code: Jws


class EnrolmentBody(Body):
    """A code from the custodian, and that the patient holds the new key."""

    code: Jws
    possession: Jws


class ReadingBody(Body):
    """What a person of the staff asks this node to fetch: by share code, or in an emergency."""

    purpose: Purpose
    share: Annotated[str, msgspec.Meta(max_length=SHARE_CODE_LENGTH_MAX)] | None = None
    emergency: AccessId | None = None
    declaration: ShortJws | None = None
    """What the person signed where the ledger gives no finality."""


class Arrival(Body):
    """Records that one release brought."""

    access: AccessId
    records: tuple[str, ...]
    obligations: tuple[Obligation, ...]
    receipt: Jws

    @classmethod
    def write(cls, received: Received) -> "Arrival":
        """Spell what was received."""
        return cls(
            access=received.access,
            records=tuple(record.body.decode("utf-8") for record in received.records),
            obligations=received.obligations,
            receipt=received.receipt,
        )


class Reading(Body):
    """What arrived from another member."""

    custodian: MemberId
    arrivals: tuple[Arrival, ...]


class ConfirmationBody(Body):
    """Receipts that this node signed, to be handed to the custodian now that the records are kept."""

    custodian: MemberId
    receipts: Annotated[tuple[Jws, ...], msgspec.Meta(max_length=64)]


# ----------------------------------------------------------------------------------------------- learning


class RunMessage(Body):
    """A site's message in a round of a run, and the plan of the round."""

    plan: Annotated[bytes, msgspec.Meta(max_length=PLAN_BYTES_MAX)]
    message: Annotated[bytes, msgspec.Meta(max_length=MESSAGE_BYTES_MAX)]
    height: Cursor = 0
    """Where the site saw the ledger: the relay's own copy has to have come as far."""


class DeliveryQuery(Body):
    """Which phase of which round, and how long to wait until it is closed."""

    run: RunId
    plan: Digest
    phase: Annotated[int, msgspec.Meta(ge=0, lt=len(PHASES))]
    wait_s: WaitS = 0.0


class Delivery(Body):
    """What a phase brought; none while it is open."""

    messages: tuple[bytes, ...]


class DocumentQuery(Body):
    """Which document, by the SHA-256 of its bytes."""

    digest: Digest


class ProtocolQuery(Body):
    """Which study's protocol."""

    study: StudyId


class Document(Body):
    """A public document: a protocol, a model, a card."""

    content: bytes


class RunBody(Body):
    """Which study to train for, in whose place the model is to be, and which sites are left out."""

    study: StudyId
    supersedes: ModelId | None = None
    without: LeftOut = ()


class QuestionBody(Body):
    """A question to a study's rows, as a file words it, and which sites are left out."""

    study: StudyId
    question: Annotated[bytes, msgspec.Meta(max_length=QUESTION_BYTES_MAX)]
    without: LeftOut = ()


class RunQuery(Body):
    """Which run's question, or standing."""

    run: RunId


class StartedRun(Body):
    """The run that has begun; one that answers a question may have begun before."""

    run: RunId
    is_new: bool = True


class MembershipBody(Body):
    """Whether a leaf is in a dataset; which leaf is a patient's, only they and their custodian know."""

    dataset: DatasetId
    leaf: Annotated[bytes, msgspec.Meta(min_length=HASH_BYTES, max_length=HASH_BYTES)]


class DatasetBody(Body):
    """For which study this member's vault is to be read, and what may be done with its data."""

    study: StudyId
    conditions: Conditions


class BegunDataset(Body):
    """The dataset that is being built, by the id that it will have on the ledger."""

    dataset: DatasetId


class DatasetQuery(Body):
    """Which dataset."""

    dataset: DatasetId


class KeptConditions(Body):
    """What may be done with a dataset's data; nothing where that was not kept, or not here."""

    conditions: Conditions | None = None


class DatasetWait(Body):
    """Which dataset, and how long to wait until it is built."""

    dataset: DatasetId
    wait_s: WaitS = 0.0


class BuiltDataset(Body):
    """Whether a dataset stands now, or is being built still."""

    dataset: DatasetId
    is_built: bool


class PredictionBody(Body):
    """Which model is asked about whom; without a row, about the records that the caller may read."""

    model: ModelId
    patient: Annotated[str, msgspec.Meta(min_length=1, max_length=REFERENCE_LENGTH_MAX)]
    row: Annotated[dict[ColumnName, Cell], msgspec.Meta(max_length=COLUMNS_MAX)] | None = None
