"""Light blocks recorded from the real CometBFT: read, believed as the rules say, and nothing else."""

import base64
import copy
import json
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iamata.engines.comet.lights import CommitAnswer, ValidatorAnswer, make_light_block
from iamata.ledger.genesis import read_genesis
from iamata.ledger.light.blocks import (
    LightBlock,
    compute_data_hash,
    compute_light_hash,
    compute_validators_hash,
    order_validators,
    read_light_block,
)
from iamata.ledger.light.verifying import Trust, check_light_block, count_faulty, trust_genesis
from iamata.model.canonical import encode_struct
from iamata.model.ids import decode_digest
from iamata.model.reasons import Reason, Refused

FOLDER: Final = Path(__file__).resolve().parents[2] / "vectors" / "light"
GENESIS: Final = read_genesis((FOLDER / "genesis.json").read_bytes())
LINES: Final = (FOLDER / "chain.ndjson").read_bytes().splitlines()
CHAIN: Final = [read_light_block(line) for line in LINES]
RECORDED: Final = json.loads((FOLDER / "rpc.json").read_text())
HEIGHTS: Final[dict[str, int]] = RECORDED["heights"]
ROOT: Final = trust_genesis(GENESIS)


def follow(*heights: int) -> Trust:
    trust = ROOT
    for height in heights:
        trust = check_light_block(CHAIN[height - 1], trust)
    return trust


def test_the_whole_chain_is_followed_block_by_block() -> None:
    """LED-LIGHT-5."""
    trust = follow(*range(1, len(CHAIN) + 1))

    assert trust.height == len(CHAIN) == HEIGHTS["alone"]


@pytest.mark.parametrize("name", sorted(HEIGHTS))
def test_our_hashes_are_those_that_the_real_one_computed(name: str) -> None:
    answers, light = RECORDED["answers"][name], CHAIN[HEIGHTS[name] - 1]
    said = answers["commit"]["signed_header"]["commit"]["block_id"]["hash"]
    bundles = [base64.b64decode(one) for one in answers["block"]["block"]["data"]["txs"]]

    assert decode_digest(compute_light_hash(light.header)).hex().upper() == said
    assert compute_validators_hash(light.validators) == light.header.validators_hash
    assert compute_data_hash(bundles) == light.header.data_hash


def test_validators_stand_in_the_order_of_the_real_one() -> None:
    assert order_validators(GENESIS.validators) == CHAIN[0].validators
    assert ROOT.next_validators_hash == CHAIN[0].header.validators_hash


@pytest.mark.parametrize("height", range(1, HEIGHTS["raised"] + 1))
def test_a_block_that_all_have_signed_follows_from_the_genesis(height: int) -> None:
    assert follow(height).height == height


def test_a_block_that_a_quarter_of_the_trusted_has_signed_needs_one_in_between() -> None:
    """Of its own validators' weight it has three quarters; of the genesis' weight one quarter."""
    alone = CHAIN[HEIGHTS["alone"] - 1]

    with pytest.raises(Refused, match="too few of those who are trusted"):
        check_light_block(alone, ROOT)
    assert check_light_block(alone, follow(HEIGHTS["raised"])).height == HEIGHTS["alone"]


def test_equal_weights_bear_a_third_and_a_heavy_one_bears_none() -> None:
    assert count_faulty(CHAIN[0].validators) == 1
    assert count_faulty(CHAIN[-1].validators) == 0


@pytest.mark.parametrize("name", sorted(HEIGHTS))
def test_what_the_rpc_said_becomes_the_frozen_form(name: str) -> None:
    answers = RECORDED["answers"][name]

    light = make_light_block(
        msgspec.convert(answers["commit"], CommitAnswer),
        msgspec.convert(answers["validators"]["validators"], list[ValidatorAnswer]),
    )

    assert compute_light_hash(light.header) == compute_light_hash(CHAIN[HEIGHTS[name] - 1].header)
    check_light_block(light, follow(HEIGHTS["raised"]) if name == "alone" else ROOT)


def list_places(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(document, dict):
        return [place for key, value in document.items() for place in list_places(value, (*path, key))]
    if isinstance(document, list):
        return [place for key, value in enumerate(document) for place in list_places(value, (*path, key))]
    return [path]


def change(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if value is None:
        return {"is_for_block": True, "time": [1, 0], "signature": "A" * 86}
    return ("B" if value[:1] != "B" else "C") + value[1:]


PLACES: Final = [place for place in list_places(json.loads(LINES[4])) if place]


@pytest.mark.parametrize("place", PLACES, ids=lambda place: ".".join(map(str, place)))
def test_a_change_anywhere_is_refused(place: tuple[Any, ...]) -> None:
    document = json.loads(LINES[4])
    inner = document
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = change(inner[place[-1]])

    with pytest.raises(Refused):
        check_light_block(read_light_block(encode(document)), follow(3))


@pytest.mark.parametrize("place", PLACES, ids=lambda place: ".".join(map(str, place)))
def test_nothing_can_be_left_out(place: tuple[Any, ...]) -> None:
    document = json.loads(LINES[4])
    inner = document
    for key in place[:-1]:
        inner = inner[key]
    del inner[place[-1]]

    with pytest.raises(Refused):
        check_light_block(read_light_block(encode(document)), follow(3))


@pytest.mark.parametrize("app_hash", ["A", "AAAAA", "AB"])
def test_an_app_hash_that_spells_no_bytes_or_spells_them_otherwise_is_refused(app_hash: str) -> None:
    document = json.loads(LINES[4])
    document["header"]["app_hash"] = app_hash

    with pytest.raises(Refused) as refused:
        read_light_block(encode(document))
    assert refused.value.reason in {Reason.MALFORMED, Reason.NOT_CANONICAL}


@settings(max_examples=200, deadline=None)
@given(
    line=st.sampled_from(LINES), at=st.integers(0, 2_000), put=st.binary(max_size=3), cut=st.integers(0, 3)
)
def test_a_changed_byte_is_refused(line: bytes, at: int, put: bytes, cut: int) -> None:
    at %= len(line)
    changed = line[:at] + put + line[at + cut :]
    height = CHAIN[LINES.index(line)].header.height
    trust = follow(*range(1, height))

    if changed == line:
        return
    with pytest.raises(Refused):
        check_light_block(read_light_block(changed), trust)


def test_votes_of_another_block_do_not_serve() -> None:
    """LED-LIGHT-3."""
    stolen = msgspec.structs.replace(CHAIN[2], votes=CHAIN[1].votes, parts=CHAIN[1].parts)

    with pytest.raises(Refused) as refused:
        check_light_block(stolen, follow(1, 2))
    assert refused.value.reason is Reason.BAD_SIGNATURE


def test_absence_can_be_claimed_only_while_two_thirds_remain() -> None:
    def silence(light: LightBlock, count: int) -> LightBlock:
        votes = tuple(None if at < count else vote for at, vote in enumerate(light.votes))
        return msgspec.structs.replace(light, votes=votes)

    assert check_light_block(silence(CHAIN[1], 1), follow(1)).height == 2
    with pytest.raises(Refused, match="no more than two thirds"):
        check_light_block(silence(CHAIN[1], 2), follow(1))


def test_an_answer_of_the_rpc_that_contradicts_itself_is_refused() -> None:
    answers = copy.deepcopy(RECORDED["answers"]["changed"])
    answers["commit"]["signed_header"]["header"]["data_hash"] = "00" * 32

    with pytest.raises(Refused) as refused:
        make_light_block(
            msgspec.convert(answers["commit"], CommitAnswer),
            msgspec.convert(answers["validators"]["validators"], list[ValidatorAnswer]),
        )
    assert refused.value.reason is Reason.FAULT_FOUND


def encode(document: Any) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def test_the_frozen_form_has_one_spelling() -> None:
    for line, light in zip(LINES, CHAIN, strict=True):
        assert encode_struct(light) == line
        with pytest.raises(Refused):
            read_light_block(line + b" ")
