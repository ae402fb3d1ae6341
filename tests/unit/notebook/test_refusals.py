"""A researcher reads a sentence where something is refused, and no line of what was called."""

import traceback
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from iamata.learning.estimators.regression import LinearRegression
from iamata.learning.federations import Tables
from iamata.learning.schemas import Numeric, Outcome, Schema
from iamata.model import reasons
from iamata.model.ids import ModelId
from iamata.model.reasons import Reason
from iamata.notebook import Fitted, Refused, open_home, open_node, read_frame

SCHEMA = Schema(
    columns=(Numeric(name="dose", low=0, high=9),), outcome=Outcome(name="days", kind="number", high=99)
)
FRAME = pa.table({"who": list(range(12)), "dose": [one % 9 for one in range(12)], "days": list(range(12))})
NOWHERE = Path("/nowhere")


def fit() -> Fitted:
    """Fit a model, as if it had been read."""
    rows = read_frame(FRAME, SCHEMA, patient="who")
    return Fitted(ModelId(""), LinearRegression().fit(Tables([rows])).model_)


REFUSED: dict[str, tuple[Callable[[], object], Reason, str]] = {
    "a home": (lambda: open_home(NOWHERE), Reason.HOME_NOT_FOUND, "There is no home here"),
    "a node": (
        lambda: open_node("https://127.0.0.1:1", wallet=NOWHERE),
        Reason.WALLET_NOT_FOUND,
        "There is no such wallet",
    ),
    "a frame": (
        lambda: read_frame("a word", SCHEMA, patient="who"),
        Reason.TABLE_CLASHES,
        "A site's table is not what the study describes",
    ),
    "a model": (
        lambda: fit().predict_proba(FRAME),
        Reason.INPUT_INVALID,
        "This cannot be used as it is. (its outcome is not yes or no: predict) [INPUT_INVALID ",
    ),
}


@pytest.mark.parametrize(("act", "reason", "sentence"), REFUSED.values(), ids=list(REFUSED))
def test_a_refusal_is_a_sentence_without_the_lines_of_what_refused(
    act: Callable[[], object], reason: Reason, sentence: str
) -> None:
    with pytest.raises(Refused) as refused:
        act()

    said = refused.value
    frames = [Path(one.filename).name for one in traceback.extract_tb(said.__traceback__)]
    assert str(said).startswith(sentence)
    assert str(said).endswith(f"[{reason.name} {int(reason)}]")
    assert said.reason is reason
    assert isinstance(said, reasons.Refused)  # so whoever knew that one still catches it
    assert frames == ["test_refusals.py", "test_refusals.py", "refusals.py"]
    assert (said.__cause__, said.__context__) == (None, None)
    assert "".join(traceback.format_exception(said)).splitlines()[-1] == f"iamata.notebook.Refused: {said}"
