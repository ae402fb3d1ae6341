"""A home or a node, opened to be read from."""

import contextlib
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa

from iamata.learning.estimators.model_files import Model, decode_model, identify_model
from iamata.learning.protocols import Protocol, read_protocol
from iamata.ledger.tables import RUNS
from iamata.model.ids import Digest, ModelId, StudyId
from iamata.model.instants import Instant
from iamata.model.reasons import Reason, Refused
from iamata.node import home as homes
from iamata.node import places
from iamata.node.studying import fetch_document, fetch_protocol
from iamata.notebook import frames
from iamata.notebook.worth import Worth, read_worth
from iamata.stores.private_files import hold_folder
from iamata.workflows.lineages import get_model, get_study, trace


class Notebook:
    """What a home or a node shows, of one moment; `refresh` takes the next one, `close` lets go.

    What may not be known, or was changed, is refused with `iamata.model.reasons.Refused`.
    """

    def __init__(self, place: homes.Home | places.RemotePlace, opened: contextlib.ExitStack) -> None:
        """Read at a place, which `opened` closes."""
        self._place = place
        self._opened = opened
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

    def evaluate(self, model: str) -> Worth:
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

    def read_model(self, model: str) -> Model:
        """Return a model, to look at its coefficients or trees; its file has the hash on the ledger."""
        entry = get_model(self._view, ModelId(model))
        owner = get_study(self._view, entry.study).owner
        raw = fetch_document(self._place, entry.content, owner=owner)
        return decode_model(raw, identify_model(raw))

    def read_protocol(self, study: str) -> Protocol:
        """Return a study's protocol: its question, columns with their bounds, and estimator."""
        return read_protocol(fetch_protocol(self._place, StudyId(study)))

    def close(self) -> None:
        """Let the home, or the wallet and the node, go."""
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_home(folder: str | Path) -> Notebook:
    """Open a home on this disk to read from; nobody else works with it until it is closed."""
    with contextlib.ExitStack() as stack:
        place = stack.enter_context(homes.open_home(Path(folder)))
        book = Notebook(place, opened := contextlib.ExitStack())
        opened.push(stack.pop_all())
    return book


def open_node(url: str, *, wallet: str | Path, authorities: str | Path | None = None) -> Notebook:
    """Speak to a member's node with a wallet's key; nothing is believed that the ledger does not prove.

    `authorities` is a file of certificates (PEM), where the node's is not publicly known.
    """
    trusted = None if authorities is None else Path(authorities)
    with contextlib.ExitStack() as stack:
        stack.enter_context(hold_folder(Path(wallet)))
        place = stack.enter_context(places.open_node(url, Path(wallet), authorities=trusted))
        book = Notebook(place, opened := contextlib.ExitStack())
        opened.push(stack.pop_all())
    return book
