"""Whatever comes from outside is read or refused: no decoder lets another exception out, or takes long.

Each example is valid; what is tried is damaged in its bytes, or bent in its JSON. The time bound is
generous, for a loaded machine: what it catches is work that grows out of proportion.
"""

import contextlib
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from iamata.consent.terms import Rule, Ruling, Terms, decode_terms
from iamata.crypto.jws import decode_jws, sign_jws
from iamata.crypto.mapproof import MapProof, verify_map_proof
from iamata.crypto.merkle import verify_consistency, verify_inclusion
from iamata.crypto.tiles import Frontier
from iamata.engines.keeping.segments import decode_segment, encode_segment
from iamata.fhir.bundles import read_bundle
from iamata.fhir.consents import Ceremony, read_ceremony, read_consent, write_consent
from iamata.fhir.demographics import list_demographics
from iamata.fhir.labels import parse_rules
from iamata.fhir.preparing import prepare_document
from iamata.fhir.resources import compact, read_head, read_resource
from iamata.fhir.validation.documents import validate_document
from iamata.intake.rules import load_rules
from iamata.ledger.envelope import read_statement, read_transaction
from iamata.ledger.genesis import Genesis, get_orderer, read_genesis
from iamata.ledger.header import read_header
from iamata.ledger.leaves import decode_leaf
from iamata.ledger.light.blocks import read_light_block
from iamata.ledger.receipts import Checkpoint, Receipt, StateProof, check_receipt, check_state_proof
from iamata.ledger.transaction import Statement
from iamata.ledger.transactions.consents import Grant
from iamata.ledger.transactions.late_emergencies import LateDeclaration
from iamata.model.canonical import decode_strict, encode_canonical, encode_struct
from iamata.model.ids import Digest, NetworkId
from iamata.model.instants import Instant, parse_day
from iamata.model.reasons import Refused
from iamata.node.exports import read_export
from iamata.node.home import open_home
from iamata.testing.entropy import derive_key
from iamata.testing.known import EVERY_PATIENT
from iamata.workflows.messages import RecordRequest, ReleaseNote, ShareCode, read_message
from mutations import Decode, bend, damage

EXAMPLES: Final = 60
SLOW_S: Final = 2.0
"""No decoder may take longer for an input of a few kilobytes."""
RULES: Final = load_rules()
LIGHT_BLOCKS: Final = tuple(
    (Path(__file__).resolve().parents[2] / "vectors" / "light" / "chain.ndjson").read_bytes().splitlines()
)
PATIENT: Final = {
    "resourceType": "Patient",
    "id": "p1",
    "name": [{"family": "Vogel", "given": ["Anna"]}],
    "birthDate": "1980-02-29",
    "identifier": [{"system": "urn:mrn", "value": "17"}],
}
OBSERVATION: Final = {
    "resourceType": "Observation",
    "id": "o1",
    "subject": {"reference": "urn:uuid:a"},
    "code": {"coding": [{"system": "http://loinc.org", "code": "4548-4"}]},
    "effectiveDateTime": "2024-05-06T07:08:09+02:00",
    "valueQuantity": {"value": 6.5},
}
BUNDLE: Final = msgspec.json.encode(
    {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {"fullUrl": "urn:uuid:a", "resource": PATIENT, "request": {"method": "POST", "url": "Patient"}},
            {
                "fullUrl": "urn:uuid:b",
                "resource": OBSERVATION,
                "request": {"method": "POST", "url": "Observation"},
            },
        ],
    }
)
GIVEN: Final = Terms(
    decision=Ruling.PERMIT,
    recipients=("member:south-hospital",),
    purposes=("TREAT",),
    labels=("N",),
    recorded_ms=Instant(1_700_000_000_000),
    policy="urn:policy:1",
    exceptions=(Rule(decision=Ruling.DENY, labels=("PSY",)),),
)
TERMS: Final = encode_struct(GIVEN)
CONSENT: Final = msgspec.json.encode(
    write_consent(
        GIVEN,
        Ceremony(
            consent="c1",
            patient="Patient/p1",
            performers=("Patient/p1",),
            custodians=("Organization/o1",),
            evidence="DocumentReference/d1",
        ),
    )
)

fuzzed = settings(
    max_examples=EXAMPLES,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.function_scoped_fixture,
        HealthCheck.data_too_large,
    ],
)


class Outside:
    """Valid examples from a ledger: blocks, transactions, a receipt, proofs."""

    def __init__(self, home_path: Path) -> None:
        with open_home(home_path) as home:
            self.genesis, self.network = home.engine.genesis, home.engine.network
            blocks = list(home.engine.read_blocks())
            view = home.engine.snapshot()
            self.receipt = msgspec.json.encode(view.prove_leaf(1))
            self.proofs = tuple(
                msgspec.json.encode(view.prove_entry(key))
                for key in (b"member/north-hospital", b"member/nobody")
            )
            office = home.get_office("north-hospital")
            common: dict[str, Any] = {
                "custodian": office.member,
                "patient": "a" * 26,
                "nonce": office.author.make_id(),
            }
            self.message = office.author.state(
                ShareCode, recipient=office.member, until_ms=Instant(1), **common
            ).text.encode()
        self.transactions = tuple(raw for block in blocks for raw in block.transactions)
        self.headers = tuple(block.header for block in blocks[:3])
        self.leaves = tuple(leaf for block in blocks for leaf in block.leaves)
        self.export = home_path.with_name("export").read_bytes()


@pytest.fixture(scope="session")
def outside(fuzz_home: Path) -> Outside:
    return Outside(fuzz_home)


def attempt(decode: Decode, content: bytes, *, also: tuple[type[Exception], ...] = ()) -> None:
    """Decode something, which may be refused; anything else, or taking long, is a failure."""
    begun_s = time.perf_counter()
    with contextlib.suppress(Refused, *also):
        decode(content)
    assert time.perf_counter() - begun_s < SLOW_S


def prepare(content: bytes) -> object:
    return prepare_document(compact(content), known=EVERY_PATIENT, rules=RULES)


def read_fhir_consent(content: bytes) -> object:
    return read_consent(msgspec.json.decode(content, type=dict[str, object]))


FHIR: Final[dict[str, tuple[Callable[[bytes], object], bytes]]] = {
    "compact": (compact, BUNDLE),
    "bundle": (lambda raw: read_bundle(compact(raw)), BUNDLE),
    "document": (prepare, BUNDLE),
    "validation": (lambda raw: list(validate_document(compact(raw))), BUNDLE),
    "resource": (lambda raw: read_resource(compact(raw)), encode_canonical(OBSERVATION)),
    "head": (lambda raw: read_head(compact(raw)), encode_canonical(PATIENT)),
    "terms": (decode_terms, TERMS),
    "strict": (decode_strict, b'{"a":[1,{"b":"c"}]}'),
}


@pytest.mark.parametrize("name", FHIR)
@fuzzed
@given(data=st.data())
def test_records_and_terms_are_read_or_refused(name: str, data: st.DataObject) -> None:
    decode, example = FHIR[name]

    attempt(decode, data.draw(damage((example,)) | bend((example,))))


@fuzzed
@given(content=bend((CONSENT,)))
def test_a_consent_resource_is_read_or_refused(content: bytes) -> None:
    attempt(read_fhir_consent, content)
    attempt(lambda raw: read_ceremony(msgspec.json.decode(raw, type=dict[str, object])), content)


@fuzzed
@given(content=bend((encode_canonical(PATIENT),)))
def test_demographics_are_listed_or_refused(content: bytes) -> None:
    attempt(list_demographics, content)


@fuzzed
@given(data=st.data())
def test_transactions_headers_and_messages_are_read_or_refused(
    outside: Outside, data: st.DataObject
) -> None:
    genesis = outside.genesis
    attempt(read_transaction, data.draw(damage(outside.transactions)))
    attempt(lambda raw: read_header(raw, orderer=get_orderer(genesis)), data.draw(damage(outside.headers)))
    text = data.draw(damage((outside.message,))).decode("utf-8", "replace")
    for kind in (ShareCode, RecordRequest, ReleaseNote, LateDeclaration, Grant):
        attempt(partial(_read_both, text, kind, outside.network), b"")


def _read_both(text: str, kind: type[Statement], network: NetworkId, _: bytes) -> None:
    read_statement(text, kind)
    read_message(text, kind, network=network)


@fuzzed
@given(data=st.data())
def test_a_bent_transaction_is_read_or_refused_even_when_well_signed(
    outside: Outside, data: st.DataObject
) -> None:
    bodies = tuple(decode_jws(raw, typ="iamata-tx+jwt").payload for raw in outside.transactions)
    payload = data.draw(bend(bodies))
    if len(payload) < 10_000:
        attempt(read_transaction, sign_jws(derive_key("fuzz"), typ="iamata-tx+jwt", payload=payload))


@fuzzed
@given(data=st.data())
def test_a_genesis_is_read_or_refused(outside: Outside, data: st.DataObject) -> None:
    example = (encode_struct(outside.genesis),)

    attempt(read_genesis, data.draw(damage(example) | bend(example)))


@fuzzed
@given(data=st.data())
def test_leaves_raise_nothing_but_what_decoding_does(outside: Outside, data: st.DataObject) -> None:
    attempt(decode_leaf, data.draw(damage(outside.leaves) | bend(outside.leaves)), also=(ValueError,))


@fuzzed
@given(data=st.data())
def test_receipts_and_proofs_hold_or_are_refused(outside: Outside, data: st.DataObject) -> None:
    genesis = outside.genesis

    def check_both(content: bytes) -> None:
        check_receipt(msgspec.json.decode(content, type=Receipt), genesis)

    def check_state(content: bytes) -> None:
        check_state_proof(msgspec.json.decode(content, type=StateProof), genesis)

    # Whoever decodes the JSON refuses what is none; the checks themselves refuse the rest.
    attempt(check_both, data.draw(bend((outside.receipt,))), also=(msgspec.DecodeError,))
    attempt(check_state, data.draw(bend(outside.proofs)), also=(msgspec.DecodeError,))


@fuzzed
@given(content=damage(LIGHT_BLOCKS) | bend(LIGHT_BLOCKS))
def test_a_light_block_is_read_or_refused(content: bytes) -> None:
    attempt(read_light_block, content)


@fuzzed
@given(data=st.data())
def test_a_changed_export_is_refused_by_line(outside: Outside, data: st.DataObject, tmp_path: Path) -> None:
    path = tmp_path / "damaged"

    def read_whole(content: bytes) -> None:
        path.write_bytes(content)
        with read_export(path) as export:
            list(export.blocks)

    attempt(read_whole, data.draw(damage((outside.export,))))


@fuzzed
@given(entries=st.binary(max_size=200), siblings=st.binary(max_size=600), root=st.binary(max_size=40))
def test_a_map_proof_of_any_shape_is_judged(entries: bytes, siblings: bytes, root: bytes) -> None:
    assert not verify_map_proof(root, b"key", b"value", MapProof(entries, siblings))


@fuzzed
@given(
    index=st.integers(-1, 2**70),
    size=st.integers(-1, 2**70),
    proof=st.lists(st.binary(min_size=32, max_size=32) | st.binary(max_size=40), max_size=80),
)
def test_a_log_proof_of_any_shape_is_judged(index: int, size: int, proof: list[bytes]) -> None:
    root = bytes(range(32))

    assert not verify_inclusion(leaf_hash=bytes(32), index=index, size=size, proof=proof, root=root)
    assert verify_consistency(first=index, second=size, first_root=root, second_root=root, proof=proof) in {
        True,
        False,
    }


@fuzzed
@given(content=damage((encode_segment({b"key": b"value", b"member/a": b"{}"}),)))
def test_segments_raise_nothing_but_value_errors(content: bytes) -> None:
    attempt(decode_segment, content, also=(ValueError,))


@fuzzed
@given(size=st.integers(0, 2**40), tile=st.binary(max_size=9_000))
def test_tiles_of_any_length_raise_nothing_but_value_errors(size: int, tile: bytes) -> None:
    attempt(lambda _: Frontier.load(size, lambda _level, _position: tile), b"", also=(ValueError,))


@fuzzed
@given(text=st.text(max_size=30))
def test_days_raise_nothing_but_value_errors(text: str) -> None:
    attempt(lambda _: parse_day(text), b"", also=(ValueError,))


@fuzzed
@given(content=damage((b'version = 1\n[[rule]]\nlabel = "PSY"\n',)))
def test_a_label_table_is_read_or_refused(content: bytes) -> None:
    attempt(lambda raw: parse_rules(raw.decode("utf-8", "replace")), content)


def test_examples_are_valid_to_begin_with(outside: Outside) -> None:
    for decode, example in FHIR.values():
        decode(example)
    read_fhir_consent(CONSENT)
    assert read_genesis(encode_struct(outside.genesis)) == outside.genesis
    assert isinstance(msgspec.json.decode(outside.receipt, type=Receipt).checkpoint, Checkpoint)
    check_receipt(msgspec.json.decode(outside.receipt, type=Receipt), outside.genesis)
    assert isinstance(outside.genesis, Genesis)
    assert Digest("x")
