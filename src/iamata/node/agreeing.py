"""Let a network go on where each home stays with its member: offer, agree, take over.

Every member works out the same genesis from the same offers; nobody has to be trusted to write it. What
they sign is that genesis, so a member who was told another set of offers, or of orderers, agrees to
nothing that the others have.
"""

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import msgspec

from iamata.crypto.ed25519 import SigningKey
from iamata.engines.comet.files import TIMEOUT_COMMIT_MS
from iamata.engines.embedded.engine import read_clock_ms
from iamata.ledger.entries import Validator
from iamata.ledger.envelope import read_statement, sign_statement
from iamata.ledger.genesis import Continuation, Genesis, Predecessor
from iamata.ledger.succession import agree
from iamata.ledger.tables import CURRENT, KEYS, ROLLS
from iamata.model.ids import MemberId, decode_digest
from iamata.model.reasons import Reason, Refused, require
from iamata.node.configuration import (
    Comet,
    Configuration,
    Embedded,
    Follower,
    read_configuration,
    write_configuration,
)
from iamata.node.continuing import (
    Standing,
    Tell,
    choose_active,
    conclude,
    draft,
    hold_home,
    making_homes,
    read_signing_key,
    require_whole,
)
from iamata.node.home import LEDGER_FOLDER, ORDERER_KEY, require_room
from iamata.node.inheriting import begin_embedded, begin_validator, check_begun, copy_home, finish_home
from iamata.node.keyfiles import write_key
from iamata.node.offers import (
    Continuing,
    Offer,
    draw_continuing,
    make_offer,
    read_continuing,
    read_offer,
    take_seat,
)
from iamata.node.running import spell_url
from iamata.node.validators import POWER, write_consensus


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """How a network is to go on: the members' offers, and who orders."""

    offers: tuple[str, ...]
    orderer: MemberId | None = None
    """The one member that orders; None where all do."""
    without: tuple[MemberId, ...] = ()
    agreements: tuple[str, ...] = ()
    timeout_commit_ms: int = TIMEOUT_COMMIT_MS
    """Of this member's own CometBFT."""


@contextlib.contextmanager
def holding(path: Path, tell: Tell) -> Iterator[tuple[Standing, MemberId]]:
    """Verify the home of one member, and keep others from opening it."""
    with contextlib.ExitStack() as held:
        standing = hold_home(path, held, tell)
        require_whole(standing)
        require(len(standing.members) == 1, Reason.INPUT_INVALID, f"{path} is not the home of one member")
        require(standing.report.ledger.state.has_blocks, Reason.INPUT_INVALID, "no block was made yet")
        yield standing, standing.members[0]


def offer_home(
    path: Path, *, url: str | None = None, p2p: str | None = None, rpc: str | None = None, tell: Tell
) -> str:
    """Offer to go on from where a home stands, which nobody may open meanwhile."""
    with holding(path, tell) as (standing, member):
        offer = make_offer(
            draw_continuing(path, p2p=p2p, rpc=rpc),
            member=member,
            stands=_say_stand(standing),
            at_ms=read_clock_ms(),
            url=url or spell_url(read_configuration(path)),
        )
        return sign_statement(offer, read_signing_key(path, member)).text


def agree_at_home(path: Path, plan: Plan, *, tell: Tell) -> str:
    """Agree, with the key of a home's member, to go on as planned."""
    with holding(path, tell) as (standing, member):
        genesis, _ = draft_plan(standing, plan)
        return agree(genesis, read_signing_key(path, member))


def take_over_home(path: Path, target: Path, plan: Plan, *, tell: Tell) -> Genesis:
    """Make the new home of a member, once enough of them have agreed; the old one is marked."""
    require_room(target)
    with holding(path, tell) as (standing, member):
        drafted, offers = draft_plan(standing, plan)
        ordered = tuple(sorted(plan.agreements, key=lambda text: _find_signer(text, standing)))
        genesis, lineage = conclude(standing, msgspec.structs.replace(drafted, agreements=ordered))
        try:
            continuing = read_continuing(path)
        except FileNotFoundError as error:
            raise Refused(Reason.INPUT_INVALID, f"{path} has made no offer") from error
        with making_homes(target.parent, {MemberId(target.name): standing}, genesis):
            tell(f"Writing the home of {member}")
            copy_home(path, target, path, [member])
            _write_engine(path, target, genesis, (continuing, offers, member), plan)
            finish_home(target, genesis, lineage, [member])
    return genesis


def draft_plan(standing: Standing, plan: Plan) -> tuple[Genesis, dict[MemberId, Offer]]:
    """Work out the genesis that follows from a plan, or refuse one that does not fit the ledger here."""
    state = standing.report.ledger.state
    offers: dict[MemberId, Offer] = {}
    for text in plan.offers:
        offer = read_offer(text, state)
        is_new = offer.member not in offers
        require(is_new, Reason.INPUT_INVALID, f"two offers are of {offer.member}")
        where = f"{offer.member} stands at {offer.stands.height:,}, and this home at {state.height:,}"
        require(offer.stands == _say_stand(standing), Reason.INPUT_INVALID, where)
        offers[offer.member] = offer
    roll = ROLLS.find(state.entries, CURRENT)
    active = choose_active(() if roll is None else roll.active, offers, plan.without)
    bare = draft(standing, created_ms=max(offer.at_ms for offer in offers.values()))
    if plan.orderer is not None:
        require(plan.orderer in active, Reason.UNKNOWN_MEMBER, f"{plan.orderer} has made no offer")
        return msgspec.structs.replace(bare, orderer=offers[plan.orderer].key), offers
    validators = tuple(Validator(member=one, key=offers[one].key, power=POWER) for one in sorted(active))
    return msgspec.structs.replace(bare, validators=validators), offers


def _say_stand(standing: Standing) -> Predecessor:
    state = standing.report.ledger.state
    return Predecessor(network=state.network, height=state.height, app_hash=state.app_hash)


def _find_signer(text: str, standing: Standing) -> str:
    """Return whose agreement it is; whether it is one, the ledger's rules say."""
    owner = KEYS.find(standing.report.ledger.state.entries, read_statement(text, Continuation).key)
    return "" if owner is None else owner.owner


def _write_engine(
    path: Path,
    target: Path,
    genesis: Genesis,
    own: tuple[Continuing, dict[MemberId, Offer], MemberId],
    plan: Plan,
) -> None:
    """Write how the new home's node runs: as the old one, but for who orders and whom it knows."""
    continuing, offers, member = own
    old = read_configuration(path)
    others = [offer.neighbour for offer in offers.values() if offer.member != member]
    engine: Comet | Embedded | Follower
    if plan.orderer is None:
        begin_validator(target / LEDGER_FOLDER, genesis)
        seat = take_seat(continuing, offers[member], old)
        engine = write_consensus(target, genesis, seat, others, plan.timeout_commit_ms)
    elif plan.orderer == member:
        seed = decode_digest(continuing.order)
        begin_embedded(target / LEDGER_FOLDER, genesis, SigningKey.from_seed(seed))
        write_key(target / LEDGER_FOLDER / ORDERER_KEY, seed)
        engine = Embedded()
    else:
        check_begun(target / LEDGER_FOLDER, genesis)
        engine = Follower(leader=offers[plan.orderer].url)
    peers = {one.member: one.url for one in others}
    fresh: Configuration = msgspec.structs.replace(old, engine=engine, peers=peers)
    write_configuration(target, fresh)
