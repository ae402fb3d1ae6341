"""Models at a home: all that they are verified with is gathered, and a row to apply one to is read."""

from pathlib import Path
from typing import Any, Final

import msgspec

from iamata.columns.reading import read_table
from iamata.learning.protocols import Protocol, read_protocol
from iamata.learning.tables import Cell
from iamata.model.ids import Digest, ModelId
from iamata.model.instants import Instant
from iamata.model.reasons import Reason, Refused, require
from iamata.node.home import Home
from iamata.node.studying import fetch_document, fetch_protocol, read_file
from iamata.workflows.lineages import get_model, get_study, is_answer
from iamata.workflows.model_uses import (
    Answer,
    Application,
    Studied,
    apply_model,
    apply_to_records,
)
from iamata.workflows.model_verification import Evidence, Statement, verify_model
from iamata.workflows.office import Office

ROW_BYTES_MAX: Final = 1024 * 1024


def verify_at_home(home: Home, model: ModelId, *, file: bytes | None) -> list[Statement]:
    """Check a model with the ledger and the openings of this home's members."""
    view = home.engine.snapshot()
    owner = get_study(view, get_model(view, model).study).owner

    def find_document(digest: Digest) -> bytes | None:
        try:
            return fetch_document(home, digest, owner=owner)
        except Refused:
            return None

    evidence = Evidence(
        view=view,
        read_log=lambda: (leaf for _, leaf in home.engine.events(0)),
        tell_block_ms=lambda height: tell_block_ms(home, height),
        custodies={member: office.custody for member, office in home.offices.items()},
        find_document=find_document,
    )
    return verify_model(evidence, model, file=file)


def tell_block_ms(home: Home, height: int) -> Instant:
    """Tell the time of a block; before the first one, that of the founding."""
    if height == 0:
        return Instant(home.engine.genesis.created_ms)
    for block in home.engine.read_blocks(first_height=height):
        # A ledger that began with a snapshot does not tell who had agreed before: better nothing than half.
        require(block.height == height, Reason.NOT_FOUND, f"block {height}: this ledger begins later")
        return Instant(block.time_ms)
    raise Refused(Reason.HOME_CORRUPT, f"block {height} is missing")


def fetch_model(home: Home, model: ModelId) -> Studied:
    """Return a model's file and its study's protocol, from this home or from the study's owner."""
    view = home.engine.snapshot()
    entry = get_model(view, model)
    require(not is_answer(model, entry.run), Reason.UNKNOWN_MODEL, "it is the answer to a question")
    owner = get_study(view, entry.study).owner
    file = fetch_document(home, entry.content, owner=owner)
    return Studied(file=file, protocol=read_protocol(fetch_protocol(home, entry.study)))


def ask_model(office: Office, wanted: Application, studied: Studied, row: Path | None) -> Answer:
    """Ask a model about the row in a file if there is one, and about the vault's records otherwise."""
    if row is None:
        return apply_to_records(office, wanted, studied)
    return apply_model(office, wanted, studied, read_row(row, studied.protocol))


def read_row(path: Path, protocol: Protocol) -> dict[str, Cell]:
    """Read the one row to which a model is applied: an object of JSON, or a table with one row."""
    if path.suffix.lower() == ".json":
        return _read_object(path)
    columns = read_table(path, [column.name for column in protocol.schema.columns])
    lengths = {len(cells) for cells in columns.values()}
    require(lengths == {1}, Reason.TABLE_CLASHES, f"{path} holds not just one row")
    return {name: cells[0] for name, cells in columns.items()}


def _read_object(path: Path) -> dict[str, Cell]:
    raw = read_file(path, bytes_max=ROW_BYTES_MAX)
    try:
        row: dict[str, Any] = msgspec.json.decode(raw, type=dict[str, float | int | str | None])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(Reason.INPUT_INVALID, f"{path} holds no object of numbers and words") from error
    return row
