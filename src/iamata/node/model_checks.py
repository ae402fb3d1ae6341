"""Models at a home: all that they are verified with is gathered, and a row to apply one to is read."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn

import msgspec

from iamata.columns.reading import read_table
from iamata.engines.embedded.engine import read_clock_ms
from iamata.engines.keeping.view import KeptView
from iamata.learning.estimators.model_files import MODEL_BYTES_MAX
from iamata.learning.protocols import Protocol, name_document, read_protocol
from iamata.learning.tables import Cell, spell_truth
from iamata.ledger.blocks import StoredBlock
from iamata.ledger.genesis import Genesis, compute_network_id
from iamata.ledger.leaves import Leaf, decode_leaf
from iamata.ledger.state import LedgerState
from iamata.model.canonical import check_distinct
from iamata.model.ids import Digest, ModelId
from iamata.model.instants import Instant
from iamata.model.reasons import Reason, Refused, require
from iamata.node.home import Home
from iamata.node.lineage import list_geneses, read_lineage
from iamata.node.places import RemotePlace
from iamata.node.studying import fetch_document, fetch_protocol, read_file
from iamata.node.verification import HomeReport, Tell, replay_with_checker, verify_export
from iamata.ports import LedgerView
from iamata.workflows.lineages import get_model, get_study
from iamata.workflows.model_cards import list_figures
from iamata.workflows.model_uses import Answer, Application, ask_model, fetch_model
from iamata.workflows.model_verification import Evidence, Ground, Statement, verify_model

ROW_BYTES_MAX: Final = 1024 * 1024


def verify(place: Home | RemotePlace, model: ModelId, *, file: bytes | None) -> list[Statement]:
    """Check a model with what a home holds, or with the blocks that a node shows, whatever it says."""
    if isinstance(place, RemotePlace):
        return verify_at_node(place, model, file=file)
    return verify_at_home(place, model, file=file)


def verify_at_home(home: Home, model: ModelId, *, file: bytes | None) -> list[Statement]:
    """Check a model with the ledger and the openings of this home's members."""
    view = home.engine.snapshot()
    before = list_geneses(read_lineage(home.path, home.engine.genesis))
    evidence = Evidence(
        view=view,
        networks=(home.engine.network, *map(compute_network_id, before)),
        at_ms=Instant(max(view.time_ms, home.clock())),
        read_log=lambda: (leaf for _, leaf in home.engine.events(0)),
        tell_block_ms=lambda height: tell_block_ms(home, height),
        custodies={member: office.custody for member, office in home.offices.items()},
        find_document=partial(find_document, home, model),
    )
    return verify_model(evidence, model, file=file)


def verify_at_node(place: RemotePlace, model: ModelId, *, file: bytes | None) -> list[Statement]:
    """Check a model with the blocks that a node shows, run again here from the genesis that one trusts.

    What is read of the ledger afterwards is proven against just the state that they come to. The node holds
    the openings, so what they would open is a site's word here.
    """
    view, times_ms = place.engine.snapshot(), {0: Instant(place.engine.genesis.created_ms)}
    before = replay_up_to(place, view, times_ms)
    evidence = Evidence(
        view=view,
        networks=(place.engine.network, *map(compute_network_id, before)),
        at_ms=Instant(max(view.time_ms, place.clock())),
        read_log=lambda: (leaf for _, leaf in place.engine.events(0)),
        tell_block_ms=lambda height: times_ms[height],
        custodies={},
        find_document=partial(find_document, place, model),
    )
    return verify_model(evidence, model, file=file)


class Outside(NamedTuple):
    """What an outsider verifies a model with, who has no home and asks no node."""

    export: Path
    genesis: Genesis | None


class Checked(NamedTuple):
    """What an export comes to, and what is said of a model on that ground."""

    report: HomeReport
    view: LedgerView
    statements: list[Statement]


def verify_outside(
    outside: Outside, model: ModelId, handed: Mapping[str, bytes], *, file: bytes | None, tell: Tell
) -> Checked:
    """Check a model with an export, run again from its genesis."""
    leaves, times_ms = list[Leaf](), dict[int, Instant]()

    def look(block: StoredBlock) -> None:
        times_ms[block.height] = Instant(block.time_ms)
        leaves.extend(map(decode_leaf, block.leaves))

    report = verify_export(outside.export, genesis=outside.genesis, tell=tell, look=look)
    lineage = (*report.before, report.genesis)
    times_ms.setdefault(0, Instant(lineage[0].created_ms))
    view = hold_still(report.ledger.state)
    named = {name_document(raw): raw for raw in handed.values()}
    evidence = Evidence(
        view=view,
        networks=tuple(map(compute_network_id, reversed(lineage))),
        at_ms=Instant(max(view.time_ms, read_clock_ms())),
        read_log=lambda: iter(leaves),
        tell_block_ms=times_ms.__getitem__,
        custodies={},
        find_document=named.get,
    )
    return Checked(report, view, verify_model(evidence, model, file=file))


def name_protocol(model: ModelId) -> str:
    """Name the file beside a model's card that has its study's protocol, for a card follows from it."""
    return f"{model}-protocol.json"


def read_handed_on(card: Path | None, model: ModelId) -> dict[str, bytes]:
    """Read a card, which comes first, and those of the files that belong beside it which are there."""
    if card is None:
        return {}
    raw = read_file(card, bytes_max=MODEL_BYTES_MAX)
    wanted = (name_protocol(model), *list_figures(raw))
    beside = [name for name in wanted if card.with_name(name).is_file()]
    return {card.name: raw} | {
        name: read_file(card.with_name(name), bytes_max=MODEL_BYTES_MAX) for name in beside
    }


def check_handed_on(view: LedgerView, model: ModelId, handed: Mapping[str, bytes]) -> list[Statement]:
    """Hold a card that was handed on against the ledger, and the files beside it against the card."""
    if not handed:
        return []
    (name, card), *_ = handed.items()
    entry = get_model(view, model)
    protocol = get_study(view, entry.study).protocol
    wanted = {name: entry.card, name_protocol(model): protocol} | list_figures(card)
    changed = [name for name, raw in handed.items() if name_document(raw) != wanted[name]]
    missing = [name for name in wanted if name not in handed]
    says = [
        f"changed since, or of another model: {', '.join(changed)}" if changed else "",
        f"not there: {', '.join(missing)}" if missing else "",
    ]
    told = "; ".join(filter(None, says)) or "the card, and all that belongs to it, is what the ledger names"
    return [Statement(name="handed on", ground=Ground.OPENED, holds=not changed, says=told)]


def hold_still(state: LedgerState) -> LedgerView:
    """Make a view of a state that was replayed: its entries are at hand, and no proofs of them."""

    def refuse() -> NoReturn:
        raise Refused(Reason.NOT_FOUND, "an export is no ledger that proves single entries")

    place = (state.height, state.time_ms, state.app_hash)
    entries, frontier = state.entries.freeze(), state.frontier
    return KeptView(entries=entries, frontier=frontier, header=None, place=place, borrow_file=refuse)


def replay_up_to(place: RemotePlace, view: LedgerView, times_ms: dict[int, Instant]) -> Sequence[Genesis]:
    """Run a node's blocks again as far as a view, or refuse where they do not come to its state.

    Return the genesis of each network that came before, oldest first.
    """
    lineage, genesis = place.fetch_lineage()
    require(genesis == place.engine.genesis, Reason.FAULT_FOUND, "the node shows another genesis")

    def read() -> Iterator[StoredBlock]:
        for block in read_from_first(place):
            if block.height > view.height:
                return
            times_ms[block.height] = Instant(block.time_ms)
            yield block

    before = list_geneses(lineage)
    report = replay_with_checker((*before, genesis), read(), None)
    is_same = (report.blocks, report.app_hash) == (view.height, view.app_hash)
    require(is_same, Reason.FAULT_FOUND, f"block {view.height}: its blocks come to another state")
    return before


def read_from_first(place: RemotePlace) -> Iterator[StoredBlock]:
    """Read a node's blocks, or refuse one whose ledger began with a snapshot: that is no fault of its."""
    blocks = place.engine.read_blocks()
    try:
        first = next(blocks, None)
    except Refused as refused:
        if refused.reason is not Reason.FAULT_FOUND:
            raise
        raise Refused(
            Reason.NOT_FOUND, "the first blocks are not here; ask a node that has them"
        ) from refused
    if first is not None:
        yield first
        yield from blocks


def find_document(place: Home | RemotePlace, model: ModelId, digest: Digest) -> bytes | None:
    """Return a document of a model's, None where nobody who is asked here keeps it."""
    view = place.engine.snapshot()
    owner = get_study(view, get_model(view, model).study).owner
    try:
        return fetch_document(place, digest, owner=owner)
    except Refused:
        return None


def tell_block_ms(home: Home, height: int) -> Instant:
    """Tell the time of a block; before the first one, that of the founding."""
    if height == 0:
        return Instant(home.engine.genesis.created_ms)
    for block in home.engine.read_blocks(first_height=height):
        # A ledger that began with a snapshot does not tell who had agreed before: better nothing than half.
        require(block.height == height, Reason.NOT_FOUND, f"block {height}: this ledger begins later")
        return Instant(block.time_ms)
    raise Refused(Reason.HOME_CORRUPT, f"block {height} is missing")


def apply_at_home(home: Home, wanted: Application, row: Path | None, *, member: str) -> Answer:
    """Ask a model about the row in a file if there is one, and about the vault's records otherwise."""
    office = home.get_office(member)
    studied = fetch_model(
        office, wanted.model, lambda owner, digest: home.get_desk(owner).show_document(digest)
    )
    cells = None if row is None else read_row(row, lambda: studied.protocol)
    return ask_model(office, wanted, studied, cells)


def apply_at_node(place: RemotePlace, model: ModelId, patient: str, row: Path | None) -> Answer:
    """Have one's own node ask a model."""
    study = get_model(place.engine.snapshot(), model).study
    cells = None if row is None else read_row(row, lambda: read_protocol(fetch_protocol(place, study)))
    return place.staff.predict(model, patient, cells)


def read_row(path: Path, find_protocol: Callable[[], Protocol]) -> dict[str, Cell]:
    """Read the one row to which a model is applied: an object of JSON, or a table with one row."""
    if path.suffix.lower() == ".json":
        return _read_object(path)
    columns = read_table(path, [column.name for column in find_protocol().schema.columns]).cells
    lengths = {len(cells) for cells in columns.values()}
    require(lengths == {1}, Reason.TABLE_CLASHES, f"{path} holds not just one row")
    return {name: cells[0] for name, cells in columns.items()}


def _read_object(path: Path) -> dict[str, Cell]:
    raw = read_file(path, bytes_max=ROW_BYTES_MAX)
    try:
        row: dict[str, Any] = msgspec.json.decode(raw, type=dict[str, float | int | str | bool | None])
        check_distinct(raw)
    except Refused:
        raise
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(Reason.INPUT_INVALID, f"{path} holds no object of numbers and words") from error
    return {name: spell_truth(cell) for name, cell in row.items()}
