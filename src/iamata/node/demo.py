"""The story that `iamata demo` tells: everything in it happens, and every figure was measured.

A regulator and three hospitals found a network. Patients are enrolled, records imported; one patient
consents, is read elsewhere, sees who looked and withdraws; a glass is broken and answered for; one patient
is erased; and in the end the whole home is verified.
"""

import dataclasses
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from iamata.consent.terms import Rule, Ruling, Terms
from iamata.crypto.ed25519 import SEED_BYTES, SigningKey
from iamata.engines.embedded.engine import read_clock_ms
from iamata.fhir.demographics import list_demographics
from iamata.fhir.preparing import Prepared
from iamata.intake.progress import Progress
from iamata.ledger.entries import MemberKind, ReviewOutcome, Role
from iamata.ledger.transactions.consents import WithdrawConsent
from iamata.ledger.transactions.patients import TakeOver
from iamata.ledger.transactions.persons import RegisterPerson
from iamata.model.ids import ConsentId, MemberId, PatientId, PersonId
from iamata.model.instants import MS_PER_HOUR, Day, Instant, compute_day
from iamata.model.reasons import Reason, Refused
from iamata.node.home import Home, create_home, open_home
from iamata.node.importing import import_files
from iamata.node.verification import HomeReport, verify_home
from iamata.sample.writing import write_sample
from iamata.workflows import accesses, consents, disclosures, emergencies, erasures, reads, receiving, wallets
from iamata.workflows.accesses import CheckedAccess
from iamata.workflows.author import Author
from iamata.workflows.messages import AccessListRequest

SAMPLE_SEED: Final = 17
SAMPLE_PATIENTS: Final = 24
CONSENT_DAYS: Final = 365
A: Final = MemberId("north-hospital")
B: Final = MemberId("south-hospital")
C: Final = MemberId("lake-hospital")
REGULATOR: Final = MemberId("regulator")
MEMBERS: Final = (
    (A, "North Hospital", MemberKind.HOSPITAL),
    (B, "South Hospital", MemberKind.HOSPITAL),
    (C, "Lake Hospital", MemberKind.HOSPITAL),
    (REGULATOR, "Health Data Authority", MemberKind.REGULATOR),
)

Tell = Callable[[str], None]


@dataclasses.dataclass(slots=True)
class Party:
    """Somebody in the story: an id on the ledger and the key that speaks for it."""

    id: str
    author: Author


@dataclasses.dataclass(slots=True)
class Story:
    """What the story has come to so far; `facts` is what `--json` prints."""

    home: Home
    tell: Tell
    facts: dict[str, Any] = dataclasses.field(default_factory=dict)
    people: dict[str, Party] = dataclasses.field(default_factory=dict)
    patients: dict[PatientId, list[str]] = dataclasses.field(default_factory=dict)
    """The imported patients of hospital A, with the demographics that find each in an emergency."""


def run_demo(path: Path, *, records: Path | None, tell: Tell) -> dict[str, Any]:
    """Tell the story in a new home, and return what was measured."""
    begun_s = time.perf_counter()
    create_home(path, "Iamata demo", MEMBERS)
    tell("Four organisations found a network: a regulator and three hospitals. One signer orders its blocks.")
    with open_home(path) as home:
        story = Story(home=home, tell=tell)
        register_staff(story)
        import_records(story, records)
        alice, consent = let_patient_consent(story)
        let_clinician_read(story, alice)
        let_glass_break(story)
        show_who_looked(story, alice)
        withdraw(story, alice, consent)
        erase(story)
    report = verify_home(path, tell=lambda _: None)
    story.facts["verified"] = describe_verification(report)
    tell(f"Everything was verified: {describe_counts(story.facts['verified'])}.")
    tell("One signer ordered this ledger; with CometBFT, several would.")
    story.facts["wall_s"] = round(time.perf_counter() - begun_s, 2)
    tell(f"The demo took {story.facts['wall_s']} s.")
    return story.facts


def register_staff(story: Story) -> None:
    """Introduce clinicians, one of whom may break the glass, and a reviewer."""
    staff = {
        "clinician at A": (A, (Role.CLINICIAN,)),
        "clinician at B": (B, (Role.CLINICIAN,)),
        "emergency clinician at C": (C, (Role.CLINICIAN, Role.EMERGENCY)),
        "reviewer at A": (A, (Role.REVIEWER,)),
    }
    for name, (member, roles) in staff.items():
        office = story.home.get_office(member)
        person = Party(office.author.make_id(), story.home.author(SigningKey.from_seed(os.urandom(SEED_BYTES))))
        office.author.submit(
            RegisterPerson,
            person=PersonId(person.id),
            possession=person.author.prove_possession(f"person/{person.id}"),
            roles=roles,
            sign_in=wallets.draw_sign_in(person.author, name),
        )
        story.people[name] = person
    story.tell(f"The hospitals introduce {len(staff)} people of their staff, each with a key of their own.")


def import_records(story: Story, records: Path | None) -> None:
    """Import a sample into each hospital, or somebody's records into the first."""
    with tempfile.TemporaryDirectory() as folder:
        sources = {A: records} if records else {}
        if records is None:
            write_sample(Path(folder) / "sample", seed=SAMPLE_SEED, patients=SAMPLE_PATIENTS)
            houses = sorted((Path(folder) / "sample").iterdir())
            sources = dict(zip((A, B, C), houses, strict=False))
            story.tell(f"Made {SAMPLE_PATIENTS} synthetic patients, some known to more than one hospital.")
        for member, source in sources.items():
            import_into(story, member, Path(str(source)))


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
        f"{member} imports {tally.added:,} records of {tally.patients_enrolled} patients: encrypted, labelled, "
        f"anchored, {tally.added / seconds:,.0f} a second; {len(report.problems)} could not be read."
    )


def let_patient_consent(story: Story) -> tuple[Party, ConsentId]:
    """Let a patient take over her pseudonym; show that nothing leaves before she consents; let her consent."""
    office = story.home.get_office(A)
    patient = min(story.patients)
    alice = Party(patient, story.home.author(SigningKey.from_seed(os.urandom(SEED_BYTES))))
    office.author.submit(
        TakeOver, patient=patient, possession=alice.author.prove_possession(f"patient/{patient}")
    )
    story.tell("A patient takes her pseudonym at North Hospital over: from now on only she holds its key.")
    story.facts["refused_before_consent"] = ask_at_a(story, alice)[0]
    story.tell("A clinician of South Hospital asks for her records: «no such record». Nobody learns that she exists.")
    terms = Terms(
        decision=Ruling.PERMIT,
        recipients=(f"member:{B}",),
        purposes=("TREAT",),
        labels=("N", "R"),
        recorded_ms=Instant(read_clock_ms()),
        policy="urn:iamata:demo:treatment:1",
        exceptions=(Rule(decision=Ruling.DENY, labels=("PSY",)),),
    )
    salted = wallets.salt_terms(terms, alice.author)
    consent = ConsentId(alice.author.make_id())
    grant = wallets.sign_grant(
        alice.author,
        salted,
        consent=consent,
        patient=patient,
        custodian=A,
        until_day=Day(compute_day(read_clock_ms()) + CONSENT_DAYS),
    )
    consents.accept_grant(office, grant.text, salted)
    story.tell("She consents: South Hospital may read for treatment, for a year, but nothing psychiatric.")
    return alice, consent


def let_clinician_read(story: Story, alice: Party) -> None:
    """Let the clinician elsewhere read what she permits, and one at home read one record."""
    begun_s = time.perf_counter()
    is_refused, received = ask_at_a(story, alice)
    milliseconds = (time.perf_counter() - begun_s) * 1000
    shared = sum(len(one.records) for one in received)
    person = PersonId(story.people["clinician at A"].id)
    office = story.home.get_office(A)
    listed = reads.list_records(office, person=person, patient=PatientId(alice.id), purpose="TREAT")
    ref = listed[0].facts.record
    reads.read_records(office, [ref], person=person, patient=PatientId(alice.id), purpose="TREAT")
    story.facts["disclosure"] = {
        "refused": is_refused,
        "records": shared,
        "of": len(listed),
        "milliseconds": round(milliseconds, 1),
    }
    story.tell(
        f"The clinician asks again with her share code and gets {shared} of {len(listed)} records in "
        f"{milliseconds:.0f} ms, on the ledger before the first byte left. Her own clinician reads one at home."
    )


def let_glass_break(story: Story) -> None:
    """Let a privileged clinician find and read a patient in an emergency, and the custodian review it."""
    office, c = story.home.get_office(A), story.home.get_office(C)
    person = story.people["emergency clinician at C"]
    patient = max(patient for patient, spellings in story.patients.items() if spellings)
    search = person.author.state(
        emergencies.EmergencySearch,
        custodian=A,
        person=PersonId(person.id),
        demographics=story.patients[patient][0],
        reason="Unconscious after a fall; medication and allergies are needed at once.",
        expires_ms=Instant(read_clock_ms() + MS_PER_HOUR),
    )
    found = emergencies.find_in_emergency(office, search.text)
    declared = emergencies.declare(person.author, patient=found, reason="Unconscious after a fall, on blood thinners?")
    request = receiving.ask_in_emergency(
        c, custodian=A, person=PersonId(person.id), purpose="BTG", emergency=declared.emergency
    )
    releases = disclosures.answer_request(office, request)
    received = [receiving.receive(c, one, custodian=A, person=PersonId(person.id)) for one in releases]
    for one in received:
        disclosures.accept_receipt(office, one.receipt)
    emergencies.review(
        story.people["reviewer at A"].author,
        declared.emergency,
        ReviewOutcome.JUSTIFIED,
        reason="Checked with the ward: the patient was unconscious.",
    )
    shared = sum(len(one.records) for one in received)
    story.facts["emergency"] = {"records": shared, "outcome": str(ReviewOutcome.JUSTIFIED)}
    story.tell(
        f"At Lake Hospital a glass is broken for an unconscious patient: {shared} records, the reason on the "
        "ledger as a commitment. North Hospital's reviewer finds it justified."
    )


def show_who_looked(story: Story, alice: Party) -> None:
    """Let the patient list every access, and check each proof herself."""
    office = story.home.get_office(A)
    reads.anchor_reads(office)
    looked = list_accesses(story, alice)
    for one in looked:
        story.tell(
            f"  {one.recipient}, {one.purpose}, {one.records} records, on {one.basis.partition('/')[0]}: "
            f"{'proven by the ledger' if one.is_proven else 'not proven yet'}"
        )
    story.facts["accesses"] = {"listed": len(looked), "proven": sum(one.is_proven for one in looked)}
    story.tell(f"That is everyone who looked: {len(looked)} accesses, {story.facts['accesses']['proven']} proven.")


def withdraw(story: Story, alice: Party, consent: ConsentId) -> None:
    """Let the patient withdraw, and show that the next request is refused."""
    alice.author.submit(WithdrawConsent, consent=consent)
    is_refused, _ = ask_at_a(story, alice)
    story.facts["refused_after_withdrawal"] = is_refused
    story.tell("She withdraws, with her key alone. The next request from South Hospital: «no such record».")


def erase(story: Story) -> None:
    """Erase a third patient."""
    office = story.home.get_office(A)
    patient = sorted(story.patients)[len(story.patients) // 2]
    erased = erasures.erase_patient(office, patient)
    story.facts["erased"] = {"records": erased.shredded.records, "key_destroyed": erased.shredded.had_key}
    story.tell(f"A third patient is erased: the key to {erased.shredded.records} records is destroyed, with a receipt.")


def ask_at_a(story: Story, patient: Party) -> tuple[bool, list[receiving.Received]]:
    """Let the clinician at B ask A with a share code of the patient's; tell whether A refused."""
    office, b = story.home.get_office(A), story.home.get_office(B)
    person = PersonId(story.people["clinician at B"].id)
    share = wallets.write_share_code(
        patient.author,
        custodian=A,
        patient=PatientId(patient.id),
        recipient=B,
        until_ms=read_clock_ms() + MS_PER_HOUR,
    )
    request = receiving.ask_with_share(b, custodian=A, person=person, purpose="TREAT", share=share)
    try:
        releases = disclosures.answer_request(office, request)
    except Refused as refused:
        if refused.reason is not Reason.NOT_FOUND:
            raise
        return True, []
    received = [receiving.receive(b, one, custodian=A, person=person) for one in releases]
    for one in received:
        disclosures.accept_receipt(office, one.receipt)
    return False, received


def list_accesses(story: Story, patient: Party) -> list[CheckedAccess]:
    """Ask hospital A who looked, and check its answer as the patient's wallet does."""
    office = story.home.get_office(A)
    asked = patient.author.state(
        AccessListRequest,
        custodian=A,
        patient=PatientId(patient.id),
        nonce=patient.author.make_id(),
        expires_ms=Instant(read_clock_ms() + MS_PER_HOUR),
    )
    proofs = accesses.list_accesses(office, asked.text)
    return list(accesses.check_accesses(proofs, story.home.engine.genesis, custodian=A))


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
