"""Conditions on data in words: every code by the ontology's own label, and nothing that holds left out."""

import csv
from pathlib import Path

from iamata.consent.condition_wording import FOR_PEOPLE, LABELS, Stated, state_conditions
from iamata.consent.data_use import Conditions, Modifier, Permission
from iamata.model.instants import parse_day


def test_every_code_has_the_label_of_the_ontology(shared_data: Path) -> None:
    with (shared_data / "duo" / "duo.csv").open(encoding="utf-8", newline="") as file:
        labels = {row["id"]: row["label"] for row in csv.DictReader(file)}

    assert LABELS.keys() == {*Permission, *Modifier}
    assert {str(code): label for code, label in LABELS.items()} == {code: labels[code] for code in LABELS}


def test_each_condition_is_stated_once_with_what_it_names() -> None:
    conditions = Conditions(
        permission=Permission.DISEASE_RESEARCH,
        diseases=("DOID:162", "DOID:1324"),
        modifiers=("DUO:0000022", "LOCAL:1", "DUO:0000022"),
        countries=("FR", "IT"),
        users=("rosa",),
    )

    assert list(state_conditions(conditions)) == [
        Stated("DUO:0000007", "disease specific research", ("DOID:162", "DOID:1324")),
        Stated("DUO:0000022", "geographical restriction", ("FR", "IT")),
        Stated("LOCAL:1", FOR_PEOPLE),
    ]


def test_a_last_day_is_a_time_limit_whether_or_not_its_code_stands() -> None:
    last = parse_day("2026-12-31")
    alone = Conditions(permission=Permission.HEALTH_RESEARCH, until_day=last)
    coded = Conditions(
        permission=Permission.HEALTH_RESEARCH, modifiers=(Modifier.TIME_LIMIT,), until_day=last
    )

    assert list(state_conditions(alone)) == list(state_conditions(coded))
    assert [one.spell() for one in state_conditions(alone)][-1] == (
        "time limit on use (DUO:0000025): until 2026-12-31"
    )
