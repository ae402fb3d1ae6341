"""Turn the references inside a bundle into `Type/id`, touching no other byte of the resources.

R4 2.36.4 (references in bundles) and 3.1.0.10.2 (conditional references). Bodies are compact JSON, in
which `"reference":"` can only be a key and its string, because a quote inside a string is escaped.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import unquote

import msgspec

from iamata.fhir.resources import Identifier
from iamata.model.reasons import Reason, Refused

FindIdentifier = Callable[[str, str | None, str], Sequence[str]]
"""List the ids of the records of a type with an identifier: (type, system or None for any, value)."""

_LITERAL: Final = re.compile(rb'"(reference|url)":"([^"]*)"')
_CONDITIONAL: Final = re.compile(r"([A-Za-z]+)\?identifier=([^&]+)")


class NotYetKnown(Refused):
    """What a record refers to is not here yet; a file read later may bring it."""


class References:
    """What the references of one bundle mean, learnt from its entries and from what is already kept."""

    def __init__(self, find_identifier: FindIdentifier) -> None:
        self._find_identifier = find_identifier
        self._targets: dict[str, str] = {}
        self._identified: dict[tuple[str, str | None, str], list[str]] = defaultdict(list)
        self._answers: dict[str, dict[bytes, bytes]] = defaultdict(dict)

    def add_target(self, name: str, target: str) -> None:
        """Let a full URL, or an id that its record will not keep, mean `Type/id`."""
        self._targets[name] = target

    def add_identifiers(
        self, resource_type: str, resource_id: str, identifiers: Sequence[Identifier]
    ) -> None:
        """Let conditional references find an entry of this very bundle."""
        for system, value in identifiers:
            self._identified[resource_type, system, value].append(resource_id)
            self._identified[resource_type, None, value].append(resource_id)

    def resolve(self, body: bytes, *, base: str) -> bytes:
        """Rewrite a compact body's references, seen from an entry on the server `base` (or nowhere)."""
        answers = self._answers[base]

        def rewrite(match: re.Match[bytes]) -> bytes:
            token = match[0]
            answer = answers.get(token)
            if answer is None:
                answer = answers[token] = self._rewrite(match, base)
            return answer

        return _LITERAL.sub(rewrite, body)

    def find_one(self, query: str) -> str | None:
        """Find the one record that `Type?identifier=system|value` names: its id, or None."""
        match = _CONDITIONAL.fullmatch(query)
        if match is None:
            raise Refused(Reason.REFERENCE_UNRESOLVED, "only identifiers can be searched for")
        system, bar, value = unquote(match[2]).rpartition("|")
        key = (match[1], system if bar else None, value)
        # What is kept comes first: a bundle imported again must mean the same records as before.
        found = sorted(dict.fromkeys(self._find_identifier(*key) or self._identified.get(key, ())))
        if len(found) > 1:
            raise Refused(Reason.REFERENCE_UNRESOLVED, "several have the identifier")
        return found[0] if found else None

    def _rewrite(self, match: re.Match[bytes], base: str) -> bytes:
        name, spelled = match[1], match[2]
        if name == b"url" and not spelled.startswith(b"urn:"):
            return match[0]
        literal = _read_string(spelled)
        target = self._targets.get(literal)
        if target is None and name == b"reference":
            target = self._resolve_stranger(literal, base)
        return match[0] if target is None else b'"%b":%b' % (name, msgspec.json.encode(target))

    def _resolve_stranger(self, literal: str, base: str) -> str | None:
        """Find what no entry is called; None leaves the reference as it stands."""
        if literal.startswith(("urn:uuid:", "urn:oid:")):
            raise Refused(Reason.REFERENCE_UNRESOLVED, "no entry has the full URL")
        if base and literal.startswith(base):
            return literal.removeprefix(base)
        if "?" in literal and not literal.startswith(("#", "http:", "https:", "urn:")):
            found = self.find_one(literal)
            if found is None:
                raise NotYetKnown(Reason.REFERENCE_UNRESOLVED, "nothing has the identifier")
            return f"{literal.partition('?')[0]}/{found}"
        return None


class PresentReferences(References):
    """What references mean inside one bundle; those that lead out of it stay as they are written."""

    def __init__(self) -> None:
        super().__init__(lambda _type, _system, _value: ())

    def _resolve_stranger(self, literal: str, base: str) -> str | None:
        return literal.removeprefix(base) if base and literal.startswith(base) else None


def _read_string(spelled: bytes) -> str:
    """Read the inside of a JSON string; one that holds an escaped quote is no reference."""
    try:
        return (
            msgspec.json.decode(b'"' + spelled + b'"', type=str) if b"\\" in spelled else spelled.decode()
        )
    except ValueError as error:
        raise Refused(Reason.REFERENCE_UNRESOLVED, "malformed reference") from error
