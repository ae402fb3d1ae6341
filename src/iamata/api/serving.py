"""What the routes work with: one member's office, and what its node holds for those who ask."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Protocol

from iamata.api.gate import Gate
from iamata.api.heights import HeldViews, LedgerWatch
from iamata.api.metrics import Metrics
from iamata.api.pool import Pool
from iamata.api.turns import Turns
from iamata.consent.data_use import Conditions
from iamata.ledger.blocks import StoredBlock
from iamata.ledger.succession import Lineage
from iamata.model.ids import DatasetId, MemberId, ModelId, RunId, StudyId
from iamata.model.reasons import Refused
from iamata.wire.desk import Desk
from iamata.workflows.office import Office


class Learning(Protocol):
    """What a node does for studies on its own."""

    def register(self, run: RunId, *, supersedes: ModelId | None) -> None:
        """Await what the sites of an own run attest, and register it, without making anybody wait."""
        ...

    def build(self, study: StudyId, conditions: Conditions) -> DatasetId:
        """Begin to build a dataset out of the vault, once however often it is asked; return its id."""
        ...

    def is_built(self, dataset: DatasetId) -> bool:
        """Tell whether a dataset that was begun here stands, or refuse where nothing came of it."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Serving:
    """One node at work."""

    office: Office
    engine_kind: str
    """How it comes by its blocks."""
    lineage: Lineage
    """Which networks its own goes on from."""
    read_blocks: Callable[[int], Iterator[StoredBlock]]
    """Reads every block from a height on."""
    find_trouble: Callable[[], Refused | None]
    """Says why the node's ledger does not grow, None where it does."""
    get_desk: Callable[[MemberId], Desk]
    """Finds another member's node, or refuses."""
    gate: Gate
    views: HeldViews
    watch: LedgerWatch
    pool: Pool
    turns: Turns
    learning: Learning
    metrics: Metrics
