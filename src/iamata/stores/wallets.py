"""A wallet's file: canonical JSON, mode 600, replaced whole or not at all."""

import contextlib
import os
import stat
import tempfile
from pathlib import Path
from typing import Final

import msgspec

from iamata.model.canonical import encode_struct
from iamata.model.reasons import Reason, Refused, require
from iamata.workflows.wallets import Wallet

WALLET_FILE: Final = "wallet.json"
WALLET_MODE: Final = 0o600
WALLET_BYTES_MAX: Final = 64 * 1024 * 1024


def create_wallet(folder: Path) -> Wallet:
    """Make an empty wallet in a folder that has none."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    require(not (folder / WALLET_FILE).exists(), Reason.WALLET_ALREADY_EXISTS, str(folder))
    wallet = Wallet()
    save_wallet(folder, wallet)
    return wallet


def load_wallet(folder: Path) -> Wallet:
    """Read a wallet, or refuse one that is missing, damaged or readable by others."""
    path = folder / WALLET_FILE
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            raw = file.read(WALLET_BYTES_MAX + 1)
    except FileNotFoundError as error:
        raise Refused(Reason.WALLET_NOT_FOUND, str(folder)) from error
    require(mode & 0o077 == 0, Reason.CANNOT_OPEN, f"{path} is open to others: chmod 600 it")
    require(len(raw) <= WALLET_BYTES_MAX, Reason.INPUT_TOO_LARGE, str(path))
    try:
        wallet = msgspec.json.decode(raw, type=Wallet)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(Reason.CANNOT_OPEN, f"{path} is damaged") from error
    return wallet


def save_wallet(folder: Path, wallet: Wallet) -> None:
    """Replace a wallet's file durably; a crash leaves the old one or the new one."""
    descriptor, temporary = tempfile.mkstemp(dir=folder, prefix=".wallet-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), WALLET_MODE)
            file.write(encode_struct(wallet))
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(folder / WALLET_FILE)
    except OSError as error:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise Refused(Reason.STORAGE_FULL, "the wallet could not be written") from error
