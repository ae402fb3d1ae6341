"""Nothing opens without a permit that names it, and only what was decided on opens."""

import msgspec
import pytest

from iamata.crypto.hpke import derive_sealing_key
from iamata.model.ids import (
    AccessId,
    AnchorId,
    Digest,
    MemberId,
    SealingKey,
    compute_random_id,
    decode_digest,
)
from iamata.model.reasons import Refused
from iamata.testing.entropy import derive_bytes
from iamata.testing.vault_samples import ANNA, BORIS, forge, make_record, permit_all
from iamata.vault.anchoring import is_proven, plan_anchor, settle_anchor
from iamata.vault.custody import Custody
from iamata.vault.opening import list_facts, open_records
from iamata.vault.sealing import seal
from iamata.vault.sharing import ReleaseContext, compute_list_root, open_release, share

ACCESS = AccessId(compute_random_id(bytes(16)))
ANCHOR = AnchorId(compute_random_id(bytes(15) + b"\x01"))
PRIVATE = derive_bytes("recipient", length=32)


def make_context(list_root: Digest) -> ReleaseContext:
    return ReleaseContext(
        access=ACCESS,
        custodian=MemberId("st-marien"),
        recipient=MemberId("uni-klinik"),
        list_root=list_root,
    )


def test_a_record_that_the_permit_does_not_name_stays_shut(custody: Custody) -> None:
    seal(custody, [[make_record("1"), make_record("2", labels=("R", "PSY"))]])
    listed = list_facts(custody, ANNA)
    permit = permit_all(listed)

    assert permit.records == ("Observation/1",)
    with pytest.raises(Refused, match="PERMIT_DOES_NOT_COVER"):
        open_records(custody, permit, listed)


def test_a_permit_of_one_patient_opens_nothing_of_another(custody: Custody) -> None:
    seal(custody, [[make_record("1"), make_record("2", patient=BORIS)]])
    anna, boris = list_facts(custody, ANNA), list_facts(custody, BORIS)
    permit = permit_all([*anna, *boris])

    with pytest.raises(Refused, match="PERMIT_DOES_NOT_COVER"):
        open_records(custody, permit, boris)
    with pytest.raises(Refused, match="NOT_FOUND"):
        list(open_records(custody, permit, [forge(boris[0], patient=ANNA)]))


def test_a_version_that_came_after_the_decision_is_not_opened(custody: Custody) -> None:
    seal(custody, [[make_record("1", text=b"harmless")]])
    listed = list_facts(custody, ANNA)
    permit = permit_all(listed)
    seal(custody, [[make_record("1", text=b"grave", labels=("R", "PSY"))]])

    opened = list(open_records(custody, permit, listed))

    assert b"harmless" in opened[0].body
    with pytest.raises(Refused, match="PERMIT_DOES_NOT_COVER"):
        list(open_records(custody, permit, [forge(listed[0], version=2)]))


def test_a_record_that_is_not_there_is_not_found(custody: Custody) -> None:
    seal(custody, [[make_record("1")]])
    listed = list_facts(custody, ANNA)

    with pytest.raises(Refused, match="NOT_FOUND"):
        open_records(custody, permit_all(listed), [forge(listed[0], version=9)])


def test_a_release_opens_at_its_recipient_with_proofs_that_hold(custody: Custody) -> None:
    records = [make_record(str(number)) for number in range(5)]
    seal(custody, [records])
    anchor = plan_anchor(custody.records, ANCHOR)
    assert anchor is not None
    settle_anchor(custody.records, anchor)
    seal(custody, [[make_record("late")]])
    listed = list_facts(custody, ANNA)
    context = make_context(compute_list_root(one.commitment for one in listed))

    sealed = share(custody, permit_all(listed), listed, context=context, key=derive_sealing_key(PRIVATE))
    shared = open_release(PRIVATE, sealed, context=context)

    assert [one.body for one in shared] == [*(one.body for one in records), make_record("late").body]
    assert shared[5].proof is None
    for one in shared[:5]:
        assert one.proof is not None
        assert is_proven(one.proof, decode_digest(one.compute_commitment()), root=anchor.root)


def test_a_release_is_bound_to_access_recipient_list_and_key(custody: Custody) -> None:
    seal(custody, [[make_record("1")]])
    listed = list_facts(custody, ANNA)
    context = make_context(compute_list_root(one.commitment for one in listed))
    key: SealingKey = derive_sealing_key(PRIVATE)
    sealed = share(custody, permit_all(listed), listed, context=context, key=key)

    strangers = [
        msgspec.structs.replace(context, access=AccessId(ANCHOR)),
        msgspec.structs.replace(context, recipient=MemberId("other")),
        make_context(compute_list_root([])),
    ]
    for other in strangers:
        with pytest.raises(Refused, match="CANNOT_OPEN"):
            open_release(PRIVATE, sealed, context=other)
    with pytest.raises(Refused, match="CANNOT_OPEN"):
        open_release(derive_bytes("other", length=32), sealed, context=context)


def test_only_the_list_that_the_ledger_was_told_of_is_released(custody: Custody) -> None:
    seal(custody, [[make_record("1"), make_record("2")]])
    listed = list_facts(custody, ANNA)
    context = make_context(compute_list_root([listed[0].commitment]))

    with pytest.raises(Refused, match="PERMIT_DOES_NOT_COVER"):
        share(custody, permit_all(listed), listed, context=context, key=derive_sealing_key(PRIVATE))
