"""What a run works out, step by step: from a site's own rows, and from sums over all sites."""

from typing import Protocol

from iamata.learning.programmes import Programme, Query, encode_share
from iamata.learning.programmes import Site as RowsOfSite
from iamata.learning.protocols import Learned, answer_question, learn
from iamata.learning.protocols import Protocol as ProtocolFile
from iamata.learning.questions import Asked
from iamata.learning.secure_sum.site import Sum
from iamata.learning.summing import read_round
from iamata.learning.tables import Integers
from iamata.ledger.entries import Study


class Sums(Protocol):
    """What tells the sums: the other sites, or what was kept of them."""

    def sum(self, query: Query, share: Integers) -> Sum:
        """Return what a query came to, where this site's part in it is `share`."""
        ...


def choose_programme(
    protocol: ProtocolFile, asked: Asked | None, study: Study, *, sites: int
) -> Programme[Learned]:
    """Return what a run over so many sites works out: the answer to what was asked, or a model."""
    if asked is None:
        return learn(protocol, study.sites)
    return answer_question(protocol, asked, sites=sites)


def run_programme(programme: Programme[Learned], site: RowsOfSite, sums: Sums) -> Learned:
    """Run a programme on a site's own rows and on sums over all sites."""
    try:
        query = next(programme)
        while True:
            share = encode_share(query, query.compute(query.given, site))
            query = programme.send(read_round(query, sums.sum(query, share)))
    except StopIteration as end:
        learned: Learned = end.value
        return learned
