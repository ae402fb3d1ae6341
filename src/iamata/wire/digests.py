"""Digest Fields (RFC 9530): what a body must be. SHA-256 alone is asked for, written and checked."""

import base64
import hashlib
import re
from typing import Final

from iamata.model.reasons import Reason, require

CONTENT_DIGEST: Final = "content-digest"

_SPELLING: Final = re.compile(r"sha-256=:[A-Za-z0-9+/]{43}=:")


def write_content_digest(body: bytes) -> str:
    """Name a body by its SHA-256."""
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode('ascii')}:"


def check_content_digest(field: str, body: bytes) -> None:
    """Refuse a body that is not the one that the field names, and a field that is none."""
    require(_SPELLING.fullmatch(field) is not None, Reason.MALFORMED, "a content digest")
    require(field == write_content_digest(body), Reason.BODY_CHANGED)
