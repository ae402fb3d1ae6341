"""Found a network of nodes: one home for each member, the first of which orders the ledger."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from iamata.ledger.genesis import Genesis
from iamata.model.ids import MemberId
from iamata.node.configuration import PORT, Configuration, Embedded, Follower, write_configuration
from iamata.node.home import Founder, draw_network, require_room, write_home
from iamata.node.keyfiles import FOLDER_MODE

HOST: Final = "127.0.0.1"


def create_node_homes(
    path: Path, name: str, members: Sequence[Founder], *, first_port: int = PORT
) -> Genesis:
    """Found a network in an empty folder, each member in a home of its own that knows the others' nodes."""
    require_room(path)
    founding = draw_network(name, members)
    urls = {
        founder.member: f"http://{HOST}:{first_port + place}"
        for place, founder in enumerate(founding.founders)
    }
    leader = founding.founders[0].member
    path.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    try:
        for place, founder in enumerate(founding.founders):
            home, is_orderer = path / founder.member, founder.member == leader
            write_home(home, founding, [founder], is_orderer=is_orderer)
            engine = Embedded() if is_orderer else Follower(leader=urls[leader])
            peers: dict[MemberId, str] = {one: url for one, url in urls.items() if one != founder.member}
            write_configuration(home, Configuration(engine=engine, port=first_port + place, peers=peers))
    except BaseException:
        for founder in founding.founders:
            shutil.rmtree(path / founder.member, ignore_errors=True)
        raise
    return founding.genesis
