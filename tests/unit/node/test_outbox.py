"""A wallet's outbox at a real home: what waits is sent once, whenever the process is killed."""

import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from iamata.consent.terms import Ruling, Terms
from iamata.engines.embedded.engine import read_clock_ms
from iamata.ledger.entries import ConsentStatus, MemberKind
from iamata.ledger.events import ConsentGranted, PatientEnrolled, PatientKeyAdded
from iamata.ledger.tables import CONSENTS, PATIENTS
from iamata.model.ids import MemberId, PatientId
from iamata.model.instants import MS_PER_DAY, MS_PER_MINUTE, Day, Instant, compute_day
from iamata.model.reasons import Reason, Refused
from iamata.node import acts, devices, identities, outbox, wallets
from iamata.node.home import Home, create_home, open_home
from iamata.node.outbox import call_off, decide, send_due
from iamata.node.verification import verify_home
from iamata.stores.outboxes import OUTBOX_FILE, load_outbox, save_outbox
from iamata.stores.wallets import load_wallet
from iamata.workflows import consents
from iamata.workflows.enrolments import CODE_MS, invite_patient
from iamata.workflows.outbox import GrantAct, Outbox

NORTH, SOUTH = MemberId("north-hospital"), MemberId("south-hospital")
FOUNDERS: Final = ((NORTH, "North", MemberKind.HOSPITAL), (SOUTH, "South", MemberKind.HOSPITAL))
TWO_DAYS_MS: Final = 2 * MS_PER_DAY
KILLED: Final = -signal.SIGKILL


def later() -> int:
    """Tell the time of the day after tomorrow: everything that waits is due."""
    return read_clock_ms() + TWO_DAYS_MS


def much_later() -> int:
    """Tell a time at which also what was put off is due."""
    return read_clock_ms() + 2 * TWO_DAYS_MS


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Found a network, and let a patient hold a key at both hospitals since long ago."""
    home = tmp_path / "home"
    create_home(home, "test", FOUNDERS)
    with open_home(home) as opened:
        for member in (NORTH, SOUTH):
            patient = PatientId(opened.get_office(member).author.make_id())
            wallets.enrol_patient(opened, get_folder(home), member=member, patient=patient)
    save_outbox(get_folder(home), Outbox())
    return home


def get_folder(home: Path) -> Path:
    return home / "wallets" / "patient"


def prepare(home: Home, member: MemberId) -> GrantAct:
    """Prepare a grant."""
    now_ms = Instant(read_clock_ms())
    terms = Terms(
        decision=Ruling.PERMIT, purposes=("TREAT",), recorded_ms=now_ms, policy="urn:iamata:test:1"
    )
    until_day = Day(compute_day(now_ms) + 30)
    return wallets.prepare_grant(
        home, get_folder(home.path), member=member, terms=terms, until_day=until_day
    )


def grant_everywhere(home: Home) -> None:
    """Consent at both hospitals."""
    decide(home, get_folder(home.path), [(one, prepare(home, one)) for one in (NORTH, SOUTH)])


def add_device(home: Home) -> None:
    """Let a phone speak at both hospitals."""
    folder, phone = get_folder(home.path), home.path / "wallets" / "phone"
    decide(
        home,
        folder,
        [(one, devices.prepare_device(home, folder, phone, member=one)) for one in (NORTH, SOUTH)],
    )


def count(home: Home, kind: type) -> int:
    """Count the events of a kind."""
    return sum(isinstance(leaf.event, kind) for _, leaf in home.engine.events(0))


def send(path: Path, clock: Callable[[], int]) -> None:
    """Send what is due at a time."""
    with open_home(path, clock=clock) as home:
        for outcome in send_due(home, get_folder(path)):
            assert outcome.refused is None


def test_what_waits_is_nowhere_until_it_is_due_and_then_binds(path: Path) -> None:
    with open_home(path) as home:
        grant_everywhere(home)
        assert send_due(home, get_folder(path)) == []
        assert count(home, ConsentGranted) == 0
        assert load_wallet(get_folder(path)).kept == ()
    assert len(load_outbox(get_folder(path)).waiting) == 2
    verify_home(path, tell=lambda _: None)

    send(path, later)
    with open_home(path, clock=later) as home:
        assert count(home, ConsentGranted) == 1, "the other was put off: together they would be joined"
    send(path, much_later)

    with open_home(path, clock=much_later) as home:
        assert count(home, ConsentGranted) == 2
    assert len(load_wallet(get_folder(path)).kept) == 2
    assert load_outbox(get_folder(path)).waiting == ()
    verify_home(path, tell=lambda _: None)


def run_and_be_killed(path: Path, monkeypatch: pytest.MonkeyPatch, step: str, *, is_before: bool) -> int:
    """Send in a child that is killed at the first call of a step, before it or after; tell how it ended."""
    module, _, name = step.partition(".")
    owner = {"acts": acts, "outbox": outbox, "identities": identities}[module]
    honest = getattr(owner, name)

    def die(*given: object, **named: object) -> None:
        if not is_before:
            honest(*given, **named)
        os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if child == 0:
        monkeypatch.setattr(owner, name, die)
        try:
            send(path, later)
        finally:
            os._exit(3)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("decided", [grant_everywhere, add_device])
@pytest.mark.parametrize("is_before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("step", ["acts.deliver", "outbox.save_outbox", "identities.save_wallet"])
def test_a_process_killed_while_sending_loses_nothing_and_sends_nothing_twice(
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    decided: Callable[[Home], None],
    step: str,
    is_before: bool,  # noqa: FBT001  a parameter
) -> None:
    with open_home(path) as home:
        decided(home)

    assert run_and_be_killed(path, monkeypatch, step, is_before=is_before) == KILLED
    for clock in (later, much_later, much_later):
        send(path, clock)

    with open_home(path, clock=much_later) as home:
        assert count(home, ConsentGranted) + count(home, PatientKeyAdded) == 2
        assert load_outbox(get_folder(path)).waiting == ()
        for kept in load_wallet(get_folder(path)).kept:
            entry = CONSENTS.find(home.engine.snapshot(), kept.consent)
            assert entry is not None
            assert entry.until_day == kept.until_day
    assert verify_home(path, tell=lambda _: None).identities >= 4


def test_an_enrolment_waits_after_one_elsewhere_and_is_sent_once(tmp_path: Path) -> None:
    path = tmp_path / "home"
    create_home(path, "test", FOUNDERS)
    folder = get_folder(path)
    with open_home(path) as home:
        patients = {
            member: PatientId(home.get_office(member).author.make_id()) for member in (NORTH, SOUTH)
        }
        for member, is_sent in ((NORTH, True), (SOUTH, False)):
            act = wallets.prepare_enrolment(home, folder, member=member, patient=patients[member])
            (outcome,) = decide(home, folder, [(member, act)])
            assert outcome.is_sent == is_sent
        assert [one.member for one in load_wallet(folder).identities] == [NORTH]
        with pytest.raises(Refused, match="waits in the outbox"):
            wallets.prepare_enrolment(home, folder, member=SOUTH, patient=patients[SOUTH])
        assert PATIENTS.find(home.engine.snapshot(), patients[SOUTH]) is None

    send(path, later)
    send(path, much_later)

    with open_home(path, clock=much_later) as home:
        assert count(home, PatientEnrolled) == 2
    assert [one.member for one in load_wallet(folder).identities] == [NORTH, SOUTH]


def test_an_enrolment_whose_code_ends_before_its_turn_is_refused_and_nothing_is_kept(
    tmp_path: Path,
) -> None:
    path = tmp_path / "home"
    create_home(path, "test", FOUNDERS)
    folder, codes = get_folder(path), {}
    with open_home(path) as home:
        for member in (NORTH, SOUTH):
            office = home.get_office(member)
            codes[member] = invite_patient(office, PatientId(office.author.make_id()))

    with open_home(path, clock=lambda: read_clock_ms() + CODE_MS - MS_PER_MINUTE) as home:
        first, second = (
            wallets.prepare_enrolment_with_code(home, folder, codes[member]) for member in (NORTH, SOUTH)
        )
        assert codes[SOUTH] not in repr(second)
        assert [one.is_sent for one in decide(home, folder, [(NORTH, first)])] == [True]
        with pytest.raises(Refused, match="the code: it would end before it is sent; --now does not wait"):
            decide(home, folder, [(SOUTH, second)])
        assert load_outbox(folder).waiting == ()
        assert [one.is_sent for one in decide(home, folder, [(SOUTH, second)], is_now=True)] == [True]

    with (
        open_home(path, clock=lambda: read_clock_ms() + CODE_MS + MS_PER_MINUTE) as home,
        pytest.raises(Refused, match="ask for another"),
    ):
        wallets.prepare_enrolment_with_code(home, tmp_path / "another", codes[SOUTH])


def test_what_is_called_off_is_never_sent(path: Path) -> None:
    with open_home(path) as home:
        grant_everywhere(home)
        for one in load_outbox(get_folder(path)).waiting:
            call_off(home, get_folder(path), one.id)

    send(path, later)

    with open_home(path, clock=later) as home:
        assert count(home, ConsentGranted) == 0


def test_what_was_sent_can_no_longer_be_called_off(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_home(path) as home:
        grant_everywhere(home)
    assert run_and_be_killed(path, monkeypatch, "acts.deliver", is_before=False) == KILLED

    with open_home(path, clock=later) as home:
        first, second = sorted(load_outbox(get_folder(path)).waiting, key=lambda one: one.due_ms)
        with pytest.raises(Refused, match="sent before"):
            call_off(home, get_folder(path), first.id)

    assert load_outbox(get_folder(path)).waiting == (second,)


def test_what_an_earlier_attempt_has_brought_to_the_ledger_meanwhile_is_no_refusal(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = consents.accept_grant

    def lose_the_race(*given: Any) -> None:
        honest(*given)
        honest(*given)  # refused: the ledger has this consent

    monkeypatch.setattr(consents, "accept_grant", lose_the_race)
    with open_home(path) as home:
        (outcome,) = decide(home, get_folder(path), [(NORTH, prepare(home, NORTH))])

    assert outcome.is_sent
    assert len(load_wallet(get_folder(path)).kept) == 1
    assert load_outbox(get_folder(path)).waiting == ()
    verify_home(path, tell=lambda _: None)


def test_a_withdrawal_of_what_waits_keeps_it_from_being_sent(path: Path) -> None:
    with open_home(path) as home:
        act = prepare(home, NORTH)
        decide(home, get_folder(path), [(NORTH, act), (SOUTH, prepare(home, SOUTH))])
        wallets.withdraw(home, get_folder(path), consent=act.consent)

    assert [one.member for one in load_outbox(get_folder(path)).waiting] == [SOUTH]


def test_a_withdrawal_of_what_may_be_under_way_does_not_say_that_all_is_well(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest, held = consents.accept_grant, []

    def hold(*given: Any) -> None:
        held.append(given)
        raise Refused(Reason.TOO_SLOW)

    monkeypatch.setattr(consents, "accept_grant", hold)
    with open_home(path) as home:
        act = prepare(home, NORTH)
        decide(home, get_folder(path), [(NORTH, act)])

        with pytest.raises(Refused, match="may put it on the ledger"):
            wallets.withdraw(home, get_folder(path), consent=act.consent)

        assert load_outbox(get_folder(path)).waiting == ()
        honest(*held[0])
        wallets.withdraw(home, get_folder(path), consent=act.consent)
        entry = CONSENTS.find(home.engine.snapshot(), act.consent)
        assert entry is not None
        assert entry.status is ConsentStatus.WITHDRAWN


def test_a_grant_that_is_sent_again_after_its_withdrawal_ends_withdrawn(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = consents.accept_grant

    def bind_and_die(*given: Any) -> None:
        honest(*given)
        os.kill(os.getpid(), signal.SIGKILL)  # before the outbox can forget it

    with open_home(path) as home:
        act = prepare(home, NORTH)
        decide(home, get_folder(path), [(SOUTH, prepare(home, SOUTH)), (NORTH, act)])
    child = os.fork()
    if child == 0:
        monkeypatch.setattr(consents, "accept_grant", bind_and_die)
        send(path, later)
        os._exit(3)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == KILLED

    with open_home(path, clock=later) as home:
        (granted,) = [
            leaf.event for _, leaf in home.engine.events(0) if isinstance(leaf.event, ConsentGranted)
        ]
        box = load_outbox(get_folder(path))
        assert granted.consent in {one.act.consent for one in box.waiting if isinstance(one.act, GrantAct)}
        wallets.withdraw(home, get_folder(path), consent=granted.consent)
    for clock in (later, much_later):
        send(path, clock)

    with open_home(path, clock=much_later) as home:
        entry = CONSENTS.find(home.engine.snapshot(), granted.consent)
        assert entry is not None
        assert entry.status is ConsentStatus.WITHDRAWN
        assert load_outbox(get_folder(path)).waiting == ()


def test_a_custodian_that_posts_a_withdrawn_grant_again_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest, held = consents.accept_grant, []

    def hold_a_copy(*given: Any) -> None:
        held.append(given)
        honest(*given)

    monkeypatch.setattr(consents, "accept_grant", hold_a_copy)
    with open_home(path) as home:
        act = prepare(home, NORTH)
        decide(home, get_folder(path), [(NORTH, act)])
        wallets.withdraw(home, get_folder(path), consent=act.consent)

        with pytest.raises(Refused) as refused:
            honest(*held[0])

        assert refused.value.reason is Reason.CONSENT_ALREADY_EXISTS
        entry = CONSENTS.find(home.engine.snapshot(), act.consent)
        assert entry is not None
        assert entry.status is ConsentStatus.WITHDRAWN


def test_a_custodian_that_does_not_answer_does_not_hold_up_the_others(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest, offset_ms = acts.send_grant, 0

    def answer_in_the_south(place: Any, folder: Path, member: MemberId, act: GrantAct) -> None:
        if member == NORTH:
            raise Refused(Reason.TOO_BUSY)
        honest(place, folder, member, act)

    monkeypatch.setattr(acts, "send_grant", answer_in_the_south)
    begun_ms = read_clock_ms()
    with open_home(path, clock=lambda: begun_ms + offset_ms) as home:
        grant_everywhere(home)
        for day in range(1, 11):
            for minute in range(0, 1440, 5):
                offset_ms = day * MS_PER_DAY + minute * MS_PER_MINUTE
                send_due(home, get_folder(path))
            if count(home, ConsentGranted):
                break

        assert count(home, ConsentGranted) == 1
    assert [one.member for one in load_outbox(get_folder(path)).waiting] == [NORTH]


def test_what_is_refused_when_it_is_due_is_kept_to_be_seen(path: Path) -> None:
    with open_home(path) as home:
        grant_everywhere(home)
    box = load_outbox(get_folder(path))

    def too_late() -> int:
        return read_clock_ms() + 100 * MS_PER_DAY  # the consents' own last day is over

    with open_home(path, clock=too_late) as home:
        outcomes = send_due(home, get_folder(path))
        again = send_due(home, get_folder(path))

    assert [one.refused.reason for one in outcomes if one.refused] == [Reason.CONSENT_ALREADY_EXPIRED]
    assert again == []
    waiting = load_outbox(get_folder(path)).waiting
    assert len(waiting) == len(box.waiting)
    (refused,) = [one for one in waiting if one.refused]
    with open_home(path) as home:
        call_off(home, get_folder(path), refused.id)
    assert [one for one in load_outbox(get_folder(path)).waiting if one.refused] == []


def test_a_refused_act_of_who_is_there_to_hear_it_leaves_nothing(path: Path) -> None:
    with open_home(path) as home:
        act = prepare(home, NORTH)
        decide(home, get_folder(path), [(NORTH, act)])
        (outcome,) = decide(home, get_folder(path), [(NORTH, msgspec.structs.replace(act, salt="A" * 43))])

    assert outcome.refused is not None
    assert outcome.refused.reason is Reason.CONSENT_ALREADY_EXISTS
    assert load_outbox(get_folder(path)).waiting == ()


@pytest.fixture
def folder(path: Path) -> Path:
    """Return a folder in which two acts wait."""
    with open_home(path) as home:
        grant_everywhere(home)
    return get_folder(path)


def test_nobody_else_can_read_an_outbox(folder: Path) -> None:
    assert (folder / OUTBOX_FILE).stat().st_mode & 0o777 == 0o600
    (folder / OUTBOX_FILE).chmod(0o640)

    with pytest.raises(Refused, match="open to others"):
        load_outbox(folder)


def test_every_changed_byte_of_an_outbox_is_noticed(folder: Path) -> None:
    file = folder / OUTBOX_FILE
    content = file.read_bytes()
    for place in range(0, len(content), 7):
        damaged = bytearray(content)
        damaged[place] ^= 1 << place % 8
        file.write_bytes(damaged)
        with pytest.raises(Refused, match="damaged"):
            load_outbox(folder)


def test_a_full_disk_keeps_what_waits(folder: Path) -> None:
    waiting = load_outbox(folder)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, hard))
    try:
        with pytest.raises(Refused, match="STORAGE_FULL"):
            save_outbox(folder, waiting)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert load_outbox(folder) == waiting


def test_an_outbox_says_nothing_of_terms_or_keys_when_it_is_printed(folder: Path) -> None:
    box = load_outbox(folder)

    for one in box.waiting:
        assert isinstance(one.act, GrantAct)
        assert one.act.salt not in repr(one)


def test_a_node_is_asked_about_its_own_custodians_consents_only(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_home(path) as home:
        for member in (NORTH, SOUTH):
            act = prepare(home, member)
            decide(home, get_folder(path), [(member, act)], is_now=True)
        everywhere = wallets.list_consents(home, get_folder(path))
        monkeypatch.setattr(home, "has_desk", lambda member: member == NORTH)

        here = wallets.list_consents(home, get_folder(path))

    assert [entry.custodian for _, entry in everywhere] == [NORTH, SOUTH]
    assert [entry.custodian for _, entry in here] == [NORTH]
