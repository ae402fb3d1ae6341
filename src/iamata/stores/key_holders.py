"""Key holders: where a node's key-encryption key (KEK) lives and who may use it.

`LocalKeyHolder` has it in the memory of this process; `node` reads it from a file of mode 600 or from the
environment. It may only be used: nothing here returns it, prints it or writes it.
"""

from typing import Final

from iamata.crypto import aead, hkdf
from iamata.model.ids import MemberId
from iamata.model.reasons import Reason, Refused, require

KEK_BYTES: Final = 32
DERIVED_BYTES: Final = 32

_LABEL: Final = b"iamata/1/key-holder/"
_WRAP: Final = b"iamata/1/data-key"


class LocalKeyHolder:
    """A key-encryption key in this process, for one member."""

    __slots__ = ("_kek", "_member", "_wrapping")

    def __init__(self, kek: bytes, *, member: MemberId) -> None:
        require(len(kek) == KEK_BYTES, Reason.INPUT_INVALID, f"the vault's key must have {KEK_BYTES} bytes")
        self._kek = kek
        self._member = member
        self._wrapping = aead.Key(self.derive("wrap"))

    def __repr__(self) -> str:
        return f"LocalKeyHolder({self._member})"

    def wrap(self, data_key: bytes, *, patient: str, nonce: bytes) -> bytes:
        """Seal a patient's data key for storage."""
        return nonce + self._wrapping.seal(nonce, data_key, associated=self._bind(patient))

    def unwrap(self, wrapped: bytes, *, patient: str) -> bytes:
        """Open what `wrap` sealed for this patient, or refuse."""
        nonce, sealed = wrapped[: aead.NONCE_BYTES], wrapped[aead.NONCE_BYTES :]
        if len(nonce) != aead.NONCE_BYTES:
            raise Refused(Reason.CANNOT_OPEN, f"the wrapped key of {patient or 'the member'}")
        try:
            return self._wrapping.open_sealed(nonce, sealed, associated=self._bind(patient))
        except Refused as error:
            raise Refused(Reason.CANNOT_OPEN, f"the wrapped key of {patient or 'the member'}") from error

    def derive(self, purpose: str) -> bytes:
        """Derive 32 bytes that serve one purpose only."""
        info = _LABEL + self._member.encode("ascii") + b"\x00" + purpose.encode("ascii")
        return hkdf.derive(self._kek, salt=b"", info=info, size_bytes=DERIVED_BYTES)

    def _bind(self, patient: str) -> bytes:
        return b"\x00".join((_WRAP, self._member.encode("ascii"), patient.encode("ascii", "replace")))
