"""What a node serves, over a scene and without a socket: the scene's clock, real signatures."""

import itertools
from collections.abc import Callable, Iterator
from typing import Final

from iamata.api.gate import Gate
from iamata.api.heights import HeldViews, LedgerWatch
from iamata.api.metrics import Metrics
from iamata.api.pool import Pool
from iamata.api.serving import Serving
from iamata.api.turns import Turns
from iamata.crypto.ed25519 import SigningKey
from iamata.duties.learning import LearningDuty
from iamata.ledger.blocks import StoredBlock
from iamata.ledger.succession import Lineage
from iamata.model.ids import MemberId
from iamata.model.instants import MS_PER_SECOND
from iamata.model.reasons import Reason, Refused
from iamata.node.desks import LocalDesk
from iamata.testing.scenes import Scene
from iamata.testing.world import World
from iamata.wire.desk import Desk
from iamata.wire.signatures import Message, sign_request
from iamata.workflows.office import Office

AUTHORITY: Final = "node.example"
_NONCES: Final = itertools.count()


def serve_office(scene: Scene, office: Office) -> Serving:
    """Wire one office of a scene as its node would."""
    engine, pool = scene.engine, Pool()
    desks = {one.member: LocalDesk(one) for one in (scene.a, scene.b)}

    def get_desk(member: MemberId) -> Desk:
        desk = desks.get(member)
        if desk is None:
            raise Refused(Reason.UNKNOWN_MEMBER, member)
        return desk

    return Serving(
        office=office,
        engine_kind="memory",
        lineage=Lineage(),
        find_trouble=lambda: None,
        read_blocks=lambda first: read_blocks(scene.world, first),
        get_desk=get_desk,
        gate=Gate(engine, office.member, names=(AUTHORITY,), clock=scene.world.clock),
        views=HeldViews(engine),
        watch=LedgerWatch(engine, pool),
        pool=pool,
        turns=Turns(),
        learning=LearningDuty(office, get_desk),
        metrics=Metrics(),
    )


def read_blocks(world: World, first: int) -> Iterator[StoredBlock]:
    """Read a world's blocks as a file would hold them."""
    memory, first_leaf = world.memory, 0
    for height, block in enumerate(memory.blocks, start=1):
        count = len(block.transactions)
        if height >= first:
            yield StoredBlock(
                height=height,
                time_ms=block.time_ms,
                first_leaf=first_leaf,
                header=block.header,
                transactions=block.transactions,
                leaves=tuple(memory.leaves[first_leaf : first_leaf + count]),
            )
        first_leaf += count


def sign(
    key: SigningKey, method: str, target: str, body: bytes = b"", *, clock: Callable[[], int]
) -> dict[str, str]:
    """Return the header fields of a request that a key signs, with a nonce of its own."""
    path, _, query = target.partition("?")
    message = Message(method=method, authority=AUTHORITY, path=path, query=query, fields={})
    nonce = f"{next(_NONCES):025b}".translate(str.maketrans("01", "ab")) + "a"
    return sign_request(key, message, body, now_s=clock() // MS_PER_SECOND, nonce=nonce)
