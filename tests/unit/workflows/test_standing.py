"""Where studies, datasets and models stand once time has passed, told to everybody alike."""

from iamata.cli.learning import (
    describe_dataset,
    describe_model,
    describe_study,
    spell_overdue,
    spell_standing,
)
from iamata.ledger.entries import Study
from iamata.ledger.tables import STUDIES
from iamata.model.instants import MS_PER_DAY, Instant
from iamata.notebook import frames
from iamata.testing.learning import SITES, StudyWorld
from iamata.workflows import withdrawals
from iamata.workflows.lineages import get_dataset, get_model, trace

LATE, *PUNCTUAL = SITES


def get_study(world: StudyWorld) -> Study:
    """Return the world's study as the ledger has it."""
    study = STUDIES.find(world.world.engine.snapshot(), world.study)
    assert study is not None
    return study


def test_a_custodian_that_misses_its_deadline_is_flagged_to_all() -> None:
    world = StudyWorld(patients=24)
    built = {site: world.build(site) for site in SITES}
    model = world.learn()

    world.world.clock.advance(26 * MS_PER_DAY)
    for site in PUNCTUAL:
        assert withdrawals.look_after(world.offices[site], world.study) is withdrawals.Step.CONFIRMED
    world.world.clock.advance(5 * MS_PER_DAY)

    view, at_ms = world.world.engine.snapshot(), Instant(world.world.clock())
    found = trace(world.world.engine)
    rows = {
        site: describe_dataset(name, get_dataset(view, name), at_ms=at_ms) for site, name in built.items()
    }
    shown = describe_model(view, model, get_model(view, model), at_ms=at_ms)
    assert {site: row["is_overdue"] for site, row in rows.items()} == {site: site == LATE for site in SITES}
    assert (spell_overdue(rows[LATE]), spell_overdue(shown)) == ("active, overdue", "current, overdue")
    noted = frames.list_datasets(view, found, at_ms=at_ms).to_pylist()
    assert {one["custodian"] for one in noted if one["is_overdue"]} == {LATE}
    (learned,) = frames.list_models(view, found, at_ms=at_ms).to_pylist()
    assert learned["is_overdue"]


def test_a_permit_past_its_day_is_told_as_expired() -> None:
    world = StudyWorld(patients=12)
    study = get_study(world)
    last_ms = Instant(MS_PER_DAY * (study.until_day + 1) - 1)

    told = [
        spell_standing(describe_study(world.study, study, at_ms=Instant(one)))
        for one in (last_ms, last_ms + 1)
    ]

    assert told == ["granted", "granted, expired"]
