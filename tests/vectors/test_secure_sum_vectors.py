"""Whole rounds of secure sums, byte for byte: replayed from the file alone."""

import re
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import pytest

from iamata.crypto.ed25519 import SigningKey
from iamata.learning.secure_sum.encoding import Part
from iamata.learning.secure_sum.messages import PHASES
from iamata.learning.secure_sum.plans import Plan
from iamata.learning.secure_sum.relay import Relay
from iamata.learning.secure_sum.site import Site
from iamata.model.reasons import Reason
from iamata.testing.rounds import make_plan, make_seed

FOLDER: Final = Path(__file__).resolve().parents[2] / "vectors" / "secure-sum"
TESTS: Final = Path(__file__).resolve().parents[1]
SPEC: Final = Path(__file__).resolve().parents[2] / "spec" / "secure-sum.md"


class Member(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a site brings to the round, and before which phase it is lost, 6 for never."""

    signing_seed: str
    seed: str
    rows: int
    values: list[list[float]]
    lost: int


class Round(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One scenario: what goes in, each phase's messages in hexadecimal, and the sum in units of the scale."""

    why: str
    plan: Plan
    sites: list[Member]
    deliveries: list[list[str]]
    rows: int
    sum: list[list[int]]
    transcript: str


PARTS: Final = (
    Part(length=2, scale_bits=20, magnitude_max=100),
    Part(length=1, scale_bits=0, magnitude_max=1_000),
)
CASES: Final = {
    "three-stay": ("Three sites, of which none may leave.", 3, {}),
    "one-leaves-before-masking": ("A site takes part in sharing and sends no vector.", 4, {2: 2}),
    "two-leave-at-either-end": ("One never comes; another has sent its vector and is in the sum.", 7, {0: 0, 5: 3}),
}


@pytest.mark.parametrize("name", CASES)
def test_a_round_is_frozen_and_comes_to_its_sum(name: str, *, is_writing: bool) -> None:
    path = FOLDER / f"{name}.json"
    if is_writing and not path.exists():
        path.write_bytes(msgspec.json.format(msgspec.json.encode(play(build(name))), indent=1) + b"\n")

    frozen = msgspec.json.decode(path.read_bytes(), type=Round)

    assert play(frozen) == frozen
    assert frozen.why == CASES[name][0]


def test_every_reason_that_the_spec_names_exists() -> None:
    words = [word.strip("(),.;") for word in SPEC.read_text(encoding="utf-8").split()]
    names = [word for word in words if "_" in word and word.isupper()]

    assert names
    assert set(names) <= {reason.name for reason in Reason}


def test_every_rule_is_numbered_once_and_cited_by_a_test() -> None:
    rules = re.findall(r"^- \*\*(SUM-[A-Z]+-\d)\*\* ", SPEC.read_text(encoding="utf-8"), re.MULTILINE)
    tests = "".join(path.read_text(encoding="utf-8") for path in TESTS.rglob("test_*.py"))

    assert len(rules) == len(set(rules)) > 0
    assert set(rules) == set(re.findall(r"SUM-[A-Z]+-\d", tests))


def build(name: str) -> Round:
    """Say what goes into a round."""
    why, count, lost = CASES[name]
    sites = [
        Member(
            signing_seed=make_seed(at, label=1).hex(),
            seed=make_seed(at, label=2).hex(),
            rows=10 + at,
            values=[[at + 0.5, -at * 1.25], [at * 100 - 300]],
            lost=lost.get(at, len(PHASES)),
        )
        for at in range(count)
    ]
    plan = make_plan(count, parts=PARTS)
    return Round(why=why, plan=plan, sites=sites, deliveries=[], rows=0, sum=[], transcript="")


def play(case: Round) -> Round:
    """Play a round from what goes into it."""
    sites = [enter(case.plan, one) for one in case.sites]
    relay = Relay.start(case.plan)
    for phase in range(len(PHASES)):
        present = [at for at, one in enumerate(case.sites) if one.lost > phase]
        for at in present:
            relay.receive(sites[at].answer)
        if relay.phase == phase:
            relay.close_phase()
        for at in present:
            sites[at].receive(relay.find_delivery(phase) or ())
    totals = [total for site in sites if (total := site.find_sum())]
    assert len({total.transcript for total in totals}) == 1
    deliveries = [[raw.hex() for raw in relay.find_delivery(phase) or ()] for phase in range(len(PHASES))]
    return msgspec.structs.replace(
        case,
        deliveries=deliveries,
        rows=totals[0].rows,
        sum=[part.tolist() for part in totals[0].integers],
        transcript=totals[0].transcript.hex(),
    )


def enter(plan: Plan, member: Member) -> Site:
    """Let a site enter."""
    return Site.start(
        plan,
        SigningKey.from_seed(bytes.fromhex(member.signing_seed)),
        seed=bytes.fromhex(member.seed),
        rows=member.rows,
        values=[np.array(part, dtype=np.float64) for part in member.values],
    )
