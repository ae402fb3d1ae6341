"""Cases of the envelope: one spelling, one network, one time, one use."""

import base64
import json

from iamata.ledger.entries import OwnerKind
from iamata.crypto.jws import sign_jws
from iamata.ledger.bases import PolicyBasis
from iamata.ledger.envelope import TRANSACTION_BYTES_MAX
from iamata.ledger.transaction import TRANSACTION_TYP
from iamata.ledger.transactions.access import Disclose
from iamata.ledger.transactions.consents import Grant, GrantConsent
from iamata.ledger.transactions.members import LeaveNetwork
from iamata.model.instants import MS_PER_MINUTE
from iamata.model.reasons import Reason
from iamata.testing.clock import FIRST_MS
from iamata.testing.vectors import Cases
from iamata.testing.world import World
from iamata.workflows.author import Author

CASES = Cases("envelope")


def fields_of(world: World) -> dict[str, object]:
    """Describe a valid transaction: an anchor."""
    return {
        "anchor": world.derive_id("anchor"),
        "count": 12,
        "expires_ms": world.clock() + MS_PER_MINUTE,
        "network": world.engine.network,
        "nonce": world.derive_id("nonce"),
        "root": world.derive_commitment("root"),
        "type": "records.anchor",
    }


def sign(world: World, payload: bytes) -> bytes:
    """Let hospital A sign these very bytes."""
    return sign_jws(world.node("hospital-a").author.key, typ=TRANSACTION_TYP, payload=payload)


def spell(fields: dict[str, object]) -> bytes:
    """Spell fields as canonical JSON, for all that is ASCII and flat."""
    return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode("ascii")


@CASES.add("records.anchored", "LED-ENV-1", "LED-ENV-13", why="The transaction that the other cases spoil.")
def accepts_the_plain_spelling(world: World) -> bytes:
    return sign(world, spell(fields_of(world)))


@CASES.add(Reason.TOO_LARGE, "LED-ENV-1", why="Size is checked before anything is parsed.")
def too_large(_: World) -> bytes:
    return b"e" * (TRANSACTION_BYTES_MAX + 1)


@CASES.add(Reason.MALFORMED, "LED-ENV-1", why="A JWS has three parts.")
def not_three_parts(world: World) -> bytes:
    return sign(world, spell(fields_of(world))) + b".e30"


@CASES.add(Reason.NOT_CANONICAL, "LED-ENV-2", why="A header with the same meaning is another header.")
def header_in_another_order(world: World) -> bytes:
    key = world.node("hospital-a").author.key
    header = {"typ": TRANSACTION_TYP, "kid": key.key_id, "alg": "Ed25519"}
    return sign_with_header(world, json.dumps(header, separators=(",", ":")).encode())


@CASES.add(Reason.NOT_CANONICAL, "LED-ENV-2", why="No other algorithm, least of all none.")
def header_with_another_algorithm(world: World) -> bytes:
    key = world.node("hospital-a").author.key
    return sign_with_header(
        world, f'{{"alg":"none","kid":"{key.key_id}","typ":"{TRANSACTION_TYP}"}}'.encode()
    )


@CASES.add(
    Reason.NOT_CANONICAL,
    "LED-ENV-3",
    why="The last character of 64 bytes has sixteen spellings; one counts.",
)
def signature_in_another_spelling(world: World) -> bytes:
    raw = sign(world, spell(fields_of(world)))
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return raw[:-1] + alphabet[alphabet.index(raw[-1]) + 1 :][:1]


@CASES.add(Reason.MALFORMED, "LED-ENV-3", why="Base64url has no padding here.")
def padded_segment(world: World) -> bytes:
    return sign(world, spell(fields_of(world))) + b"=="


@CASES.add(Reason.MALFORMED, "LED-ENV-4", why="A signature is 64 bytes.")
def signature_cut_short(world: World) -> bytes:
    return sign(world, spell(fields_of(world)))[:-2]


@CASES.add(Reason.UNKNOWN_TYPE, "LED-ENV-5", why="A type that these rules do not know.")
def unknown_type(world: World) -> bytes:
    return sign(world, spell(fields_of(world) | {"type": "records.hide"}))


@CASES.add(Reason.MALFORMED, "LED-ENV-6", why="A member that the type does not have.")
def unknown_member(world: World) -> bytes:
    return sign(world, spell(fields_of(world) | {"remark": "x"}))


@CASES.add(Reason.MALFORMED, "LED-ENV-6", why="A ledger without floats has no rounding.")
def float_for_an_integer(world: World) -> bytes:
    return sign(world, spell(fields_of(world) | {"count": 12.0}))


@CASES.add(
    Reason.MALFORMED, "LED-ENV-6", why="Integers beyond 2^53-1 mean different things to different readers."
)
def integer_beyond_the_safe_ones(world: World) -> bytes:
    return sign(world, spell(fields_of(world) | {"expires_ms": 2**53}))


@CASES.add(
    Reason.NOT_CANONICAL, "LED-ENV-7", why="White space would be another transaction with another id."
)
def white_space(world: World) -> bytes:
    return sign(world, json.dumps(fields_of(world), sort_keys=True).encode("ascii"))


@CASES.add(
    Reason.NOT_CANONICAL, "LED-ENV-7", why="Of two members with one name, readers disagree which counts."
)
def duplicate_member(world: World) -> bytes:
    payload = spell(fields_of(world)).replace(b'"count":12', b'"count":1,"count":12')
    return sign(world, payload)


@CASES.add(Reason.NOT_CANONICAL, "LED-ENV-7", why="An escape that is not needed.")
def needless_escape(world: World) -> bytes:
    return sign(world, spell(fields_of(world)).replace(b"records.anchor", b"records\\u002eanchor"))


@CASES.add(Reason.NOT_CANONICAL, "LED-ENV-9", why="A statement of another kind is not a grant.")
def statement_of_another_kind(world: World) -> bytes:
    anna = world.enrol_patient("anna", custodian="hospital-a")
    fields = fields_of(world)
    grant = anna.author.prove_possession(OwnerKind.PATIENT, anna.id, member=anna.custodian).text
    common = {name: fields[name] for name in ("expires_ms", "network", "nonce")}
    return sign(world, spell(common | {"grant": grant, "type": "consent.grant"}))


@CASES.add(
    Reason.FOREIGN_NETWORK, "LED-ENV-10", why="A patient's word on another network is not meant here."
)
def statement_for_another_network(world: World) -> bytes:
    anna = world.enrol_patient("anna", custodian="hospital-a")
    grant = world.state_grant("c1", anna).payload
    foreign = {
        name: getattr(grant, name)
        for name in ("consent", "patient", "custodian", "terms", "until_day", "submit_until_day")
    }
    elsewhere = World.found("elsewhere")
    signer = Author(elsewhere.engine, anna.author.key, world.clock, world.entropy)
    return world.node("hospital-a").author.write(GrantConsent, grant=signer.state(Grant, **foreign))


@CASES.add(Reason.BAD_SIGNATURE, "LED-ENV-11", why="One changed byte, and it is nobody's word.")
def changed_after_signing(world: World) -> bytes:
    raw = sign(world, spell(fields_of(world)))
    other = sign(world, spell(fields_of(world) | {"count": 13}))
    return other.rsplit(b".", 1)[0] + b"." + raw.rsplit(b".", 1)[1]


@CASES.add(
    Reason.BAD_SIGNATURE, "LED-ENV-11", why="The submitter's good name does not cover a forged statement."
)
def forged_statement_inside(world: World) -> bytes:
    anna = world.enrol_patient("anna", custodian="hospital-a")
    grant, other = world.state_grant("c1", anna), world.state_grant("c2", anna)
    forged = grant.text.rsplit(".", 1)[0] + "." + other.text.rsplit(".", 1)[1]
    fields = fields_of(world)
    common = {name: fields[name] for name in ("expires_ms", "network", "nonce")}
    return sign(world, spell(common | {"grant": forged, "type": "consent.grant"}))


@CASES.add(
    Reason.FOREIGN_NETWORK, "LED-ENV-12", why="A transaction for another network with the same members."
)
def for_another_network(world: World) -> bytes:
    elsewhere = World.found("elsewhere").engine.network
    return sign(world, spell(fields_of(world) | {"network": elsewhere}))


@CASES.add(Reason.UNKNOWN_SIGNER, "LED-ENV-14", why="Who is nobody here costs no place in a block.")
def signed_by_a_stranger(world: World) -> bytes:
    return world.stranger("x").write(LeaveNetwork)


@CASES.add(Reason.EXPIRED, "LED-TIME-2", why="A transaction that came too late for its block.")
def expired(world: World) -> bytes:
    return sign(world, spell(fields_of(world) | {"expires_ms": FIRST_MS}))


@CASES.add(
    Reason.EXPIRES_TOO_LATE, "LED-TIME-3", why="What lives longer than the window could be replayed."
)
def expires_too_late(world: World) -> bytes:
    late = world.clock() + 11 * MS_PER_MINUTE
    return sign(world, spell(fields_of(world) | {"expires_ms": late}))


@CASES.add(Reason.REPLAYED, "LED-REPLAY-1", why="The same bytes again.")
def replayed(world: World) -> bytes:
    raw = sign(world, spell(fields_of(world)))
    world.memory.order([raw])
    return raw


@CASES.add(
    Reason.REPLAYED,
    "LED-REPLAY-1",
    "LED-LOG-1",
    why="What was refused is in the log too, and stays refused.",
)
def replayed_after_a_refusal(world: World) -> bytes:
    anna = world.enrol_patient("anna", custodian="hospital-a")
    raw = world.node("hospital-a").author.write(
        Disclose,
        access=world.derive_id("access"),
        patient=anna.id,
        basis=PolicyBasis(),
        commitment=world.derive_commitment("disclosure"),
    )
    world.memory.order([raw])
    return raw


def sign_with_header(world: World, header: bytes) -> bytes:
    """Sign a valid payload under another protected header."""

    def encode(data: bytes) -> bytes:
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    signing_input = encode(header) + b"." + encode(spell(fields_of(world)))
    return signing_input + b"." + encode(world.node("hospital-a").author.key.sign(signing_input))
