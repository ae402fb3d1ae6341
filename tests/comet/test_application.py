"""The life of a block: waiting, proposed, checked, final, durable; and who is told what."""

import hashlib
import os

import pytest

from iamata.crypto.ed25519 import SigningKey
from iamata.engines.comet.bundles import BUNDLE_BYTES_MAX, gather_bundles, join_lines, split_bundle
from iamata.engines.comet.protocol import abci_pb2 as abci
from iamata.engines.comet.queries import QueryDesk
from iamata.engines.comet.times import write_time
from iamata.engines.comet.waiting import BLOCKS_UNSEEN_MAX, MEMBER_BUNDLES_MAX, MEMBER_BYTES_MAX
from iamata.ledger.bundles import list_bundles
from iamata.ledger.envelope import read_transaction
from iamata.ledger.misbehaviour import compute_address
from iamata.ledger.transactions import HANDLERS
from iamata.ledger.transactions.access import AnchorReads, anchor_reads
from iamata.model.ids import decode_digest
from iamata.model.reasons import ACCEPTED, Reason, Refused
from iamata.node.announcing import AnnouncingEngine
from iamata.testing.comet import CometDiedError, PlayedBlock
from iamata.testing.validator import ValidatorTown

TIMEOUT_S = 20


def forge(raw: bytes) -> bytes:
    signed, _, signature = raw.rpartition(b".")
    return signed + b"." + (b"B" if signature.startswith(b"A") else b"A") + signature[1:]


def block_of(town: ValidatorTown, *bundles: bytes) -> PlayedBlock:
    return PlayedBlock(len(town.comet.blocks) + 1, town.clock() + 5, bundles)


def test_each_line_of_a_bundle_has_its_own_leaf_and_place(town: ValidatorTown) -> None:
    town.comet.connect()
    good, refused = town.write_anchors(3), town.write_refused(1)
    town.comet.broadcast(join_lines([*good, *refused]))
    town.comet.make_block()

    leaves = list(town.engine.events(0))
    block = next(town.engine.read_blocks())

    assert [(index, leaf.reason) for index, leaf in leaves] == [
        (0, 0),
        (1, 0),
        (2, 0),
        (3, Reason.UNKNOWN_CONSENT),
    ]
    assert list_bundles(block) == list(town.comet.blocks[0].bundles)


def test_one_bad_line_does_not_sink_its_neighbours(town: ValidatorTown) -> None:
    town.comet.connect()
    good, bad = town.write_anchors(2), forge(town.write_anchors(1)[0])
    bundle = join_lines([good[0], bad, b"", good[1], good[0]])

    assert town.comet.check(bundle) == ACCEPTED
    town.comet.mempool.append(bundle)
    block = town.comet.make_block()

    assert block.bundles == (join_lines(good),)
    assert town.comet.mempool == []
    assert town.engine.snapshot().log_size == 2


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (forge, Reason.BAD_SIGNATURE),
        (lambda raw: raw + b"x", Reason.NOT_CANONICAL),
        (lambda raw: b"\n" * 600, Reason.TOO_LARGE),
        (lambda raw: raw * 200, Reason.TOO_LARGE),
        (lambda raw: b"", Reason.NOT_CANONICAL),
    ],
)
def test_a_bundle_without_a_good_line_does_not_wait(
    town: ValidatorTown, spoil: object, reason: Reason
) -> None:
    town.comet.connect()
    [raw] = town.write_anchors(1)

    assert town.comet.check(spoil(raw)) == reason  # type: ignore[operator]


def test_who_submits_hears_of_the_durable_block(town: ValidatorTown) -> None:
    town.comet.connect()
    futures = [town.engine.submit(raw) for raw in town.write_anchors(5)]
    while len(town.comet.mempool) == 0:
        pass
    town.comet.make_block()

    answers = [future.result(TIMEOUT_S) for future in futures]

    assert [(one.height, one.index, one.reason) for one in answers] == [(1, at, 0) for at in range(5)]
    assert town.engine.snapshot().height == 1


def test_who_submits_a_forgery_hears_so(town: ValidatorTown) -> None:
    town.comet.connect()
    future = town.engine.submit(forge(town.write_anchors(1)[0]))

    with pytest.raises(Refused, match="BAD_SIGNATURE"):
        future.result(TIMEOUT_S)


@pytest.mark.parametrize(
    "case", ["forged", "twice", "twice in a bundle", "garbage", "too large", "replayed"]
)
def test_a_proposal_that_we_would_not_have_made_is_rejected(town: ValidatorTown, case: str) -> None:
    town.comet.connect()
    first, second = town.write_anchors(2)
    town.comet.broadcast(town.write_anchors(1)[0])
    old = town.comet.make_block().bundles[0]
    bundles = {
        "forged": [first, forge(second)],
        "twice": [first, join_lines([second, first])],
        "twice in a bundle": [join_lines([first, first])],
        "garbage": [first, b"garbage"],
        "too large": [first * (BUNDLE_BYTES_MAX // len(first) + 1)],
        "replayed": [first, old],
    }[case]

    assert not town.comet.process(block_of(town, *bundles))
    assert town.comet.process(block_of(town, first, second))


def test_a_transaction_that_crashes_is_dropped_from_proposals_and_rejected_in_them(
    town: ValidatorTown, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(tx: AnchorReads, ctx: object) -> object:
        if tx.count == 13:
            message = "our bug"
            raise ZeroDivisionError(message)
        return anchor_reads(tx, ctx)  # type: ignore[arg-type]

    town.comet.connect()
    author = town.speak()
    poison = author.write(AnchorReads, anchor=author.make_id(), root=author.make_id() + "A" * 17, count=13)
    good = town.write_anchors(2)
    monkeypatch.setitem(HANDLERS, AnchorReads, crash)  # type: ignore[misc]  # a table over all types
    town.comet.mempool = [join_lines([good[0], poison]), good[1]]

    is_accepted = town.comet.process(block_of(town, poison))
    block = town.comet.make_block()

    assert not is_accepted
    assert block.bundles == tuple(good)


def test_many_rounds_leave_no_trace(town: ValidatorTown) -> None:
    town.comet.connect()
    before = town.engine.snapshot().app_hash
    for _ in range(12):
        town.comet.broadcast(town.write_anchors(1)[0])
        town.comet.process(town.comet.propose())

    assert town.engine.snapshot().app_hash == before
    town.comet.make_block(rounds=3)
    assert town.engine.snapshot().log_size == 12


def test_an_empty_block_changes_nothing_but_the_height(town: ValidatorTown) -> None:
    town.comet.connect()
    town.comet.broadcast(town.write_anchors(1)[0])
    town.comet.make_block()
    before = town.engine.snapshot()
    for _ in range(3):
        town.comet.make_block()
    town.comet.broadcast(town.write_anchors(1)[0])
    town.comet.make_block()
    view = town.engine.snapshot()

    assert town.comet.app_hashes[0] == town.comet.app_hashes[3] == decode_digest(before.app_hash)
    assert (view.height, view.log_size) == (5, 2)
    assert len(list(town.engine.events(0))) == 2


def test_after_an_idle_hour_the_first_block_is_empty_and_the_second_takes_everything_in(
    town: ValidatorTown,
) -> None:
    """CometBFT's time is that of the last votes, so it is an hour late once."""
    town.comet.connect()
    town.comet.broadcast(town.write_anchors(1)[0])
    late = town.comet.make_block().time_ms + 1
    town.clock.advance(3_600_000)
    town.comet.broadcast(town.write_anchors(1)[0])
    offered = abci.RequestPrepareProposal(
        max_tx_bytes=1_000_000, txs=town.comet.mempool, height=2, time=write_time(late)
    )

    proposed = town.comet["consensus"].ask(prepare_proposal=offered)
    block = town.comet.make_block()

    assert list(proposed.txs) == []
    assert len(block.bundles) == 1


def test_a_proposal_keeps_to_the_size_that_consensus_allows(town: ValidatorTown) -> None:
    town.comet.connect()
    bundles = town.write_anchors(10)
    room = sum(len(one) + 3 for one in bundles[:4])
    offered = abci.RequestPrepareProposal(
        max_tx_bytes=room, txs=bundles, height=1, time=write_time(town.clock())
    )

    answer = town.comet["consensus"].ask(prepare_proposal=offered)

    assert list(answer.txs) == bundles[:4]


def fill_quota(town: ValidatorTown) -> list[bytes]:
    """Let the first member have as much waiting as it may, and return lines for which there is no room."""
    lines = town.write_anchors(2 * MEMBER_BYTES_MAX // 500)
    bundles = [join_lines(one) for one in gather_bundles(lines)]
    left = [bundle for bundle in bundles if not is_taken_in(town, bundle)]
    return [line for line in left[0].split(b"\n") if not is_taken_in(town, line)]


def is_taken_in(town: ValidatorTown, bundle: bytes) -> bool:
    town.comet.broadcast(bundle)
    return bundle in town.comet.mempool


def test_one_member_cannot_fill_the_mempool(town: ValidatorTown) -> None:
    town.comet.connect()
    fill_quota(town)
    waiting = sum(len(bundle) for bundle in town.comet.mempool)
    [flood], [other] = town.write_anchors(1), town.write_anchors(1, member=1)

    assert MEMBER_BYTES_MAX - BUNDLE_BYTES_MAX < waiting <= MEMBER_BYTES_MAX + BUNDLE_BYTES_MAX
    assert town.comet.check(flood) == Reason.TOO_BUSY
    assert town.comet.check(other) == ACCEPTED
    town.comet.make_block()
    assert town.comet.check(flood) == ACCEPTED


def test_a_final_block_makes_no_room_before_it_is_durable(town: ValidatorTown) -> None:
    town.comet.connect()
    fill_quota(town)
    flood, later = town.write_anchors(2)
    block = town.comet.propose()
    town.comet.finalize(block)

    assert len(block.bundles) > 1
    assert town.comet.check(flood) == Reason.TOO_BUSY
    town.comet["consensus"].ask(commit=abci.RequestCommit())
    assert town.comet.check(later) == ACCEPTED


def test_nothing_rides_into_a_full_quota_on_another_members_line(town: ValidatorTown) -> None:
    town.comet.connect()
    left = fill_quota(town)
    [ticket] = town.write_anchors(1, member=1)

    assert town.comet.check(join_lines([ticket, *left[:50]])) == Reason.TOO_BUSY
    assert town.comet.check(ticket) == ACCEPTED


def test_who_is_told_that_there_is_no_room_finds_it_in_no_block(town: ValidatorTown) -> None:
    town.comet.connect()
    fill_quota(town)
    [late] = town.write_anchors(1)

    told = town.engine.submit(late).exception(timeout=TIMEOUT_S)
    while town.comet.mempool:
        town.comet.make_block()

    assert isinstance(told, Refused)
    assert told.reason is Reason.TOO_BUSY
    assert read_transaction(late).id not in [leaf.id for _, leaf in town.engine.events(0)]


def test_nobody_uses_up_anothers_room_by_wrapping_its_lines(town: ValidatorTown) -> None:
    town.comet.connect()
    [line] = town.write_anchors(1, member=1)
    assert town.comet.check(line) == ACCEPTED

    codes = [town.comet.check(join_lines([line, b"junk %d" % number])) for number in range(3)]

    assert ACCEPTED not in codes
    assert town.comet.check(line) == ACCEPTED


def test_what_the_mempool_had_no_room_for_takes_nobodys(town: ValidatorTown) -> None:
    town.comet.connect()
    [lost] = town.write_anchors(1)
    assert town.comet.check(lost) == ACCEPTED  # and CometBFT finds its mempool full
    wrapped = join_lines([lost, b"junk"])
    assert town.comet.check(wrapped) != ACCEPTED

    for _ in range(BLOCKS_UNSEEN_MAX + 1):
        town.comet.make_block()

    assert town.comet.check(wrapped) == ACCEPTED


def test_many_small_bundles_of_one_member_do_not_crowd_out_another(town: ValidatorTown) -> None:
    town.comet.connect()
    flood = [
        {"check_tx": abci.RequestCheckTx(tx=raw)} for raw in town.write_anchors(MEMBER_BUNDLES_MAX + 20)
    ]

    codes = [answer.code for answer in town.comet["mempool"].ask_all(flood)]

    assert codes == [ACCEPTED] * MEMBER_BUNDLES_MAX + [Reason.TOO_BUSY] * 20
    assert town.comet.check(town.write_anchors(1, member=1)[0]) == ACCEPTED


def test_a_recheck_lets_go_what_is_over(town: ValidatorTown) -> None:
    town.comet.connect()
    [raw] = town.write_anchors(1)
    town.comet.broadcast(raw)
    assert town.comet.check(raw, is_recheck=True) == ACCEPTED
    town.clock.advance(11 * 60_000)

    assert town.comet.check(raw, is_recheck=True) == Reason.EXPIRED


def test_evidence_becomes_a_leaf_and_a_proposal_to_suspend(town: ValidatorTown) -> None:
    town.comet.connect()
    evidence = abci.Misbehavior(
        type=abci.DUPLICATE_VOTE,
        validator=abci.Validator(address=compute_address(town.validator.key_id), power=1),
        height=1,
        time=write_time(town.clock()),
    )
    unknown = abci.Misbehavior(type=abci.DUPLICATE_VOTE, validator=abci.Validator(address=bytes(20)))
    town.comet.broadcast(town.write_anchors(1)[0])
    town.comet.make_block(evidence=[evidence, unknown])

    events = [leaf.event for _, leaf in town.engine.events(0)]
    block = next(town.engine.read_blocks())

    assert events[0].member == "hospital-a"
    assert events[0].proposal
    assert [one.key for one in block.misbehaviours] == [town.validator.key_id]
    assert len(events) == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"chain_id": "another"},
        {"validators": []},
        {"app_state_bytes": b"{}"},
        {"initial_height": 7},
        {"time": write_time(0)},
    ],
)
def test_a_foreign_genesis_halts_consensus(town: ValidatorTown, changes: dict[str, object]) -> None:
    town.comet.connect()

    with pytest.raises(CometDiedError, match="FOREIGN_NETWORK"):
        town.comet.init_chain(**changes)


def test_a_node_whose_ledger_stopped_says_that_it_is_not_ready(town: ValidatorTown) -> None:
    town.comet.connect()
    node = AnnouncingEngine(town.engine)
    before = node.trouble
    [raw] = town.write_anchors(1)

    with pytest.raises(CometDiedError):
        town.comet.finalize(block_of(town, forge(raw)))

    assert before is None
    assert node.trouble is not None
    assert node.trouble.reason is Reason.ENGINE_STOPPED


def test_a_final_block_with_a_forged_line_halts_consensus(town: ValidatorTown) -> None:
    town.comet.connect()
    [raw] = town.write_anchors(1)

    with pytest.raises(CometDiedError, match="BAD_SIGNATURE"):
        town.comet.finalize(block_of(town, forge(raw)))
    with pytest.raises(Refused, match="ENGINE_STOPPED"):
        town.engine.submit(raw)
    assert town.engine.is_halted
    with pytest.raises(CometDiedError):
        town.comet.connect()


def test_votes_are_not_extended(town: ValidatorTown) -> None:
    town.comet.connect()
    consensus = town.comet["consensus"]
    check = abci.RequestVerifyVoteExtension

    assert consensus.ask(extend_vote=abci.RequestExtendVote()).vote_extension == b""
    assert consensus.ask(verify_vote_extension=check()).status == 1
    assert consensus.ask(verify_vote_extension=check(vote_extension=b"x")).status == 2


def test_queries_answer_from_the_durable_block(town: ValidatorTown) -> None:
    town.comet.connect()
    town.comet.broadcast(town.write_anchors(1)[0])
    block = town.comet.propose()
    town.comet.finalize(block)
    ask = abci.RequestQuery
    key = b"network/current"

    answer = town.comet["query"].ask(query=ask(path="/entry", data=key))
    missing = town.comet["query"].ask(query=ask(path="/nothing", data=key))

    assert (answer.code, answer.height, answer.key) == (0, 0, key)
    assert answer.value == town.engine.snapshot().get(key)
    assert missing.code == Reason.NOT_FOUND


def test_a_proof_is_of_the_newest_block_that_is_vouched_for(town: ValidatorTown) -> None:
    town.comet.connect()
    vouched = 1
    desk = QueryDesk(town.engine._keeper, (), lambda height, _: height <= vouched)  # noqa: SLF001  its own parts
    question = abci.RequestQuery(path="/entry", data=b"network/current", prove=True)

    heights = []
    for _ in range(2):
        town.comet.broadcast(town.write_anchors(1)[0])
        town.comet.make_block()
        heights.append(desk.answer(question).height)
    vouched = 2
    heights.append(desk.answer(question).height)

    assert heights == [1, 1, 2]


def test_only_known_peers_stay(town: ValidatorTown) -> None:
    friend, outsider = "0f" * 20, "0e" * 20
    town.restart(peers=(friend,))
    town.comet.connect()

    def ask(path: str) -> int:
        answer = town.comet["query"].ask(query=abci.RequestQuery(path=f"/p2p/filter/{path}"))
        return int(answer.code)

    assert ask("addr/198.51.100.7:26656") == ACCEPTED  # nobody knows yet whose it is
    assert ask(f"id/{friend}") == ACCEPTED
    assert ask(f"id/{outsider}") == Reason.UNKNOWN_SIGNER
    assert ask("id/") == Reason.UNKNOWN_SIGNER
    assert ask(f"id/{friend}{friend}") == Reason.UNKNOWN_SIGNER


def test_whoever_names_no_peers_speaks_with_none(town: ValidatorTown) -> None:
    town.comet.connect()
    query = abci.RequestQuery(path=f"/p2p/filter/id/{'0f' * 20}")

    assert town.comet["query"].ask(query=query).code == Reason.UNKNOWN_SIGNER


def test_the_recall_does_not_believe_a_copy_with_another_signature(town: ValidatorTown) -> None:
    town.comet.connect()
    [raw] = town.write_anchors(1)
    assert town.comet.check(raw) == ACCEPTED

    assert town.comet.check(forge(raw)) == Reason.BAD_SIGNATURE
    assert split_bundle(raw) == [raw]


def test_a_key_of_nobody_shares_one_part_of_the_mempool(town: ValidatorTown) -> None:
    town.comet.connect()
    stranger = SigningKey.from_seed(hashlib.sha256(os.urandom(4)).digest())
    town.nodes[1] = stranger

    assert town.comet.check(town.write_anchors(1, member=1)[0]) == Reason.UNKNOWN_SIGNER
