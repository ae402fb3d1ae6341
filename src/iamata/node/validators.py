"""Found a network that its members order together: a home for each, with a CometBFT of its own."""

import dataclasses
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from iamata.crypto.ed25519 import SEED_BYTES, SigningKey
from iamata.engines.comet.files import TIMEOUT_COMMIT_MS, CometSettings, spell_peer
from iamata.ledger.entries import Validator
from iamata.ledger.genesis import Genesis, check_genesis
from iamata.model.ids import MemberId
from iamata.model.reasons import Reason, require
from iamata.node.comet_home import COMET_FOLDER, CometSeeds, draw_ports, write_comet_folder
from iamata.node.configuration import PORT, Comet, Configuration, write_configuration
from iamata.node.home import Founder, draw_network, require_room, write_home
from iamata.node.keyfiles import FOLDER_MODE

POWER: Final = 10
"""Of each founder. CometBFT fetches no blocks ahead where its validator seems able to stop the others,
and takes a third of all for that, rounded down: among four or five of weight 1, each would seem to be."""
HOSTS_MAX: Final = 250
"""Each node has a loopback address of its own, 127.0.0.1 and on."""


@dataclasses.dataclass(frozen=True, slots=True)
class Neighbour:
    """Another member's node, and how the CometBFT beside it is reached: id@host:port."""

    member: MemberId
    url: str
    peer: str


@dataclasses.dataclass(frozen=True, slots=True)
class Seat:
    """Where one founder's node and its CometBFT are, and the keys that the latter holds."""

    member: MemberId
    url: str
    host: str
    port: int
    p2p: str
    rpc: str
    seeds: CometSeeds

    @property
    def neighbour(self) -> Neighbour:
        """Say how the others reach it."""
        peer = spell_peer(SigningKey.from_seed(self.seeds.node).key_id, self.p2p)
        return Neighbour(self.member, self.url, peer)


def create_validator_homes(
    path: Path,
    name: str,
    members: Sequence[Founder],
    *,
    first_port: int = PORT,
    timeout_commit_ms: int = TIMEOUT_COMMIT_MS,
) -> Genesis:
    """Found a network in an empty folder whose founders all order: on loopback, at ports that are free."""
    require_room(path)
    drawn = draw_network(name, members)
    seats = take_seats([founder.member for founder in drawn.founders], first_port)
    founding = dataclasses.replace(drawn, genesis=_appoint(drawn.genesis, seats))
    path.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    try:
        for founder, seat in zip(founding.founders, seats, strict=True):
            write_home(path / seat.member, founding, [founder], is_orderer=False)
            write_seat(path / seat.member, founding.genesis, seat, seats, timeout_commit_ms)
    except BaseException:
        for seat in seats:
            shutil.rmtree(path / seat.member, ignore_errors=True)
        raise
    return founding.genesis


def take_seats(members: Sequence[MemberId], first_port: int) -> list[Seat]:
    """Give each member's node a place on this machine, and draw the keys of its CometBFT."""
    require(len(members) <= HOSTS_MAX, Reason.INPUT_INVALID, f"{HOSTS_MAX} nodes at most on one machine")
    return [_take_seat(member, place, first_port) for place, member in enumerate(members, start=1)]


def appoint(seats: Sequence[Seat]) -> tuple[Validator, ...]:
    """Let every seat's member order, with the same weight."""
    validators = [
        Validator(member=seat.member, key=SigningKey.from_seed(seat.seeds.validator).key_id, power=POWER)
        for seat in seats
    ]
    return tuple(sorted(validators, key=lambda one: one.member))


def _take_seat(member: MemberId, place: int, first_port: int) -> Seat:
    host, port = f"127.0.0.{place}", first_port + place - 1
    p2p, rpc = draw_ports(2, host=host)
    return Seat(
        member=member,
        url=f"http://{host}:{port}",
        host=host,
        port=port,
        p2p=f"{host}:{p2p}",
        rpc=f"{host}:{rpc}",
        seeds=CometSeeds(validator=os.urandom(SEED_BYTES), node=os.urandom(SEED_BYTES)),
    )


def _appoint(genesis: Genesis, seats: Sequence[Seat]) -> Genesis:
    """Let every founder order, with the same weight, instead of one signer."""
    appointed = msgspec.structs.replace(genesis, orderer=msgspec.UNSET, validators=appoint(seats))
    check_genesis(appointed)
    return appointed


def write_seat(
    home: Path, genesis: Genesis, seat: Seat, seats: Sequence[Seat], timeout_commit_ms: int
) -> None:
    """Write how a home's node and its CometBFT run, and with whom."""
    others = [one.neighbour for one in seats if one.member != seat.member]
    engine = write_consensus(home, genesis, seat, others, timeout_commit_ms)
    peers = {one.member: one.url for one in others}
    write_configuration(home, Configuration(engine=engine, host=seat.host, port=seat.port, peers=peers))


def write_consensus(
    home: Path, genesis: Genesis, seat: Seat, others: Sequence[Neighbour], timeout_commit_ms: int
) -> Comet:
    """Write all that a home's CometBFT needs to begin; return how its node reaches it."""
    engine = Comet(rpc=seat.rpc, p2p=seat.p2p)
    settings = CometSettings(
        moniker=seat.member,
        proxy_app=f"unix://{engine.application}",
        p2p_address=seat.p2p,
        rpc_address=seat.rpc,
        peers=tuple(one.peer for one in others),
        timeout_commit_ms=timeout_commit_ms,
    )
    write_comet_folder(home / COMET_FOLDER, genesis, settings, seat.seeds)
    return engine
