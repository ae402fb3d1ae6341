"""A home or a node, opened to read and to do research from."""

import contextlib
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa

from iamata.learning.estimators.model_files import MODEL_BYTES_MAX, decode_model, identify_model
from iamata.learning.protocols import PROTOCOL_BYTES_MAX, Protocol, read_protocol
from iamata.learning.questions import QUESTION_BYTES_MAX, Count, Question, read_question
from iamata.learning.wording import read_condition
from iamata.ledger.tables import RUNS
from iamata.model.ids import Digest, ModelId, StudyId
from iamata.model.instants import Instant
from iamata.model.reasons import Reason, Refused, require
from iamata.node import home as homes
from iamata.node import places, researching
from iamata.node.model_checks import verify
from iamata.node.steps import Tell, ignore
from iamata.node.studying import fetch_document, fetch_protocol, read_file
from iamata.node.words import read_member
from iamata.notebook import frames
from iamata.notebook.documents import Document, read_document
from iamata.notebook.fitted import Fitted
from iamata.notebook.refusals import speaking, speaking_class
from iamata.notebook.replies import Reply, describe_reply, tabulate_answers
from iamata.notebook.worth import NumberWorth, Worth, read_worth
from iamata.stores.private_files import hold_folder
from iamata.workflows.lineages import get_model, get_study, is_answer, trace
from iamata.workflows.studies import check_protocol


@speaking_class
class Notebook:
    """What a home or a node shows, of one moment; `refresh` takes the next one, `close` lets go.

    With a wallet, its researcher also proposes, trains and asks; the tables then show what came of it.
    What may not be known or done, or was changed, is refused with `Refused`, in a sentence.
    """

    def __init__(
        self, place: homes.Home | places.RemotePlace, opened: contextlib.ExitStack, wallet: Path | None
    ) -> None:
        """Work at a place, which `opened` closes."""
        self._place = place
        self._opened = opened
        self._wallet = wallet
        self.refresh()

    def refresh(self) -> None:
        """Look at the ledger as it is now."""
        self._view = self._place.engine.snapshot()
        self._found = trace(self._place.engine)
        self._at_ms = Instant(max(self._view.time_ms, self._place.clock()))

    def studies(self) -> pa.Table:
        """Return every study: whose, for what, where it stands."""
        return frames.list_studies(self._view, self._found)

    def permits(self) -> pa.Table:
        """Return the permits that were granted: by whom, until when, what is left of the budgets (ε)."""
        return frames.list_permits(self._view, self._found)

    def datasets(self) -> pa.Table:
        """Return every dataset: at which site, in how many leaves (a band), to be confirmed until when."""
        return frames.list_datasets(self._view, self._found, at_ms=self._at_ms)

    def runs(self) -> pa.Table:
        """Return every run: on whose datasets, what it spent (ε), and why it failed if it did."""
        return frames.list_runs(self._view, self._found, at_ms=self._at_ms)

    def models(self) -> pa.Table:
        """Return every model: of which study and run, whether it is current, and its file's hash."""
        return frames.list_models(self._view, self._found, at_ms=self._at_ms)

    def spending(self) -> pa.Table:
        """Return what each custodian's patients gave of their privacy (ε), by day of the last year."""
        return frames.list_spending(self._view, self._found)

    def evaluate(self, model: str) -> Worth | NumberWorth:
        """Return what a model is worth, once it is held against what every site attested.

        Refuses a model that was not evaluated (NOT_FOUND), and figures that the sites did not attest
        (BODY_CHANGED).
        """
        entry = get_model(self._view, ModelId(model))
        run = RUNS.find(self._view, entry.run)
        if run is None:
            raise Refused(Reason.UNKNOWN_RUN)
        owner = get_study(self._view, entry.study).owner

        def fetch(digest: Digest) -> bytes:
            return fetch_document(self._place, digest, owner=owner)

        return read_worth(fetch(entry.card), run.attestations, fetch)

    def read_model(self, model: str) -> Fitted:
        """Return a model, to predict with or to look into; its file has the hash on the ledger."""
        name = ModelId(model)
        entry = get_model(self._view, name)
        require(not is_answer(name, entry.run), Reason.UNKNOWN_MODEL, "it is the answer to a question")
        owner = get_study(self._view, entry.study).owner
        raw = fetch_document(self._place, entry.content, owner=owner)
        return Fitted(name, decode_model(raw, identify_model(raw)))

    def verify(self, model: str, *, file: str | Path | None = None) -> pa.Table:
        """Return of all that a model rests on whether it is proven, opened or attested.

        `file` is what one has as its file. What does not hold is refused with FAULT_FOUND. At a node the
        whole ledger is replayed first, from the genesis that the wallet trusts.
        """
        raw = None if file is None else read_file(Path(file), bytes_max=MODEL_BYTES_MAX)
        statements = verify(self._place, ModelId(model), file=raw)
        wrong = "; ".join(one.says for one in statements if not one.holds)
        require(not wrong, Reason.FAULT_FOUND, wrong)
        return frames.list_statements(statements)

    def read_protocol(self, study: str) -> Protocol:
        """Return a study's protocol: its question, columns with their bounds, and estimator."""
        return read_protocol(fetch_protocol(self._place, StudyId(study)))

    def propose(  # noqa: PLR0913  what a study asks for
        self,
        protocol: Document,
        *,
        sites: Sequence[str],
        purpose: str,
        uses: Sequence[str],
        until: date | str,
        budget: float = 0.0,
        is_prohibited_use_excluded: bool,
        member: str | None = None,
    ) -> StudyId:
        """Put a study before the reviewers of other members, and return its id.

        The protocol is a `Protocol`, the same as a dictionary, or a file. `purpose` is EHDS's word, `uses`
        are DUO codes, `until` is the permit's last day, `budget` the privacy (ε) that runs may spend.
        Refused unless one declares that no use is meant which EHDS prohibits (article 54).
        """
        require(is_prohibited_use_excluded, Reason.PURPOSE_PROHIBITED, researching.PROHIBITED)
        last_day = until.isoformat() if isinstance(until, date) else until
        proposal = researching.write_proposal(
            sites=sites, purpose=purpose, uses=uses, until=last_day, budget=budget
        )
        document = read_document(protocol, bytes_max=PROTOCOL_BYTES_MAX)
        check_protocol(document, proposal)
        owner = None if member is None else read_member(member)
        study = researching.propose(self._place, self._get_wallet(), document, proposal, member=owner)
        self.refresh()
        return study

    def train(
        self,
        study: str,
        *,
        supersedes: str | None = None,
        without: Sequence[str] = (),
        tell: Tell = ignore,
    ) -> ModelId:
        """Train on the datasets that stand, by sums alone, and return the model's id once it is on record.

        `without` are sites that take no part, say because their nodes are down; three have to be left.
        `tell` hears how far each site has come, as with `tell=print`, one step at a time but from any
        thread. At a home that is each round of each site; a node is asked where they are from time
        to time.
        """
        older = None if supersedes is None else ModelId(supersedes)
        wallet = self._get_wallet()
        model = researching.train(
            self._place, wallet, StudyId(study), supersedes=older, without=without, tell=tell
        )
        self.refresh()
        return model

    def count(self, study: str, *where: str, without: Sequence[str] = (), tell: Tell = ignore) -> Reply:
        """Count patients over all sites by one noisy sum, as `count(study, "smokes=yes", "age>=50")`.

        The same question over the same sites is answered, and paid for, once. `without` are sites that take
        no part, as in `train`.
        """
        asked = Count(of=tuple(map(read_condition, where)))
        return self._ask(StudyId(study), asked, without=without, tell=tell)

    def ask(
        self, study: str, question: Document, *, without: Sequence[str] = (), tell: Tell = ignore
    ) -> Reply:
        """Ask for a count, a rate or a ratio: as `learning.questions` has them, a dictionary, or a file.

        The same question over the same sites is answered, and paid for, once. `without` are sites that take
        no part, as in `train`.
        """
        asked = read_question(read_document(question, bytes_max=QUESTION_BYTES_MAX))
        return self._ask(StudyId(study), asked, without=without, tell=tell)

    def answers(self, study: str) -> pa.Table:
        """Return what a study was asked, and the answers; of one that is null too few were counted."""
        return tabulate_answers(self._place, self._found, StudyId(study))

    def close(self) -> None:
        """Let the home, or the wallet and the node, go."""
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, study: StudyId, question: Question, *, without: Sequence[str], tell: Tell) -> Reply:
        told = researching.ask(self._place, self._get_wallet(), study, question, without=without, tell=tell)
        self.refresh()
        return describe_reply(told, self._view)

    def _get_wallet(self) -> Path:
        if self._wallet is None:
            detail = "say who researches: open_home(FOLDER, wallet=WALLET)"
            raise Refused(Reason.INPUT_INVALID, detail)
        return self._wallet


@speaking
def open_home(folder: str | Path, *, wallet: str | Path | None = None) -> Notebook:
    """Open a home on this disk; nobody else works with it, or with the wallet, until it is closed.

    The wallet is that of a researcher who proposes, trains or asks; reading needs none.
    """
    held = None if wallet is None else Path(wallet)
    with contextlib.ExitStack() as stack:
        if held is not None:
            stack.enter_context(hold_folder(held))
        place = stack.enter_context(homes.open_home(Path(folder)))
        book = Notebook(place, opened := contextlib.ExitStack(), held)
        opened.push(stack.pop_all())
    return book


@speaking
def open_node(url: str, *, wallet: str | Path, authorities: str | Path | None = None) -> Notebook:
    """Speak to a member's node with a wallet's key; nothing is believed that the ledger does not prove.

    `authorities` is a file of certificates (PEM), where the node's is not publicly known.
    """
    trusted = None if authorities is None else Path(authorities)
    with contextlib.ExitStack() as stack:
        stack.enter_context(hold_folder(Path(wallet)))
        place = stack.enter_context(places.open_node(url, Path(wallet), authorities=trusted))
        book = Notebook(place, opened := contextlib.ExitStack(), Path(wallet))
        opened.push(stack.pop_all())
    return book
