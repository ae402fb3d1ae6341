"""The key with which a home's CometBFT votes: which it is, the next one, and the change to that.

The members appoint the next key by vote; only then does it count. Until the change the old key goes on
voting, and one key is never in two places.
"""

import base64
import binascii
import contextlib
import os
from pathlib import Path
from typing import Final

import msgspec

from iamata.crypto.ed25519 import SEED_BYTES, SigningKey
from iamata.engines.comet.files import spell_validator_key
from iamata.engines.keeping.lock import LedgerLock
from iamata.model.ids import KeyId
from iamata.model.reasons import Reason, Refused, require
from iamata.node.comet_home import COMET_FOLDER, CONFIG_FOLDER, VALIDATOR_KEY_FILE
from iamata.node.configuration import Comet, read_configuration
from iamata.node.home import LEDGER_FOLDER
from iamata.node.keyfiles import KEY_MODE, write_new

NEXT_KEY_FILE: Final = "priv_validator_key.next.json"
FILE_BYTES_MAX: Final = 4_096


class _Secret(msgspec.Struct):
    value: str


class _KeyFile(msgspec.Struct):
    priv_key: _Secret


def find_key(home: Path) -> KeyId:
    """Return the key with which the home's CometBFT votes, or would."""
    return read_key_file(_config(home) / VALIDATOR_KEY_FILE)


def draw_next_key(home: Path) -> KeyId:
    """Draw the next key, or return the one that was drawn already."""
    path = _config(home) / NEXT_KEY_FILE
    if not path.exists():
        seed = os.urandom(SEED_BYTES)
        write_new(path, spell_validator_key(SigningKey.from_seed(seed), seed), mode=KEY_MODE)
    return read_key_file(path)


def change_key(home: Path) -> KeyId:
    """Let the next key vote instead of the old one, which is destroyed; the node must be down."""
    config = _config(home)
    require((config / NEXT_KEY_FILE).exists(), Reason.INPUT_INVALID, "no next key was drawn")
    lock = LedgerLock(home / LEDGER_FOLDER)
    try:
        (config / NEXT_KEY_FILE).replace(config / VALIDATOR_KEY_FILE)
    finally:
        lock.release()
    return find_key(home)


def _config(home: Path) -> Path:
    is_comet = isinstance(read_configuration(home).engine, Comet)
    require(is_comet, Reason.INPUT_INVALID, f"{home} is no validator's home")
    return home / COMET_FOLDER / CONFIG_FOLDER


def read_key_file(path: Path) -> KeyId:
    """Return the key in a file as CometBFT keeps its own, or refuse a damaged one."""
    try:
        with path.open("rb") as file:
            raw = file.read(FILE_BYTES_MAX)
    except OSError as error:
        raise Refused(Reason.HOME_CORRUPT, f"{path.name}: {error.strerror}") from error
    with contextlib.suppress(msgspec.DecodeError, binascii.Error, UnicodeDecodeError):
        secret = base64.b64decode(msgspec.json.decode(raw, type=_KeyFile).priv_key.value, validate=True)
        if len(secret) == 2 * SEED_BYTES:
            return SigningKey.from_seed(secret[:SEED_BYTES]).key_id
    raise Refused(Reason.HOME_CORRUPT, f"{path.name} is damaged")
