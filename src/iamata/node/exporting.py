"""Write a home's ledger into one file; where validators order, with their votes."""

import contextlib
import itertools
from pathlib import Path

from iamata.engines.keeping.commits import CommitFile
from iamata.ledger.genesis import get_first_height
from iamata.model.reasons import Reason, require
from iamata.node.exports import write_export
from iamata.node.home import LEDGER_FOLDER, Home
from iamata.node.lineage import list_geneses, read_lineage


def export_home(home: Home, file: Path) -> int:
    """Write a new file, and return how many blocks it holds: of validators' blocks those with votes."""
    genesis, blocks = home.engine.genesis, home.engine.read_blocks()
    predecessors = list_geneses(read_lineage(home.path, genesis))
    begun = next(home.engine.read_blocks(), None)
    is_whole = begun is None or begun.height == get_first_height((*predecessors, genesis)[0])
    require(is_whole, Reason.NOT_FOUND, "this home began with a snapshot: export where every block is")
    if not any(one.validators for one in (*predecessors, genesis)):
        return write_export(file, genesis, blocks, predecessors=predecessors)
    with contextlib.closing(CommitFile(home.path / LEDGER_FOLDER, is_writer=False)) as commits:
        first = get_first_height(genesis)
        last = max(commits.find_last_height(), first - 1) if genesis.validators else None
        vouched = itertools.takewhile(lambda block: last is None or block.height <= last, blocks)
        return write_export(file, genesis, vouched, predecessors=predecessors, find_light=commits.find)
