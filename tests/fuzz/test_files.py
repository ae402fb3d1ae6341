"""Files and sealed things from outside: archives, lines, wallets, keys, releases, rows."""

import contextlib
import hashlib
import io
import lzma
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from iamata.crypto import hpke
from iamata.intake.limits import Limits
from iamata.intake.pipeline import Problem, read_units
from iamata.intake.rules import load_rules
from iamata.ledger.entries import OwnerKind
from iamata.model.canonical import encode_struct
from iamata.model.ids import AccessId, Digest, MemberId, NetworkId, compute_random_id, encode_digest
from iamata.model.instants import Instant
from iamata.model.reasons import Refused
from iamata.node.home import open_custody
from iamata.node.keyfiles import read_key, write_key
from iamata.stores.outboxes import OUTBOX_FILE, load_outbox, save_outbox
from iamata.stores.wallets import create_wallet, load_wallet, save_wallet
from iamata.testing.known import EVERY_PATIENT
from iamata.vault.custody import Custody
from iamata.vault.envelopes import compress, seal_envelope
from iamata.vault.journal import open_entry
from iamata.vault.openings import open_opening
from iamata.vault.rows import open_row
from iamata.vault.sharing import ReleaseContext, open_release
from iamata.workflows.outbox import Outbox, Sent
from iamata.workflows.wallets import Identity, add_identity
from mutations import bend, damage

SLOW_S: Final = 3.0
LINE: Final = b'{"resourceType":"Patient","id":"p1","birthDate":"1980-02-29"}\n'
LIMITS: Final = Limits()
RowT = TypeVar("RowT", bound=msgspec.Struct)
CONTEXT: Final = ReleaseContext(
    access=AccessId(compute_random_id(bytes(16))),
    custodian=MemberId("north-hospital"),
    recipient=MemberId("south-hospital"),
    list_root=Digest(encode_digest(bytes(32))),
)

fuzzed = settings(
    max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)


def make_zip() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.json", LINE)
        archive.writestr("b/c.ndjson", LINE * 3)
    return packed.getvalue()


def make_tar() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in (("a.json", LINE), ("b/c.ndjson", LINE * 3)):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


ARCHIVES: Final = {
    "records.zip": make_zip(),
    "records.tar.xz": lzma.compress(make_tar()),
    "records.ndjson": LINE * 4,
    "records.json": LINE,
}


def attempt(run: Callable[[], object]) -> None:
    """Run something that may refuse; anything else, or taking long, is a failure."""
    begun_s = time.perf_counter()
    with contextlib.suppress(Refused):
        run()
    assert time.perf_counter() - begun_s < SLOW_S


@pytest.mark.parametrize("name", ARCHIVES)
@fuzzed
@given(data=st.data())
def test_a_damaged_file_of_records_is_reported_and_never_raises(
    name: str, data: st.DataObject, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(data.draw(damage((ARCHIVES[name],))))
    begun_s = time.perf_counter()

    for unit in read_units([path], known=EVERY_PATIENT, rules=load_rules(), limits=LIMITS):
        assert not isinstance(unit, Problem) or unit.source

    assert time.perf_counter() - begun_s < SLOW_S


@fuzzed
@given(data=st.data())
def test_a_damaged_wallet_is_refused(data: st.DataObject, tmp_path: Path) -> None:
    if not (tmp_path / "wallet.json").exists():
        identity = Identity(
            network=NetworkId("n"),
            kind=OwnerKind.PERSON,
            member=MemberId("south-hospital"),
            id="x",
            seed=encode_digest(bytes(32)),
        )
        save_wallet(tmp_path, add_identity(create_wallet(tmp_path), identity))
        (tmp_path / "example").write_bytes((tmp_path / "wallet.json").read_bytes())
    example = ((tmp_path / "example").read_bytes(),)
    (tmp_path / "wallet.json").write_bytes(data.draw(damage(example) | bend(example)))

    attempt(lambda: load_wallet(tmp_path))


@fuzzed
@given(data=st.data())
def test_a_damaged_outbox_is_refused(data: st.DataObject, tmp_path: Path) -> None:
    """Also one that somebody has put under a fresh digest."""
    path, sent = (
        tmp_path / OUTBOX_FILE,
        Sent(network=NetworkId("A" * 43), member=MemberId("south-hospital"), at_ms=Instant(1)),
    )
    save_outbox(tmp_path, Outbox(sent=(sent,)))
    whole = (path.read_bytes(),)
    body = whole[0].partition(b"\n")[2]
    changed = data.draw(damage((body,)) | bend((body,)))
    digest = encode_digest(hashlib.sha256(changed).digest()).encode("ascii")
    path.write_bytes(data.draw(damage(whole) | st.just(digest + b"\n" + changed)))

    attempt(lambda: load_outbox(tmp_path))


@fuzzed
@given(data=st.data())
def test_a_damaged_key_file_is_another_key_or_refused(data: st.DataObject, tmp_path: Path) -> None:
    path = tmp_path / "a.key"
    path.unlink(missing_ok=True)
    write_key(path, bytes(range(32)))
    path.write_bytes(data.draw(damage((path.read_bytes(),))))

    attempt(lambda: read_key(path))


@fuzzed
@given(data=st.data())
def test_a_release_that_opens_to_rubbish_is_refused(data: st.DataObject) -> None:
    key = bytes(range(32))
    shared: list[dict[str, Any]] = [{"header": b"{}", "body": b"{}", "salt": bytes(32), "proof": None}]
    plain = data.draw(damage((msgspec.msgpack.encode(shared), msgspec.msgpack.encode([]))))
    packed = data.draw(st.sampled_from((compress(plain), plain)))
    sealed = hpke.seal(hpke.derive_sealing_key(key), packed, info=encode_struct(CONTEXT))

    attempt(lambda: open_release(key, sealed, context=CONTEXT))
    attempt(lambda: open_release(key, data.draw(damage((sealed,))), context=CONTEXT))


@pytest.fixture(scope="session")
def custody(fuzz_home: Path) -> Iterator[Custody]:
    member = MemberId("north-hospital")
    with contextlib.closing(open_custody(fuzz_home / "members" / member, member)) as opened:
        yield opened


@fuzzed
@given(data=st.data())
def test_a_damaged_row_of_a_store_is_refused(custody: Custody, data: st.DataObject) -> None:
    record, body = next(iter(custody.records.store.read_all()))
    entry = next(iter(custody.journal.store.read_all()))
    opening = next(iter(custody.openings.store.read_all()))

    attempt(lambda: open_row(custody, _damage_row(record, data), data.draw(damage((body,)))))
    attempt(lambda: open_entry(custody, _damage_row(entry, data)))
    attempt(lambda: open_opening(custody, _damage_row(opening, data)))


@fuzzed
@given(data=st.data())
def test_a_row_sealed_over_rubbish_is_refused(custody: Custody, data: st.DataObject) -> None:
    opening = next(iter(custody.openings.store.read_all()))
    content = data.draw(damage((msgspec.msgpack.encode(["terms", bytes(32), b"{}"]),)))
    associated = b"\x00".join((b"iamata/1/opening", opening.patient.encode(), opening.name.encode()))
    sealed = seal_envelope(custody.opening_key, content, nonce=bytes(12), associated=associated)

    attempt(lambda: open_opening(custody, msgspec.structs.replace(opening, sealed=sealed)))


def _damage_row(row: RowT, data: st.DataObject) -> RowT:
    """Replace one field by another value of its type, as a damaged file may hold it."""
    field = data.draw(st.sampled_from(row.__struct_fields__))
    value = getattr(row, field)
    fresh: Any
    if isinstance(value, bytes):
        fresh = data.draw(damage((value,)))
    elif isinstance(value, int):
        fresh = data.draw(st.integers(-(2**63), 2**63 - 1))
    else:
        fresh = data.draw(st.text(max_size=30))
    return msgspec.structs.replace(row, **{field: fresh})
