"""A researcher at their member's own node: proposes, trains, and fetches what came of it."""

import json
from pathlib import Path

import msgspec
import pytest

from asking_story import RATE, SCHEMA
from iamata.engines.embedded.engine import read_clock_ms
from iamata.learning.protocols import Questions
from iamata.model.instants import compute_day, format_day
from iamata.model.reasons import Reason, Refused
from iamata.notebook import Notebook, Step, open_node
from iamata.testing.learning import draw_rows, write_protocol
from iamata.testing.stage import Answer, call
from iamata.testing.study_network import OWNER, StudyNetwork

EPSILON_MICRO = 4_000_000
SITES = ("hospital-a", "hospital-b", "hospital-c")


def ask(*arguments: object) -> Answer:
    """Run a command that must succeed."""
    answer = call(*arguments)
    assert answer.code == 0, answer
    return answer


@pytest.mark.slow
def test_a_study_is_proposed_and_a_model_trained_at_a_node(tmp_path: Path) -> None:
    rows = {site: draw_rows(12, seed) for seed, site in enumerate(SITES)}
    network = StudyNetwork(tmp_path / "net", write_protocol(holdout_percent=0), rows)
    home, wallet, file = tmp_path / "net" / OWNER, tmp_path / "rosa", tmp_path / "model.json"
    staff = ("--member", OWNER, "--wallet", wallet, "--role", "researcher")
    ask("person", "register", "--home", home, *staff)
    until = format_day(compute_day(read_clock_ms()) + 300)
    protocol = tmp_path / "protocol.json"
    protocol.write_bytes(msgspec.json.encode(write_protocol(title="Another question")))

    with network.running():
        at = ("--node", network.url, "--wallet", wallet)
        asked = ("--sites", ",".join(SITES), "--purpose", "research", "--use", "DUO:0000006")
        proposed = ask(
            *("study", "propose", protocol, *at, *asked, "--until", until, "--yes", "--json")
        ).document
        shown = ask("study", "show", proposed["study"], "--protocol", *at).out
        trained = ask("study", "train", network.study, *at, "--json").document
        ask("model", "show", trained["model"], *at, "--file", file)
        refused = call("study", "train", proposed["study"], *at, "--json")
        with open_node(network.url, wallet=wallet) as book:
            (row,) = book.models().to_pylist()
            protocol_read = book.read_protocol(proposed["study"])
            dataset = book.datasets().column("dataset").to_pylist()[0]
            learn_again(book, network.study, trained["model"])
            propose_again(book, protocol, until)
        described = ask("dataset", "show", dataset, *at, "--croissant", tmp_path / "croissant.json").out

    assert "Another question" in shown
    assert (row["model"], row["status"]) == (trained["model"], "current")
    assert protocol_read.title == "Another question"
    assert dataset in described
    assert "What may be done with its data is known at its custodian." in described
    assert dataset in (tmp_path / "croissant.json").read_text(encoding="utf-8")
    assert (trained["status"], trained["sites"]) == ("current", list(SITES))
    assert json.loads(refused.err)["reason"] == "PERMIT_NOT_ACTIVE"
    verified = ask("model", "verify", trained["model"], "--home", home, "--file", file, "--json").document
    assert verified["holds"]
    grounds = {one["name"]: one["ground"] for one in verified["statements"]}
    assert grounds["consents"] == "attested"  # each hospital opens its own


def learn_again(book: Notebook, study: str, old: str) -> None:
    """Train in a notebook, watch it, and find the same model, verified by what the node proves."""
    steps: list[Step] = []

    new = book.train(study, supersedes=old, tell=steps.append)

    for site in SITES:
        first, *rounds, last = [step for step in steps if step.site == site]
        assert (str(first), str(last)) == (f"{site} takes part", f"{site} is done")
        numbers = [step.round.number for step in rounds if step.round]
        assert numbers == sorted(set(numbers))
        assert len(numbers) == len(rounds)
    assert set(book.verify(new).column("ground").to_pylist()) == {"proven", "opened", "attested"}
    assert book.read_model(new).list_coefficients() == book.read_model(old).list_coefficients()
    status = {row["model"]: row["status"] for row in book.models().to_pylist()}
    assert status == {old: "superseded", new: "current"}
    with pytest.raises(Refused) as refused:
        book.train(study, without=SITES[:1])
    assert refused.value.reason is Reason.TOO_FEW_SITES


def propose_again(book: Notebook, protocol: Path, until: str) -> None:
    """Propose in a notebook what a file says."""
    study = book.propose(
        protocol,
        sites=SITES,
        purpose="research",
        uses=["DUO:0000006"],
        until=until,
        is_prohibited_use_excluded=True,
    )

    status = {row["study"]: row["status"] for row in book.studies().to_pylist()}
    assert status[study] == "under-review"


@pytest.mark.slow
def test_a_question_is_asked_at_a_node_once_and_answered_again_for_nothing(tmp_path: Path) -> None:
    rows = {site: draw_rows(30, seed) for seed, site in enumerate(SITES)}
    protocol = write_protocol(schema=SCHEMA, estimator=Questions(epsilon_micro=EPSILON_MICRO))
    network = StudyNetwork(tmp_path / "net", protocol, rows)
    wallet = tmp_path / "rosa"
    staff = ("--member", OWNER, "--wallet", wallet, "--role", "researcher")
    ask("person", "register", "--home", tmp_path / "net" / OWNER, *staff)
    rate = tmp_path / "rate.json"
    rate.write_text(RATE)

    with network.running():
        at = (network.study, "--node", network.url, "--wallet", wallet, "--json")
        never = "smokes=no"
        counted = ask("study", "count", *at, "--where", never).document
        again = ask("study", "count", *at, "--where", never).document
        refused = [call("study", "count", *at, "--where", one) for one in ("weight>=1", "marker>=9")]
        refused.append(call("study", "count", *at, "--without", "nobody"))
        with open_node(network.url, wallet=wallet) as book:
            replied = book.count(network.study, never)
            known = book.answers(network.study).to_pylist()
        rated = ask("study", "ask", network.study, rate, *at[1:]).document
        refused.append(call("study", "count", *at, "--where", "smokes=yes"))
        listed = ask("study", "answers", *at).document["answers"]

    exact = sum(row["smokes"] == "no" for each in rows.values() for row in each)
    assert abs(counted["result"]["value"] - exact) < 8 * counted["deviation"]
    assert again == counted | {"is_new": False}
    assert (replied.answer, replied.value, replied.is_new) == (
        counted["answer"],
        counted["result"]["value"],
        False,
    )
    assert [(one["answer"], one["value"]) for one in known] == [(replied.answer, replied.value)]
    assert [one["answer"] for one in listed] == [counted["answer"], rated["answer"]]
    said = [json.loads(one.err) for one in refused]
    reasons = ["QUESTION_INVALID", "QUESTION_INVALID", "NOT_A_SITE", "BUDGET_EXHAUSTED"]
    assert [one["reason"] for one in said] == reasons
    assert "weight" in said[0]["detail"]
    assert "between -5 and 5" in said[1]["detail"]
