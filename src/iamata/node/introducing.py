"""Write down, from a validator's home, what the node of an organisation that is to join needs."""

import contextlib
from pathlib import Path

from iamata.engines.keeping.commits import CommitFile, read_kept
from iamata.ledger.genesis import Genesis, get_first_height
from iamata.ledger.light.blocks import LightBlock
from iamata.ledger.light.verifying import find_steps, is_within_reach, trust_genesis
from iamata.model.canonical import encode_struct
from iamata.model.ids import MemberId
from iamata.model.reasons import Reason, Refused
from iamata.node.comet_home import COMET_FOLDER, list_peers
from iamata.node.configuration import Comet, read_configuration
from iamata.node.home import LEDGER_FOLDER, find_asking_key, list_member_folders, load_genesis
from iamata.node.introduction import Introduction
from iamata.node.keyfiles import KEY_MODE, write_new
from iamata.node.letting_in import find_own_peer
from iamata.node.running import spell_url


def write_introduction(home: Path, to: Path) -> Introduction:
    """Write down what a newcomer needs, from a validator's home, whether its node runs or not."""
    genesis, configuration = load_genesis(home), read_configuration(home)
    engine = configuration.engine
    if not isinstance(engine, Comet) or find_asking_key(home) is None:
        raise Refused(Reason.INPUT_INVALID, f"{home} is no validator's home")
    member = MemberId(list_member_folders(home)[0].name)
    trusted, steps = _find_newest(home / LEDGER_FOLDER, genesis)
    introduction = Introduction(
        genesis=genesis,
        introducer=member,
        nodes={member: spell_url(configuration)} | configuration.peers,
        peers=(find_own_peer(home), *(one for one in list_peers(home / COMET_FOLDER) if "@" in one)),
        rpc=engine.rpc,
        trusted=trusted,
        steps=steps,
    )
    write_new(to, encode_struct(introduction), mode=KEY_MODE)
    return introduction


def _find_newest(folder: Path, genesis: Genesis) -> tuple[LightBlock, tuple[LightBlock, ...]]:
    """Find the newest header with votes that this home keeps, and what leads there from the genesis."""
    with contextlib.closing(CommitFile(folder, is_writer=False)) as file:
        last = file.find_last_height()  # of a predecessor's validators, where nothing was ordered since
        raw = file.find(last) if last >= get_first_height(genesis) else None
        if raw is None:
            raise Refused(Reason.NOT_FOUND, "a ledger without blocks has no header to trust yet")
        light, root = read_kept(raw), trust_genesis(genesis)
        if is_within_reach(light, root):
            return light, ()
        return light, tuple(find_steps(light, root, file.list_turns()))
