"""The ledger over HTTP: transactions go in, and what is in it comes out with its proofs."""

import asyncio
import contextlib
import itertools
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from typing import Final

from iamata.api.callers import Caller
from iamata.api.serving import Serving
from iamata.ledger.leaves import encode_leaf
from iamata.ledger.receipts import Checkpoint, GrowthProof, Receipt, StateProof
from iamata.ledger.tables import CURRENT, PARAMETERS
from iamata.model.ids import Digest
from iamata.model.reasons import Reason, Refused, require
from iamata.ports import Finality, LedgerView
from iamata.wire import bodies
from iamata.wire.refusals import describe
from iamata.workflows.author import FINALITY_TIMEOUT_S

_A_KEY: Final = PARAMETERS.key(CURRENT)
"""Any entry's proof carries the checkpoint; this one is always there."""


async def submit(serving: Serving, body: bodies.Submission) -> bodies.Settlement:
    """Put signed transactions in order, and say of each where it came to stand, or why it did not."""
    waiting = await serving.pool.run(lambda: [_hand_in(serving, one) for one in body.transactions])
    await _await_all(waiting)
    settled = [_settle(one) for one in waiting]
    if body.is_proven:
        settled = await serving.pool.run(lambda: _prove(serving, settled))
    return bodies.Settlement(answers=tuple(settled))


def tell_position(serving: Serving, query: bodies.SinceQuery) -> bodies.Position:
    """Return the newest signed checkpoint, and the proof that the log only grew since a size."""
    view = serving.views.hold()
    if view.height == 0:
        return bodies.Position(height=0)
    growth = view.prove_growth(query.since) if query.since else None
    checkpoint = growth.checkpoint if growth is not None else get_checkpoint(view)
    return bodies.Position(height=view.height, checkpoint=checkpoint, growth=growth)


def prove_state(serving: Serving, query: bodies.StateQuery) -> StateProof:
    """Prove what the state holds under a key, or that it holds nothing."""
    return serving.views.get(query.height).prove_entry(query.key.encode("ascii"))


def prove_leaf(serving: Serving, query: bodies.LeafQuery) -> Receipt:
    """Prove that a leaf is in the log."""
    return serving.views.get(query.height).prove_leaf(query.index)


def prove_growth(serving: Serving, query: bodies.GrowthQuery) -> GrowthProof:
    """Prove that the log begins with all that it held at an earlier size."""
    return serving.views.get(query.height).prove_growth(query.since)


async def list_events(serving: Serving, caller: Caller, query: bodies.EventsQuery) -> bodies.EventPage:
    """Read the log from a leaf on; with `wait_s`, wait for the first. Each page proves its place."""
    if query.height is None:
        await serving.watch.wait(
            lambda view: view.log_size > query.after, key=caller.key, wait_s=query.wait_s
        )
    return await serving.pool.run(lambda: _read_events(serving, query))


async def list_blocks(serving: Serving, caller: Caller, query: bodies.BlocksQuery) -> bodies.BlockPage:
    """Read whole blocks from a height on; with `wait_s`, wait for the first."""
    await serving.watch.wait(lambda view: view.height >= query.first, key=caller.key, wait_s=query.wait_s)
    return await serving.pool.run(lambda: _read_blocks(serving, query))


def get_checkpoint(view: LedgerView) -> Checkpoint:
    """Return the signed checkpoint of a view."""
    return view.prove_entry(_A_KEY).checkpoint


def _hand_in(serving: Serving, transaction: str) -> "Future[Finality]":
    try:
        return serving.office.author.engine.submit(transaction.encode("ascii"))
    except Refused as refused:
        future: Future[Finality] = Future()
        future.set_exception(refused)
        return future


async def _await_all(futures: "Sequence[Future[Finality]]") -> None:
    """Wait until all have ended, or the time is up: one wake-up, however many transactions there are."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    numbers = itertools.count(1)  # taking the next number is atomic, on whichever thread a future ends

    def note(_: "Future[Finality]") -> None:
        if next(numbers) == len(futures):
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(ended.set)

    for future in futures:
        future.add_done_callback(note)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(ended.wait(), timeout=FINALITY_TIMEOUT_S)


def _settle(future: "Future[Finality]") -> bodies.Settled:
    """Say what became of a transaction, or that nothing did yet."""
    if not future.done():
        return bodies.Settled(refused=describe(Reason.TOO_BUSY))
    try:
        return bodies.Settled(finality=future.result())
    except Refused as refused:
        return bodies.Settled(refused=describe(refused.reason))


def _prove(serving: Serving, settled: Sequence[bodies.Settled]) -> list[bodies.Settled]:
    view = serving.office.take_view()
    return [
        one
        if one.finality is None
        else bodies.Settled(finality=one.finality, receipt=view.prove_leaf(one.finality.index))
        for one in settled
    ]


def _read_events(serving: Serving, query: bodies.EventsQuery) -> bodies.EventPage:
    view = serving.views.get(query.height)
    require(query.after <= view.log_size, Reason.NOT_FOUND, f"leaf {query.after}")
    count = min(query.limit, view.log_size - query.after)
    if count == 0:
        return bodies.EventPage(after=query.after, size=view.log_size, leaves=(), left=())
    events = itertools.islice(serving.office.author.engine.events(query.after), count)
    leaves = tuple(encode_leaf(leaf).decode("utf-8") for _, leaf in events)
    return bodies.EventPage(
        after=query.after,
        size=view.log_size,
        leaves=leaves,
        left=tuple(_list_left(view.prove_leaf(query.after))),
        growth=view.prove_growth(query.after + count),
    )


def _list_left(receipt: Receipt) -> Iterator[Digest]:
    """List the complete subtrees before a leaf, largest first: the left siblings on its path to the root.

    A path climbs from the leaf (RFC 9162, 2.1.3.2): a node with an odd number has its sibling to the left,
    as has the last node of a level when it is carried up unpaired until it meets one.
    """
    found = []
    number, last = receipt.index, receipt.checkpoint.log_size - 1
    for sibling in receipt.path:
        if number & 1 or number == last:
            found.append(sibling)
            while number and not number & 1:
                number, last = number >> 1, last >> 1
        number, last = number >> 1, last >> 1
    return reversed(found)


def _read_blocks(serving: Serving, query: bodies.BlocksQuery) -> bodies.BlockPage:
    height, blocks, size = serving.office.take_view().height, [], 0
    for block in serving.read_blocks(query.first):
        blocks.append(bodies.Block.write(block))
        size += sum(map(len, block.transactions)) + sum(map(len, block.leaves))
        if len(blocks) == query.limit or size >= bodies.BLOCKS_BYTES_MAX:
            break
    return bodies.BlockPage(height=max(height, blocks[-1].height if blocks else 0), blocks=tuple(blocks))
