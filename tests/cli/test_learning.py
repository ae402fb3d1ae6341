"""A study on the command line, from its proposal to a model that forgot who left, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from iamata.cli.learning import INTERRUPTED, saying_what_stops
from iamata.cli.model import BESIDE, gather_card, show_answer, write_all
from iamata.learning.estimators.linear_model import LinearModel
from iamata.learning.estimators.predictions import Prediction
from iamata.model.reasons import Reason, Refused
from iamata.node.places import RemotePlace
from iamata.notebook import open_home
from iamata.testing.study_stage import HOSPITALS
from iamata.workflows.model_uses import Answer
from learning_story import LearningStory

BEYOND = "marker: beyond -5 to 5"
PROMPT_S = 8.0
"""Within how many seconds an interrupted command ends, on a machine that does other things besides."""
SITE_SAYS = "north: of "
"""How a statement about who agreed at the site begins."""


def get_grounds(document: dict[str, Any]) -> dict[str, set[str]]:
    """Say of each statement's name how far it is known."""
    grounds: dict[str, set[str]] = {}
    for one in document["statements"]:
        grounds.setdefault(one["name"], set()).add(one["ground"])
    return grounds


def test_reviewers_are_told_what_is_to_be_learned_how_and_until_when(learned: LearningStory) -> None:
    shown = learned.moments["proposed"]

    assert (shown["is_review_over"], shown["is_expired"], shown["colluders_max"]) == (False, False, 1)
    for said in (
        f"{shown['title']}: {shown['question']}",
        f"Method: {shown['method']}.",
        f"To be reviewed until {shown['review_until']}; code (SHA-256) {shown['code']}.",
        "In a run of all 3 sites, up to 1 may put together what they know",
        "Exact sums.",
    ):
        assert said in shown["told"]
    assert shown["method"].startswith("regression (")


def test_two_reviewers_turn_a_proposal_into_a_permit(learned: LearningStory) -> None:
    assert learned.moments["proposed"]["status"] == "under-review"
    assert learned.heard["study review"]["status"] == "granted"
    assert learned.heard["study review"]["approvals"] == ["east", "north"]
    assert learned.heard["study revoke"]["status"] == "revoked"


def test_a_table_is_read_by_name_and_strangers_in_it_are_counted(learned: LearningStory) -> None:
    built = learned.heard["dataset build"]

    assert (built["rows_read"], built["patients_read"]) == (12, 11)
    assert (built["unknown_patients"], built["unknown_rows"], built["unagreed_patients"]) == (1, 1, 0)
    assert built["leaves"] == 16
    assert built["findings"] == [{"verdict": "approve", "reason": "the data allow research on health"}]


@pytest.mark.parametrize(
    ("moment", "code", "reason", "detail"),
    [
        ("built without a permit", 3, "PERMIT_NOT_ACTIVE", ""),
        ("trained without a permit", 3, "PERMIT_NOT_ACTIVE", ""),
        ("trained on nothing", 5, "DATASET_NOT_ACTIVE", "no site"),
        ("used for what is no code", 2, "INPUT_INVALID", "no DUO code"),
        ("asked for too long", 2, "INPUT_INVALID", "a permit lasts until"),
        ("asked at one site", 2, "INPUT_INVALID", "fewer than 3 sites"),
        ("asked at a site twice", 2, "INPUT_INVALID", "named twice"),
        ("asked for ancestry by its uses", 3, "PURPOSE_NOT_PERMITTED", "research on health"),
        ("asked for what is no use", 3, "PURPOSE_NOT_PERMITTED", "DUO:0000001"),
        ("asked for what no consent names", 3, "PURPOSE_NOT_PERMITTED", "no consent can name «statistics»"),
        ("without a column", 2, "TABLE_CLASHES", "no column ill"),
        ("with a column twice", 2, "TABLE_CLASHES", "two columns marker"),
        ("beyond the bounds", 2, "VALUE_OUT_OF_BOUNDS", f"{BEYOND} (lines 3, 4, 5, 6, 7 and 16 more)"),
        ("with an unknown word", 2, "TABLE_CLASHES", "smokes: none of its categories, no, yes (line 5)"),
        ("of strangers", 2, "TOO_FEW_PATIENTS", "22 of 22 patient ids are unknown here"),
        ("of one patient", 2, "TOO_FEW_PATIENTS", "1 of 2 patient ids are unknown here"),
        ("for ancestry alone", 3, "PURPOSE_NOT_PERMITTED", "research on health"),
        ("for what people judge", 3, "PURPOSE_NOT_PERMITTED", "--judged): the researcher has not agreed"),
        ("judged by a file", 2, "INPUT_INVALID", "no file"),
        ("under two permissions", 2, "MALFORMED", "the key 'permission' stands twice"),
        ("built twice", 5, "DATASET_NOT_ACTIVE", ""),
        ("trained without a site", 7, "TOO_FEW_SITES", "fewer than three"),
        ("trained without who is no site", 3, "NOT_A_SITE", "east, north, south, and not institute"),
        ("trained without no name", 2, "INPUT_INVALID", ""),
        ("trained by a patient", 4, "WALLET_NOT_FOUND", "not known to institute"),
        ("changed file", 1, "FAULT_FOUND", "was changed"),
        ("asked by a stranger", 4, "NOT_FOUND", ""),
        ("asked with a key twice", 2, "MALFORMED", "the key 'marker' stands twice"),
        ("asked with half a row", 2, "TABLE_CLASHES", "no column smokes"),
        ("asked against a patient's will", 4, "NOT_FOUND", ""),
        ("superseded use", 5, "MODEL_NOT_IN_USE", "superseded"),
        ("trained after the end", 3, "PERMIT_NOT_ACTIVE", ""),
    ],
)
def test_what_is_refused_says_why_and_names_nobody(
    learned: LearningStory, moment: str, code: int, reason: str, detail: str
) -> None:
    answer = learned.refused[moment]
    document = json.loads(answer.err.splitlines()[-1])

    assert (answer.code, document["reason"]) == (code, reason)
    assert detail in document["detail"]
    assert "Patient/" not in answer.err


def test_training_reports_rounds_of_every_site(learned: LearningStory) -> None:
    trained = learned.heard["study train"]

    assert trained["status"] == "current"
    assert sorted(trained["rounds"]) == trained["sites"] == list(HOSPITALS)
    assert len(set(trained["rounds"].values())) == 1


def test_verifying_says_how_far_each_statement_is_known(learned: LearningStory) -> None:
    grounds = get_grounds(learned.heard["model verify"])

    assert learned.heard["model verify"]["holds"]
    assert grounds == {
        **{name: {"proven"} for name in ("permit", "run", "attestations", "standing")},
        **{
            name: {"opened"}
            for name in ("file", "card", "protocol", "figures", "contents", "code", "members", "consents")
        },
        "conditions": {"opened"},
        "computation": {"opened"},
    }
    consents = [one for one in learned.heard["model verify"]["statements"] if one["name"] == "consents"]
    assert [one["says"] for one in consents] == [
        "east: of 11 in its dataset, 11 had agreed by then",
        "north: of 21 in its dataset, 21 had agreed by then",
        "south: of 11 in its dataset, 11 had agreed by then",
    ]


def find_says(verified: dict[str, Any], name: str) -> str:
    (said,) = (one["says"] for one in verified["statements"] if one["name"] == name)
    return str(said)


def test_an_outsider_verifies_with_an_export_alone_what_was_handed_on(learned: LearningStory) -> None:
    said, changed = learned.moments["outside"], learned.refused["changed card"]

    assert said["holds"]
    grounds = get_grounds(said)
    assert {name for name, found in grounds.items() if found == {"proven"}} == {
        *("permit", "run", "attestations", "standing")
    }
    assert {name for name, found in grounds.items() if found == {"opened"}} == {
        *("file", "card", "protocol", "figures", "contents", "code", "handed on")
    }
    assert "word for word" in find_says(said, "contents")
    alone = learned.moments["card alone"]
    assert alone["holds"]
    assert find_says(alone, "contents").endswith("is at hand: the protocol")
    assert find_says(alone, "handed on") == f"not there: {said['model']}-protocol.json"
    assert json.loads(changed.err)["reason"] == "FAULT_FOUND"
    assert "changed since, or of another model: changed.md" in json.loads(changed.err)["detail"]


def test_an_outsider_is_told_by_which_ledger_a_model_was_verified(learned: LearningStory) -> None:
    said, known = learned.moments["outside"], learned.moments["export"]

    for field in ("network", "height", "app_hash"):
        assert said[field] == known[field]
    told = learned.moments["untrusted"]
    last = f"Network {known['network']} at height {known['height']:,}\nApp hash {known['app_hash']}\n"
    assert told["out"].endswith(last)
    assert "No --genesis was given" in told["err"]


def test_who_left_since_had_agreed_when_the_first_model_learned(learned: LearningStory) -> None:
    superseded = learned.moments["superseded"]

    assert superseded["holds"]
    assert superseded["status"] == "superseded"


def test_a_changed_file_is_found_and_its_own_is_not(learned: LearningStory) -> None:
    statements = json.loads(learned.refused["changed file"].out)["statements"]

    assert [one["name"] for one in statements if not one["holds"]] == ["file"]
    assert learned.moments["its own file"]["holds"]


def test_a_model_is_written_with_its_card(learned: LearningStory) -> None:
    card = (learned.stage.folder / "card.md").read_text(encoding="utf-8")

    assert "no medical device" in card
    assert learned.heard["model show"]["model"] in card


def test_a_dataset_is_described_in_croissant_without_a_row(learned: LearningStory) -> None:
    shown = learned.heard["dataset show"]
    raw = (learned.stage.folder / "croissant.json").read_text(encoding="utf-8")

    described = json.loads(raw)

    assert described["conformsTo"] == "http://mlcommons.org/croissant/1.1"
    found = {one["propertyID"]: one["value"] for one in described["identifier"]}
    assert (found["dataset"], found["study"]) == (shown["dataset"], shown["study"])
    assert (found["members (root)"], found["consents (commitment)"]) == (
        shown["members"],
        shown["consents"],
    )
    assert "Patient/" not in raw
    assert "contentUrl" not in raw


def test_a_dataset_is_shown_with_the_conditions_on_its_data(learned: LearningStory) -> None:
    described = json.loads((learned.stage.folder / "croissant.json").read_text(encoding="utf-8"))

    assert learned.heard["dataset show"]["conditions"] == {"permission": "DUO:0000006"}
    assert [one["termCode"] for one in described["usageInfo"]] == ["DUO_0000006"]
    said = learned.moments["dataset shown"]["out"]
    assert "  health or medical or biomedical research (DUO:0000006)" in said.splitlines()


def test_figures_are_written_beside_their_card_all_or_none(tmp_path: Path) -> None:
    name = f"{'a' * 26}-roc.svg"
    card = f"\n## Files\n\n| [{name}]({name}) | `{'0' * 64}` |\n".encode()
    documents = gather_card(tmp_path / "card.md", card, lambda _: b"<svg/>")

    write_all(documents)

    assert (tmp_path / "card.md").read_bytes() == card
    assert (tmp_path / name).read_bytes() == b"<svg/>"
    (tmp_path / "card.md").unlink()
    with pytest.raises(Refused) as refused:
        write_all(documents)
    assert refused.value.reason is Reason.HOME_ALREADY_EXISTS
    assert not (tmp_path / "card.md").exists()


def test_a_doctor_gets_a_score_with_reasons_and_the_patient_sees_it(learned: LearningStory) -> None:
    said = learned.heard["model apply"]

    assert 0 < said["low"] < said["value"] < said["high"] < 1
    assert list(said["contributions"]) == sorted(
        said["contributions"], key=lambda one: -abs(said["contributions"][one])
    )
    assert "no medical device" in said["notice"]
    looked = learned.moments["looked"]["accesses"]
    assert [one["purpose"] for one in looked] == ["HRESCH", "HRESCH", "TREAT"]
    uses = [use for one in looked for use in one["uses"]]
    assert [one["kind"] for one in uses] == ["dataset", "run", "model"]
    assert {one["study"] for one in uses} == {learned.heard["study show"]["study"]}
    assert uses[2]["id"] == said["model"]
    assert [one["records"] for one in looked] == [0, 0, 0]  # the row came in a file
    told = learned.moments["looked"]["told"]
    title = learned.heard["study show"]["title"]
    assert f"asked about you at north: model {said['model']} of study {uses[2]['study']} «{title}»" in told


@pytest.mark.parametrize(("value", "is_beside"), [(0.4, False), (0.6, True), (0.2, True)])
def test_where_an_interval_does_not_hold_the_score_it_is_said_what_the_interval_is_of(
    value: float,
    is_beside: bool,  # noqa: FBT001  a case
    capsys: pytest.CaptureFixture[str],
) -> None:
    prediction = Prediction(value=value, low=0.3, high=0.5, offset=0.0, contributions={})

    show_answer(
        {"model": "m", "status": "current", "is_overdue": False},
        Answer(outcome="ill", prediction=prediction, inputs={}),
    )

    assert (BESIDE in capsys.readouterr().out) is is_beside


def test_those_who_leave_in_tens_are_taken_out_and_the_model_turns_stale(learned: LearningStory) -> None:
    steps = {one["custodian"]: one["step"] for one in learned.heard["dataset look-after"]["steps"]}

    assert [one["step"] for one in learned.moments["nobody left"]["steps"]] == ["nothing"]
    assert steps == {"east": "nothing", "north": "replaced", "south": "nothing"}
    assert learned.moments["stale"]["status"] == "stale"
    assert "stale" in learned.moments["stale use"]["err"]
    assert learned.moments["again"]["status"] == "current"
    statuses = [one["status"] for one in learned.heard["model list"]["models"]]
    assert statuses == ["superseded", "current"]


def test_a_training_that_is_interrupted_fails_at_once_and_says_so(learned: LearningStory) -> None:
    said = learned.moments["interrupted"]

    assert (said["exit"], said["took_s"] < PROMPT_S) == (130, True)
    assert said["err"].split() == INTERRUPTED.split()
    assert [(one["status"], one["reason"]) for one in said["runs"]] == [
        ("finished", ""),
        ("failed", "ROUND_ABORTED"),
    ]


def test_who_stops_looking_on_at_a_node_is_told_that_the_run_goes_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(KeyboardInterrupt), saying_what_stops(RemotePlace.__new__(RemotePlace)):
        raise KeyboardInterrupt

    assert "The run goes on at its nodes" in capsys.readouterr().err


def test_a_run_that_nobody_goes_on_with_is_marked_as_failed(learned: LearningStory) -> None:
    found = {
        name: [one["status"] for one in said["runs"]][2:]
        for name, said in (
            ("looked after", learned.moments["killed"]),
            ("trained again", learned.heard["study show"]),
        )
    }

    assert found == {
        "looked after": ["failed", "running"],  # a node could still go on with the second one
        "trained again": ["failed", "failed", "finished"],
    }
    assert {one["reason"] for one in learned.heard["study show"]["runs"]} == {"", "ROUND_ABORTED"}


def test_who_is_erased_takes_the_dataset_along_at_once(learned: LearningStory) -> None:
    study, erased = learned.heard["study show"]["study"], learned.moments["erased"]

    assert erased["ended"] == [{"study": study, "step": "retired"}]
    standing = [one["custodian"] for one in erased["datasets"] if one["status"] == "active"]
    assert sorted(standing) == ["north", "south"]


def test_who_leaves_is_told_until_when_runs_still_use_their_row(learned: LearningStory) -> None:
    until = learned.heard["wallet withdraw"]["leaves_datasets_by"]
    (waits,) = learned.moments["one left"]["steps"]
    (row,) = learned.moments["leaving"]["datasets"]
    (said,) = (
        one["says"] for one in learned.moments["left since"]["statements"] if SITE_SAYS in one["says"]
    )

    assert until == learned.heard["dataset show"]["confirm_until"][:10]
    assert (waits["step"], waits["until"]) == ("waiting", until)
    assert (row["is_in"], row["status"], row["leaves_by"]) == (True, "active", until)
    assert row["leaves_because"] == "withdrawn"
    told = learned.moments["leaving"]["told"]
    assert (
        f"You have withdrawn your consent, and leave dataset {row['dataset']} together with others" in told
    )
    assert f"by {until} at the latest; runs until then still use your row." in told
    assert row["is_used"]
    assert learned.heard["wallet withdraw"]["is_row_used"]
    assert said.endswith("; withdrawn since: 1")
    assert learned.moments["in it"]["datasets"][0]["leaves_by"] == ""
    assert [one["leaves_by"] for one in learned.heard["wallet studies"]["datasets"]] == ["", ""]


def test_who_leaves_after_a_permit_ended_is_told_that_no_run_uses_their_row(learned: LearningStory) -> None:
    left = learned.moments["left after the end"]
    (row,) = left["datasets"]

    assert (row["is_in"], row["status"], row["is_used"]) == (True, "active", False)
    for told in (left["withdraw"], left["told"]):
        assert f"by {row['leaves_by']} at the latest; no run uses your row any more" in told
        assert "still use your row" not in told


def test_who_narrows_is_told_that_they_leave_a_study_that_asks_for_it(learned: LearningStory) -> None:
    narrowed = learned.moments["narrowed"]
    (row,) = narrowed["datasets"]

    assert narrowed["restrict"]["leaves_datasets_by"] == row["leaves_by"] != ""
    assert (row["is_in"], row["leaves_because"]) == (True, "narrowed")
    assert (
        "Your consent was narrowed: if by anything that the study asks for, you leave" in narrowed["told"]
    )
    assert "withdrawn" not in narrowed["told"]


def test_a_patient_sees_by_proof_that_they_were_in_and_are_out(learned: LearningStory) -> None:
    (before,) = learned.moments["in it"]["datasets"]
    old, new = learned.heard["wallet studies"]["datasets"]

    assert (before["is_in"], before["status"], before["purpose"]) == (True, "active", "research")
    assert (old["is_in"], old["status"]) == (True, "replaced")
    assert (new["is_in"], new["status"]) == (False, "active")
    assert old["is_proven"]
    assert new["is_proven"]
    assert [one["status"] for one in old["models"]] == ["superseded"]
    assert [one["status"] for one in new["models"]] == ["current"]


def test_a_notebook_reads_what_the_commands_tell(learned: LearningStory) -> None:
    with open_home(learned.stage.home) as book:
        (permit,) = book.permits().to_pylist()
        models = book.models().to_pylist()
        datasets, runs, spending = book.datasets(), book.runs(), book.spending()
        (study,) = book.studies().to_pylist()
        model = book.read_model(models[-1]["model"])
        with pytest.raises(Refused) as refused:
            book.evaluate(models[-1]["model"])

    shown = learned.heard["study show"]
    assert (study["study"], study["status"]) == (shown["study"], "revoked")
    assert permit["is_revoked"]
    assert [one["model"] for one in models] == [one["model"] for one in shown["models"]]
    assert [one["status"] for one in models] == [one["status"] for one in shown["models"]]
    assert (datasets.num_rows, runs.num_rows, spending.num_rows) == (
        len(shown["datasets"]),
        len(shown["runs"]),
        0,
    )
    assert isinstance(model.model_, LinearModel)
    assert refused.value.reason is Reason.NOT_FOUND  # too few were kept out to say


def test_a_notebook_lets_a_home_go_where_it_fails(learned: LearningStory) -> None:
    with pytest.raises(Refused) as refused:
        open_home(learned.stage.folder / "nowhere")
    with open_home(learned.stage.home) as book:
        assert book.studies().num_rows == 1
    with open_home(learned.stage.home) as book:
        assert book.studies().num_rows == 1

    assert refused.value.reason is Reason.HOME_NOT_FOUND
