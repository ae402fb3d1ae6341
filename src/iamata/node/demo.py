"""The story that `iamata demo` tells: everything in it happens, and every figure was measured.

A regulator and three hospitals found a network. Patients are enrolled, records imported; one patient
consents, is read elsewhere, sees who looked and withdraws; a glass is broken and answered for; one patient
is erased; and in the end the whole home is verified. Whatever comes out otherwise ends the story.
"""

import contextlib
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from iamata.consent.terms import Period, Rule, Ruling, Terms
from iamata.engines.embedded.engine import read_clock_ms
from iamata.fhir.demographics import list_demographics
from iamata.fhir.preparing import Prepared
from iamata.intake.progress import Progress
from iamata.ledger.entries import ReviewOutcome
from iamata.model.ids import ConsentId, MemberId, PatientId, PersonId
from iamata.model.instants import MS_PER_HOUR, Day, Instant, compute_day
from iamata.model.reasons import Reason, Refused, require
from iamata.node import wallets
from iamata.node.demo_stage import (
    LAKE_CLINICIAN,
    MEMBERS,
    NORTH_CLINICIAN,
    NORTH_REVIEWER,
    PATIENT,
    SAMPLE_SEED,
    SOUTH_CLINICIAN,
    STAFF,
    A,
    B,
    C,
    OneHome,
    Story,
    Tell,
    hold,
)
from iamata.node.demo_study import tell_study
from iamata.node.home import create_home, open_home
from iamata.node.importing import import_files
from iamata.node.verification import HomeReport, verify_home
from iamata.sample.writing import write_sample
from iamata.workflows import disclosures, emergencies, erasures, reads, receiving
from iamata.workflows.accesses import CheckedAccess
from iamata.workflows.author import Author

SAMPLE_PATIENTS: Final = 24
CONSENT_DAYS: Final = 365
SHARE_MINUTES: Final = 60
PATIENTS_NEEDED: Final = 3
WHY_GLASS: Final = "Unconscious after a fall; medication and allergies are needed at once."
WHY_JUSTIFIED: Final = "Checked with the ward: the patient was unconscious."


def run_demo(path: Path, *, records: Path | None, tell: Tell) -> dict[str, Any]:
    """Tell the story in a new home, and return what was measured."""
    begun_s = time.perf_counter()
    create_home(path, "Iamata demo", MEMBERS)
    tell(
        "Four organisations found a network: a regulator and three hospitals. One signer orders its blocks."
    )
    with open_home(path) as home:
        story = Story(home=home, tell=tell)
        register_staff(story)
        import_records(story, records)
        alice, broken, erased = choose_patients(story)
        consent = let_patient_consent(story, alice)
        let_clinicians_read(story, alice)
        let_glass_break(story, broken)
        show_who_looked(story)
        withdraw(story, consent)
        erase(story, erased)
        tell_study(story, OneHome(story))
    report = verify_home(path, tell=lambda _: None)
    story.facts["verified"] = describe_verification(report)
    tell(f"The whole home is verified: {describe_counts(story.facts['verified'])}.")
    story.facts["height"], story.facts["app_hash"] = report.ledger.blocks, report.ledger.app_hash
    story.facts["wall_s"] = round(time.perf_counter() - begun_s, 2)
    tell(f"All of this took {story.facts['wall_s']} s.")
    return story.facts


def register_staff(story: Story, *, only: MemberId | None = None) -> None:
    """Introduce clinicians, one of whom may break the glass, and a reviewer."""
    for name, (member, roles) in STAFF.items():
        if only not in {None, member}:
            continue
        identity = wallets.admit_person(story.home, story.find_wallet(name), member=member, roles=roles)
        story.people[name] = PersonId(identity.id)
    if only is None:
        people = f"{len(STAFF)} people of their staff"
        story.tell(f"The hospitals introduce {people}, each with a key of their own.")


def import_records(story: Story, records: Path | None) -> None:
    """Import a sample into each hospital, or somebody's records into the first."""
    with preparing_sources(records, story.tell) as sources:
        for member, source in sources.items():
            import_into(story, member, source)


@contextlib.contextmanager
def preparing_sources(records: Path | None, tell: Tell) -> Iterator[dict[MemberId, Path]]:
    """Say what each hospital imports: a sample, or somebody's records into the first."""
    if records is not None:
        yield {A: records}
        return
    with tempfile.TemporaryDirectory() as folder:
        sample = Path(folder) / "sample"
        write_sample(sample, seed=SAMPLE_SEED, patients=SAMPLE_PATIENTS)
        tell(f"Made {SAMPLE_PATIENTS} synthetic patients, some known to more than one hospital.")
        yield dict(zip((A, B, C), sorted(sample.iterdir()), strict=False))


def import_into(story: Story, member: MemberId, source: Path) -> None:
    """Import one hospital's records, and tell how fast."""
    office = story.home.get_office(member)

    def see(prepared: Prepared) -> None:
        if member == A and prepared.resource_type == "Patient":
            ref = f"Patient/{prepared.resource_id}"
            story.patients[office.compute_pseudonym(ref)] = list_demographics(prepared.body)

    begun_s = time.perf_counter()
    report = import_files(office, [source], progress=Progress(), tell=lambda _: None, see=see)
    seconds = time.perf_counter() - begun_s
    tally = report.tally
    story.facts.setdefault("imports", {})[member] = {
        "records": tally.added,
        "patients": tally.patients_enrolled,
        "problems": len(report.problems),
        "records_per_s": round(tally.added / seconds),
    }
    story.tell(
        f"{member} imports {tally.added:,} records of {tally.patients_enrolled} patients: encrypted, "
        f"labelled, anchored, {tally.added / seconds:,.0f} a second; "
        f"{len(report.problems)} could not be read."
    )


def choose_patients(story: Story) -> tuple[PatientId, PatientId, PatientId]:
    """Choose who consents, for whom the glass is broken, and who is erased."""
    spellings = [spelling for known in story.patients.values() for spelling in known]
    unique = [
        patient
        for patient in sorted(story.patients)
        if any(spellings.count(spelling) == 1 for spelling in story.patients[patient][:1])
    ]
    require(len(unique) >= PATIENTS_NEEDED, Reason.INPUT_INVALID, "the story needs three patients")
    return unique[0], unique[1], unique[2]


def let_patient_consent(story: Story, alice: PatientId) -> ConsentId:
    """Let a patient take over her pseudonym, be asked for in vain, and consent."""
    folder = story.find_wallet(PATIENT)
    wallets.enrol_patient(story.home, folder, member=A, patient=alice)
    story.tell("A patient takes her pseudonym at North Hospital over: from now on only she holds its key.")
    is_refused, _, _ = ask_with_share(story)
    hold(is_refused, "a request before any consent was answered")
    story.facts["refused_before_consent"] = is_refused
    story.tell("A clinician of South Hospital asks for her records and hears: «no such record».")
    terms, until_day = write_terms()
    consent = wallets.grant(story.home, folder, member=A, terms=terms, until_day=until_day)
    story.tell("She consents: South Hospital may read for treatment, for a year, but nothing psychiatric.")
    return consent


def write_terms() -> tuple[Terms, Day]:
    """Write what the patient consents to, and for how long."""
    until_day = Day(compute_day(read_clock_ms()) + CONSENT_DAYS)
    terms = Terms(
        decision=Ruling.PERMIT,
        recipients=(f"member:{B}",),
        purposes=("TREAT",),
        labels=("N", "R"),
        validity=Period(last=until_day),
        recorded_ms=Instant(read_clock_ms()),
        policy="urn:iamata:demo:treatment:1",
        exceptions=(Rule(decision=Ruling.DENY, labels=("PSY",)),),
    )
    return terms, until_day


def let_clinicians_read(story: Story, alice: PatientId) -> None:
    """Let the clinician elsewhere read what she permits, and one at home read one record."""
    is_refused, shared, milliseconds = ask_with_share(story)
    hold(not is_refused, "a request with consent was refused")
    office, person = story.home.get_office(A), story.people[NORTH_CLINICIAN]
    listed = reads.list_records(office, person=person, patient=alice, purpose="TREAT")
    reads.read_records(office, [listed[0].facts.record], person=person, patient=alice, purpose="TREAT")
    story.facts["disclosure"] = {
        "records": shared,
        "of": len(listed),
        "milliseconds": round(milliseconds, 1),
    }
    story.tell(
        f"The clinician asks again, with a new share code, and gets {shared} records in "
        f"{milliseconds:.0f} ms; the ledger knew before the first byte left."
    )
    story.tell(f"Her own clinician at North Hospital lists {len(listed)} records and reads one.")


def let_glass_break(story: Story, patient: PatientId) -> None:
    """Let a privileged clinician find and read a patient in an emergency, and the custodian review it."""
    office, person = story.home.get_office(A), story.people[LAKE_CLINICIAN]
    author = story.get_author(LAKE_CLINICIAN, C)
    search = write_search(author, person, story.patients[patient][0])
    found = emergencies.find_in_emergency(office, search)
    declared = emergencies.declare(author, patient=found, reason=WHY_GLASS)
    request = receiving.ask_in_emergency(
        story.home.get_office(C), custodian=A, person=person, purpose="BTG", emergency=declared.emergency
    )
    shared = fetch(story, request, member=C, person=person)
    emergencies.review(
        story.get_author(NORTH_REVIEWER, A),
        declared.emergency,
        ReviewOutcome.JUSTIFIED,
        reason=WHY_JUSTIFIED,
    )
    story.facts["emergency"] = {"records": shared, "outcome": str(ReviewOutcome.JUSTIFIED)}
    story.tell(
        f"At Lake Hospital a glass is broken for an unconscious patient: {shared} records, the reason "
        "on the ledger as a commitment. North Hospital's reviewer finds it justified."
    )


def write_search(author: Author, person: PersonId, demographics: str) -> str:
    """Sign a search for an unconscious patient."""
    search = author.state(
        emergencies.EmergencySearch,
        custodian=A,
        person=person,
        demographics=demographics,
        reason=WHY_GLASS,
        expires_ms=Instant(read_clock_ms() + MS_PER_HOUR),
    )
    return search.text


def show_who_looked(story: Story) -> None:
    """Let the patient list every access, and check each proof herself."""
    reads.anchor_reads(story.home.get_office(A))
    tell_who_looked(story, list(wallets.list_accesses(story.home, story.find_wallet(PATIENT))))


def tell_who_looked(story: Story, looked: Sequence[CheckedAccess]) -> None:
    """Tell what the patient's wallet found."""
    story.tell("The patient asks who looked, and her wallet checks every answer against the ledger:")
    for one in looked:
        story.tell(
            f"  {one.recipient}, {one.purpose}, {one.records} records, on {one.basis.partition('/')[0]}: "
            f"{'proven by the ledger' if one.is_proven else 'not proven yet'}"
        )
    proven = sum(one.is_proven for one in looked)
    story.facts["accesses"] = {"listed": len(looked), "proven": proven}
    story.tell(f"That is everyone who looked: {len(looked)} accesses, {proven} proven.")


def withdraw(story: Story, consent: ConsentId) -> None:
    """Let the patient withdraw, and show that the next request is refused."""
    wallets.withdraw(story.home, story.find_wallet(PATIENT), consent=consent)
    is_refused, _, _ = ask_with_share(story)
    hold(is_refused, "a request after the withdrawal was answered")
    story.facts["refused_after_withdrawal"] = is_refused
    story.tell("She withdraws, with her key alone. The next request from South Hospital: «no such record».")


def erase(story: Story, patient: PatientId) -> None:
    """Erase a third patient."""
    erased = erasures.erase_patient(story.home.get_office(A), patient)
    hold(erased.shredded.had_key, "the erased patient's key was not there")
    story.facts["erased"] = {"records": erased.shredded.records, "key_destroyed": erased.shredded.had_key}
    story.tell(f"A third patient is erased: the key to {erased.shredded.records} records is gone for good.")


def ask_with_share(story: Story) -> tuple[bool, int, float]:
    """Let the clinician at B ask A with a share code: was it refused, how many records, how long."""
    person = story.people[SOUTH_CLINICIAN]
    share = wallets.share(
        story.home, story.find_wallet(PATIENT), member=A, recipient=B, minutes=SHARE_MINUTES
    )
    begun_s = time.perf_counter()
    request = receiving.ask_with_share(
        story.home.get_office(B), custodian=A, person=person, purpose="TREAT", share=share
    )
    try:
        shared = fetch(story, request, member=B, person=person)
    except Refused as refused:
        if refused.reason is not Reason.NOT_FOUND:
            raise
        return True, 0, 0
    return False, shared, (time.perf_counter() - begun_s) * 1000


def fetch(story: Story, request: str, *, member: MemberId, person: PersonId) -> int:
    """Let hospital A answer a request, open what it releases, confirm it, and count the records."""
    office, asker = story.home.get_office(A), story.home.get_office(member)
    shared = 0
    for release in disclosures.answer_request(office, request):
        received = receiving.receive(asker, release, custodian=A, person=person)
        disclosures.accept_receipt(office, received.receipt)
        shared += len(received.records)
    return shared


def describe_verification(report: HomeReport) -> dict[str, int]:
    """Sum up what was verified."""
    return {
        "blocks": report.ledger.blocks,
        "transactions": report.ledger.transactions,
        "records": sum(one.records for one in report.members),
        "anchors": sum(one.record_anchors + one.read_anchors for one in report.members),
        "journal entries": sum(one.journal_entries for one in report.members),
        "disclosures": sum(one.disclosures for one in report.members),
    }


def describe_counts(counts: dict[str, int]) -> str:
    """Put counts in words."""
    return ", ".join(f"{count:,} {name}" for name, count in counts.items())
