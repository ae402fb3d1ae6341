"""What leaves: decided, written down before anyone hears of it, and found when the same is asked again.

No record is opened before something on file says yes to the request. A plan is never changed: asked again,
the custodian decides again about the very versions that it lists, and releases all of them or none.
"""

from collections.abc import Iterator

import msgspec

from iamata.consent.decide import decide
from iamata.consent.permits import Permit
from iamata.consent.policy import Policy
from iamata.crypto import hkdf
from iamata.crypto.commitments import SALT_BYTES
from iamata.ledger.bases import AnyBasis, ConsentBasis, EmergencyBasis, PolicyBasis, describe_basis
from iamata.model.ids import RANDOM_ID_BYTES, AccessId, compute_random_id
from iamata.model.instants import compute_day
from iamata.model.reasons import Reason, require
from iamata.ports import LedgerView
from iamata.vault.journal import JournalEntry, JournalKind, append_entries, find_entries
from iamata.vault.opening import ListedRecord, list_facts, list_versions
from iamata.vault.policies import may_permit, read_policy, read_shared_policies
from iamata.vault.sharing import compute_list_root
from iamata.workflows.asking import Asking, use_share_code
from iamata.workflows.messages import AccessDetails, Planned, read_plan
from iamata.workflows.office import Office


class Leaving(msgspec.Struct, frozen=True, kw_only=True):
    """A disclosure that is planned and permitted: the very versions of records that will leave."""

    plan: Planned
    permit: Permit
    listed: tuple[ListedRecord, ...]


def list_leaving(office: Office, view: LedgerView, asking: Asking) -> list[Leaving]:
    """List what a request releases: what was planned for it, where that still stands, else a new plan."""
    day = compute_day(office.tell_time(view))
    policy = read_policy(view, office.custody, asking.patient_id, asking.patient, day=day)
    require(may_permit(policy, asking.describe(), day=day), Reason.NO_CONSENT)
    if plans := find_plans(office, asking):
        return list(permit_again(office, view, asking, policy, plans))
    return plan_disclosures(office, view, asking, policy)


def plan_disclosures(office: Office, view: LedgerView, asking: Asking, policy: Policy) -> list[Leaving]:
    """Decide about all the patient's records at once, and write down what will leave."""
    listed = list_facts(office.custody, asking.patient_id)
    facts = [one.facts for one in listed]
    at_ms = office.tell_time(view)
    shared = read_shared_policies(view, office.custody, listed, day=compute_day(at_ms))
    permits = decide(policy, asking.describe(), facts, at_ms=at_ms, shared=shared).permits
    require(bool(permits), Reason.NOT_FOUND)
    use_share_code(office, asking)
    leaving = [write_plan(office, asking, permit, listed, number) for number, permit in enumerate(permits)]
    append_entries(office.custody, [describe_plan(one.plan) for one in leaving])
    return leaving


def write_plan(
    office: Office, asking: Asking, permit: Permit, listed: list[ListedRecord], number: int
) -> Leaving:
    """Write what one permit releases."""
    covered = tuple(
        one
        for one in listed
        if permit.covers(one.facts.record, patient=asking.patient_id, others=one.others)
    )
    details = AccessDetails(
        access=derive_access_id(asking, number),
        custodian=office.member,
        patient=asking.patient_id,
        recipient=asking.recipient,
        person=asking.request.person,
        purpose=asking.request.purpose,
        basis=describe_basis(choose_basis(asking, permit)),
        list_root=compute_list_root(one.commitment for one in covered),
        records=tuple(one.facts.record for one in covered),
        at_ms=permit.at_ms,
        obligations=permit.obligations,
    )
    plan = Planned(
        details=details,
        salt=office.custody.entropy(SALT_BYTES),
        versions=tuple(one.version for one in covered),
    )
    return Leaving(plan=plan, permit=permit, listed=covered)


def describe_plan(plan: Planned) -> JournalEntry:
    """Put a plan as the journal keeps it."""
    details = plan.details
    return JournalEntry(
        kind=JournalKind.DISCLOSURE,
        patient=details.patient,
        id=details.access,
        time_ms=details.at_ms,
        payload=msgspec.json.encode(plan),
    )


def find_plans(office: Office, asking: Asking) -> list[Planned]:
    """Find what was planned for a request; refuse another question under its id."""
    plans: list[Planned] = []
    while (plan := find_plan(office, derive_access_id(asking, len(plans)))) is not None:
        details, request = plan.details, asking.request
        is_same = (details.patient, details.recipient) == (asking.patient_id, asking.recipient)
        is_same = is_same and (details.person, details.purpose) == (request.person, request.purpose)
        require(is_same, Reason.ACCESS_ALREADY_EXISTS)
        plans.append(plan)
    return plans


def permit_again(
    office: Office, view: LedgerView, asking: Asking, policy: Policy, plans: list[Planned]
) -> Iterator[Leaving]:
    """Decide again about the very versions of each plan; leave out what its basis permits no more."""
    versions = {
        (one.facts.record, one.version): one for one in list_versions(office.custody, asking.patient_id)
    }
    for plan in plans:
        basis, wanted = plan.details.basis, zip(plan.details.records, plan.versions, strict=True)
        listed = tuple(versions[key] for key in wanted if key in versions)
        # A consent that came later may permit the same records: the plan's own is asked first.
        consents = sorted(policy.consents, key=lambda one: f"consent/{one.consent}" != basis)
        ordered = msgspec.structs.replace(policy, consents=tuple(consents))
        facts, at_ms = [one.facts for one in listed], office.tell_time(view)
        shared = read_shared_policies(view, office.custody, listed, day=compute_day(at_ms))
        for permit in decide(ordered, asking.describe(), facts, at_ms=at_ms, shared=shared).permits:
            is_whole = len(permit.records) == len(plan.details.records)
            if is_whole and describe_basis(choose_basis(asking, permit)) == basis:
                yield Leaving(plan=plan, permit=permit, listed=listed)


def find_plan(office: Office, access: AccessId) -> Planned | None:
    """Find the plan of a disclosure of ours, None where there is none."""
    for entry in find_entries(office.custody, access):
        if entry.header.kind is JournalKind.DISCLOSURE:
            return read_plan(entry.payload)
    return None


def choose_basis(asking: Asking, permit: Permit) -> AnyBasis:
    """Name what a permit rests on in the ledger's words."""
    if asking.declaration is not None:
        # Whether a consent stands only a ledger that answers can say; the person answers for what leaves.
        return EmergencyBasis(asking.declaration.payload.emergency)
    if permit.consent is not None:
        return ConsentBasis(permit.consent)
    if isinstance(asking.request.emergency, str):
        return EmergencyBasis(asking.request.emergency)
    return PolicyBasis()


def derive_access_id(asking: Asking, number: int) -> AccessId:
    """Derive a disclosure's id from its request, so that asking again finds it, and nobody else does."""
    info = f"{asking.request.custodian}\x00{asking.recipient}\x00{number}".encode("ascii")
    request = asking.request.access.encode("ascii")
    return AccessId(
        compute_random_id(hkdf.derive(request, salt=b"", info=info, size_bytes=RANDOM_ID_BYTES))
    )
