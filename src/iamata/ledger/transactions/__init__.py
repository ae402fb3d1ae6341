"""The protocol's table of contents: every transaction and what carries it out. Append only."""

from collections.abc import Callable
from typing import Any, Final

from iamata.ledger.transaction import Transaction
from iamata.ledger.transactions import (
    access,
    consents,
    datasets,
    emergencies,
    late_emergencies,
    members,
    models,
    patients,
    persons,
    proposals,
    records,
    runs,
    studies,
)

HANDLERS: Final[dict[type[Transaction], Callable[[Any, Any], Any]]] = {
    members.InviteMember: members.invite_member,
    members.ApplyAsMember: members.apply_as_member,
    members.LeaveNetwork: members.leave_network,
    members.RotateSigningKey: members.rotate_signing_key,
    members.RotateSealingKey: members.rotate_sealing_key,
    persons.RegisterPerson: persons.register_person,
    persons.SetRoles: persons.set_roles,
    persons.AddPersonKey: persons.add_person_key,
    persons.RemovePersonKey: persons.remove_person_key,
    persons.RevokePerson: persons.revoke_person,
    patients.EnrolPatient: patients.enrol_patient,
    patients.EnrolCustodialPatient: patients.enrol_custodial_patient,
    patients.AddPatientKey: patients.add_patient_key,
    patients.RemovePatientKey: patients.remove_patient_key,
    patients.TakeOver: patients.take_over,
    proposals.OpenProposal: proposals.open_proposal,
    proposals.CastVote: proposals.cast_vote,
    consents.GrantConsent: consents.grant_consent,
    consents.ReplaceConsent: consents.replace_consent,
    consents.GrantCustodialConsent: consents.grant_custodial_consent,
    consents.ConfirmConsent: consents.confirm_consent,
    consents.RestrictConsent: consents.restrict_consent,
    consents.RestrictForPatient: consents.restrict_for_patient,
    consents.LiftRestriction: consents.lift_restriction,
    consents.WithdrawConsent: consents.withdraw_consent,
    records.AnchorRecords: records.anchor_records,
    records.EraseRecords: records.erase_records,
    access.Disclose: access.disclose,
    access.AnchorReads: access.anchor_reads,
    emergencies.DeclareEmergency: emergencies.declare_emergency,
    emergencies.ReviewEmergency: emergencies.review_emergency,
    late_emergencies.PostLateEmergency: late_emergencies.post_late_emergency,
    studies.ProposeStudy: studies.propose_study,
    studies.ReviewStudy: studies.review_study,
    studies.RevokePermit: studies.revoke_permit,
    datasets.PostDataset: datasets.post_dataset,
    datasets.ConfirmDataset: datasets.confirm_dataset,
    datasets.RetireDataset: datasets.retire_dataset,
    runs.StartRun: runs.start_run,
    runs.AttestRun: runs.attest_run,
    runs.FailRun: runs.fail_run,
    models.RegisterModel: models.register_model,
}
"""Each handler reads checks, then writes, then one event: nothing may refuse after the first write."""

SELF_INTRODUCING: Final = (members.ApplyAsMember,)
"""Transactions whose signer the ledger need not know yet: the handler decides."""

SINCE_RULES_3: Final = (
    studies.ProposeStudy,
    studies.ReviewStudy,
    studies.RevokePermit,
    datasets.PostDataset,
    datasets.ConfirmDataset,
    datasets.RetireDataset,
    runs.StartRun,
    runs.AttestRun,
    runs.FailRun,
    models.RegisterModel,
)
"""Transactions of which older rules know nothing."""
