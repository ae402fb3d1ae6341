"""Write a home's ledger into one file; where validators order, with their votes."""

import contextlib
import itertools
from pathlib import Path

from iamata.engines.keeping.commits import CommitFile
from iamata.model.reasons import Reason, require
from iamata.node.exports import write_export
from iamata.node.home import LEDGER_FOLDER, Home


def export_home(home: Home, file: Path) -> int:
    """Write a new file, and return how many blocks it holds: of validators' blocks those with votes."""
    genesis, blocks = home.engine.genesis, home.engine.read_blocks()
    first = next(home.engine.read_blocks(), None)
    is_whole = first is None or first.height == 1
    require(is_whole, Reason.NOT_FOUND, "this home began with a snapshot: export where every block is")
    if not genesis.validators:
        return write_export(file, genesis, blocks)
    with contextlib.closing(CommitFile(home.path / LEDGER_FOLDER, is_writer=False)) as commits:
        last = commits.find_last_height()
        vouched = itertools.takewhile(lambda block: block.height <= last, blocks)
        return write_export(file, genesis, vouched, find_light=commits.find)
