"""The weight that founders of a network of validators have."""

import pytest

from iamata.node.validators import POWER


@pytest.mark.parametrize("founders", range(4, 31))
def test_cometbft_takes_no_founder_for_one_that_stops_the_others(founders: int) -> None:
    # As blocksync/reactor.go of CometBFT 0.38 computes it: who is such a one fetches no blocks ahead.
    assert founders * POWER // 3 > POWER
