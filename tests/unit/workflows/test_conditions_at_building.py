"""Conditions on a custodian's data, held against a study's purpose when its dataset is built."""

import msgspec
import pytest

from iamata.consent.data_use import Conditions, Permission, ResearchPurpose
from iamata.model.reasons import Reason, Refused
from iamata.testing.learning import SITES, StudyWorld, write_protocol

SITE = SITES[1]


def test_conditions_on_the_data_keep_a_site_out() -> None:
    world = StudyWorld(patients=12)

    with pytest.raises(Refused) as refused:
        world.build(SITE, Conditions(permission=Permission.ANCESTRY_RESEARCH))

    assert refused.value.reason is Reason.PURPOSE_NOT_PERMITTED
    assert "research on health" in refused.value.detail


def test_a_narrower_disease_is_covered_where_the_conditions_bring_the_broader_ones() -> None:
    protocol = write_protocol(purpose=ResearchPurpose(diseases=("DOID:1324",)))
    world = StudyWorld(patients=12, protocol=protocol)
    broad = Conditions(permission=Permission.DISEASE_RESEARCH, diseases=("DOID:162",))

    with pytest.raises(Refused) as refused:
        world.build(SITE, broad)
    world.build(SITE, msgspec.structs.replace(broad, ancestors={"DOID:1324": ("DOID:162",)}))

    assert refused.value.reason is Reason.PURPOSE_NOT_PERMITTED


def test_what_the_rules_leave_to_people_waits_for_the_custodians_people() -> None:
    world = StudyWorld(patients=12)
    promised = Conditions(permission=Permission.HEALTH_RESEARCH, modifiers=("DUO:0000021",))

    with pytest.raises(Refused) as refused:
        world.build(SITE, promised)
    world.build(SITE, msgspec.structs.replace(promised, is_judged=True))

    assert refused.value.reason is Reason.PURPOSE_NOT_PERMITTED
    assert "ethics approval" in refused.value.detail


def test_no_word_of_people_helps_against_what_the_rules_deny() -> None:
    world = StudyWorld(patients=12)
    denied = Conditions(permission=Permission.ANCESTRY_RESEARCH, is_judged=True)

    with pytest.raises(Refused) as refused:
        world.build(SITE, denied)

    assert refused.value.reason is Reason.PURPOSE_NOT_PERMITTED
