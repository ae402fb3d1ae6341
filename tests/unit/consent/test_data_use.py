"""Data use conditions against purposes: DUOS' published cases, and what we decide beyond them."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iamata.consent.data_use import (
    Concern,
    Conditions,
    Modifier,
    Permission,
    ResearchPurpose,
    Verdict,
    find_objection,
    match_use,
    require_use,
)
from iamata.model.instants import Day, format_day
from iamata.model.reasons import Reason, Refused

HEALTH = Conditions(permission=Permission.HEALTH_RESEARCH)
CONCERNS = {
    "controls": Concern.CONTROLS,
    "population": Concern.POPULATION,
    "gender": Concern.GENDER,
    "vulnerablePopulations": Concern.VULNERABLE,
    "illegalBehavior": Concern.ILLEGAL_BEHAVIOUR,
    "psychologicalTraits": Concern.PSYCHOLOGICAL_TRAITS,
    "notHealth": Concern.NOT_HEALTH,
    "other": Concern.OTHER,
    "secondaryOther": Concern.OTHER,
    "collaboratorRequired": Concern.OTHER,
    "ethicsApprovalRequired": Concern.OTHER,
}
PERMISSIONS = {
    "generalUse": Permission.GENERAL_RESEARCH,
    "hmbResearch": Permission.HEALTH_RESEARCH,
    "diseaseRestrictions": Permission.DISEASE_RESEARCH,
    "populationOriginsAncestry": Permission.ANCESTRY_RESEARCH,
}


def read_conditions(spelled: dict[str, Any]) -> Conditions:
    named = [PERMISSIONS[name] for name in spelled if name in PERMISSIONS]
    modifiers = (Modifier.NOT_FOR_PROFIT_ORGANISATION,) if "nonProfitUse" in spelled else ()
    return Conditions(
        permission=named[0] if named else Permission.NO_RESTRICTION,
        diseases=tuple(spelled.get("diseaseRestrictions", ())),
        modifiers=modifiers,
    )


def read_purpose(spelled: dict[str, Any]) -> ResearchPurpose:
    return ResearchPurpose(
        is_general=spelled.get("generalUse", False),
        is_health=spelled.get("hmbResearch", False),
        is_ancestry=spelled.get("populationOriginsAncestry", False),
        is_methods=spelled.get("methodsResearch", False),
        diseases=tuple(spelled.get("diseaseRestrictions", ())),
        concerns=tuple(CONCERNS[name] for name in spelled if name in CONCERNS),
    )


def test_every_published_case_of_duos_is_matched_as_published(shared_data: Path) -> None:
    published = json.loads((shared_data / "duo" / "match-v4-cases.json").read_text())
    ancestors = published["ontology_ancestors"]

    for case in published["cases"]:
        found = match_use(read_conditions(case["dataset"]), read_purpose(case["purpose"]), ancestors)

        assert found.verdict == Verdict(case["expect"].lower()), case["name"]
        assert all(one.reason for one in found.findings)
    assert len(published["cases"]) > 20


def test_every_code_of_the_ontology_is_known_or_deprecated(shared_data: Path) -> None:
    lines = (shared_data / "duo" / "duo.csv").read_text().splitlines()[1:]
    codes = {line.split(",")[0] for line in lines}

    assert {*map(str, Permission), *map(str, Modifier)} <= codes


@pytest.mark.parametrize(
    ("conditions", "purpose", "expected"),
    [
        (["DUO:0000045"], {"is_for_profit": True}, Verdict.DENY),
        (["DUO:0000046"], {"is_commercial": True}, Verdict.DENY),
        (["DUO:0000018"], {}, Verdict.APPROVE),
        (["DUO:0000018"], {"is_commercial": True}, Verdict.DENY),
        (["DUO:0000044"], {"is_ancestry": True}, Verdict.DENY),
        (["DUO:0000015"], {"is_methods": True}, Verdict.DENY),
        (["DUO:0000016"], {}, Verdict.DENY),
        (["DUO:0000016"], {"is_genetic": True}, Verdict.APPROVE),
        (["DUO:0000022"], {"country": "FR"}, Verdict.APPROVE),
        (["DUO:0000022"], {}, Verdict.DENY),
        (["DUO:0000026"], {"user": "rosa"}, Verdict.APPROVE),
        (["DUO:0000027"], {"project": "other"}, Verdict.DENY),
        (["DUO:0000028"], {"institution": "hospital-a"}, Verdict.APPROVE),
        (["DUO:0000025"], {"until_day": Day(99)}, Verdict.APPROVE),
        (["DUO:0000025"], {"until_day": Day(101)}, Verdict.DENY),
        (["DUO:0000025"], {}, Verdict.DENY),
        (["DUO:0000021"], {}, Verdict.ABSTAIN),
        (["DUO:0000021"], {"agrees_to": (Modifier.ETHICS_APPROVAL,)}, Verdict.APPROVE),
        (["DUO:0000012"], {}, Verdict.ABSTAIN),
        (["DUO:9999999"], {}, Verdict.ABSTAIN),
        (["DUO:9999999", "DUO:0000045"], {"is_for_profit": True}, Verdict.ABSTAIN),
    ],
)
def test_a_further_condition_is_decided_where_the_answer_is_known(
    conditions: list[str], purpose: dict[str, Any], expected: Verdict
) -> None:
    data = Conditions(
        permission=Permission.GENERAL_RESEARCH,
        modifiers=tuple(conditions),
        countries=("FR", "IT"),
        users=("rosa",),
        projects=("heart",),
        institutions=("hospital-a",),
        until_day=Day(100),
    )

    assert match_use(data, ResearchPurpose(is_health=True, **purpose)).verdict is expected


def test_a_purpose_that_names_no_kind_is_left_to_people() -> None:
    assert match_use(HEALTH, ResearchPurpose()).verdict is Verdict.ABSTAIN


def test_a_narrower_disease_may_use_broader_data_and_not_the_reverse() -> None:
    ancestors = {"lung-cancer": ["cancer"]}
    broad = Conditions(permission=Permission.DISEASE_RESEARCH, diseases=("cancer",))
    narrow = Conditions(permission=Permission.DISEASE_RESEARCH, diseases=("lung-cancer",))

    assert (
        match_use(broad, ResearchPurpose(diseases=("lung-cancer",)), ancestors).verdict is Verdict.APPROVE
    )
    assert match_use(narrow, ResearchPurpose(diseases=("cancer",)), ancestors).verdict is Verdict.DENY


def test_diseases_and_their_permission_come_together() -> None:
    with pytest.raises(Refused) as refused:
        Conditions(permission=Permission.HEALTH_RESEARCH, diseases=("cancer",))
    assert refused.value.reason is Reason.MALFORMED


DAYS = st.integers(0, 200).map(Day)
CODES = st.sampled_from([*map(str, Modifier), "DUO:9999999"])
CONDITIONS = st.builds(
    Conditions,
    permission=st.sampled_from(Permission).filter(lambda one: one is not Permission.DISEASE_RESEARCH),
    modifiers=st.lists(CODES, max_size=3).map(tuple),
    until_day=st.none() | DAYS,
    is_judged=st.booleans(),
)
PURPOSES = st.builds(
    ResearchPurpose,
    is_health=st.booleans(),
    is_commercial=st.booleans(),
    agrees_to=st.lists(st.sampled_from(Modifier), max_size=3).map(tuple),
    until_day=st.none() | DAYS,
)


@given(CONDITIONS, PURPOSES, DAYS, DAYS)
def test_time_alone_opens_nothing_and_closes_after_the_last_day(
    conditions: Conditions, purpose: ResearchPurpose, earlier: Day, later: Day
) -> None:
    earlier, later = sorted((earlier, later))

    before = find_objection(conditions, purpose, day=earlier)
    after = find_objection(conditions, purpose, day=later)

    if conditions.until_day is not None and later > conditions.until_day:
        assert format_day(conditions.until_day) in after
    else:
        assert after == before


@given(CONDITIONS, PURPOSES, DAYS)
def test_people_open_what_rules_leave_to_them_and_nothing_else(
    conditions: Conditions, purpose: ResearchPurpose, day: Day
) -> None:
    by_rules = find_objection(msgspec.structs.replace(conditions, is_judged=False), purpose, day=day)
    by_people = find_objection(msgspec.structs.replace(conditions, is_judged=True), purpose, day=day)

    assert by_people == ("" if by_rules.startswith("people have to judge") else by_rules)


def test_a_last_day_is_a_day_of_use_and_people_who_judged_before_do_not_prolong_it() -> None:
    promised = Conditions(
        permission=Permission.HEALTH_RESEARCH,
        modifiers=(Modifier.ETHICS_APPROVAL,),
        until_day=Day(100),
        is_judged=True,
    )
    purpose = ResearchPurpose(is_health=True)

    require_use(promised, purpose, day=Day(100))
    with pytest.raises(Refused) as refused:
        require_use(promised, purpose, day=Day(101))

    assert refused.value.reason is Reason.PURPOSE_NOT_PERMITTED
    assert "until 1970-04-11" in refused.value.detail


@pytest.mark.parametrize("further", [(), (Modifier.ETHICS_APPROVAL,), ("DUO:9999999",)])
def test_people_do_not_judge_away_what_a_rule_denies(further: tuple[str, ...]) -> None:
    conditions = Conditions(
        permission=Permission.HEALTH_RESEARCH,
        modifiers=(Modifier.NON_COMMERCIAL, *further),
        is_judged=True,
    )

    objection = find_objection(
        conditions, ResearchPurpose(is_health=True, is_commercial=True), day=Day(100)
    )

    assert objection == "the data allow no such thing: use without commerce"


@pytest.mark.parametrize("modifier", [Modifier.COUNTRIES, Modifier.USERS, Modifier.INSTITUTIONS])
def test_who_says_no_name_is_not_among_those_named(modifier: Modifier) -> None:
    conditions = Conditions(
        permission=Permission.HEALTH_RESEARCH,
        modifiers=(modifier,),
        countries=("ZZ",),
        users=("",),
        institutions=("",),
    )

    assert find_objection(conditions, ResearchPurpose(is_health=True), day=Day(100))
