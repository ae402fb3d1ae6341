"""Iamata for notebooks: what a network says of learning, as tables that every data frame library takes.

    from iamata.notebook import open_home, open_node

    with open_node("https://node.example", wallet="wallets/rosa") as book:
        book.models().to_pandas()  # or polars.from_arrow(book.models())
        book.evaluate(model).roc

Arrow tables of typed columns come out (decision 32), all of one moment of the ledger until `refresh`. It
reads, and changes nothing: studies are proposed, reviewed and trained with `iamata study`. The estimators
that learn from sums, in scikit-learn's manner, are in `iamata.learning.estimators`; `read_frame` makes
their tables.
"""

from iamata.notebook.book import Notebook, open_home, open_node
from iamata.notebook.rows import read_frame
from iamata.notebook.worth import Worth

__all__ = ["Notebook", "Worth", "open_home", "open_node", "read_frame"]
