"""Iamata for notebooks: a researcher proposes, trains, asks and reads; tables come out for any data frame.

    from iamata.notebook import open_node

    with open_node("https://node.example", wallet="wallets/rosa") as book:
        study = book.propose("protocol.json", sites=["east", "north", "south"], purpose="research",
                             uses=["DUO:0000006"], until="2027-06-30", is_prohibited_use_excluded=True)
        ...  # reviewers grant the permit, hospitals build their datasets
        model = book.train(study, tell=print)
        book.evaluate(model).figures.to_pandas()  # or polars.from_arrow(…)
        book.read_model(model).predict_proba(frame)

What it does, the commands `iamata study` and `iamata model` do by the same code. Arrow tables of typed
columns come out (decision 32), all of one moment of the ledger until `refresh`, or until one has written
to it. The estimators that learn from sums, in scikit-learn's manner, are in `iamata.learning.estimators`;
`read_frame` makes their tables.
"""

from iamata.node.steps import Step
from iamata.notebook.book import Notebook, open_home, open_node
from iamata.notebook.fitted import Fitted
from iamata.notebook.refusals import Refused
from iamata.notebook.replies import Reply
from iamata.notebook.rows import read_frame
from iamata.notebook.worth import NumberWorth, Worth

__all__ = [
    "Fitted",
    "Notebook",
    "NumberWorth",
    "Refused",
    "Reply",
    "Step",
    "Worth",
    "open_home",
    "open_node",
    "read_frame",
]
