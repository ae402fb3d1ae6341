"""What is remembered of checked transactions is bounded, and never more than was checked."""

from iamata.engines.comet.recall import Recall
from iamata.engines.embedded.checking import SignatureChecker
from iamata.ledger.envelope import read_transaction
from iamata.model.reasons import Reason, Refused
from iamata.testing.validator import ValidatorTown


def test_the_oldest_is_forgotten_first(town: ValidatorTown) -> None:
    recall = Recall(SignatureChecker(), count_max=2)
    lines = town.write_anchors(3)

    found = recall.read_all(lines)

    assert not any(isinstance(one, Refused) for one in found)
    assert [recall.find(line)[1] for line in lines] == [False, True, True]


def test_what_was_announced_is_not_believed(town: ValidatorTown) -> None:
    recall = Recall(SignatureChecker())
    [line] = town.write_anchors(1)
    forged = line[:-4] + line[-8:-4]
    transaction = read_transaction(line)
    recall.announce(transaction)

    [found, other] = recall.read_all([line, forged])

    assert found is transaction
    assert isinstance(other, Refused)
    assert other.reason in {Reason.BAD_SIGNATURE, Reason.NOT_CANONICAL}


def test_announcements_that_nobody_asks_for_do_not_pile_up(town: ValidatorTown) -> None:
    recall = Recall(SignatureChecker(), count_max=2)
    transactions = [read_transaction(line) for line in town.write_anchors(5)]
    for transaction in transactions:
        recall.announce(transaction)

    kept = [recall.find(one.raw)[0] is one for one in transactions]

    assert kept.count(True) <= 2
    assert kept[-1]
