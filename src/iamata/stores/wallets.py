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
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Refused(Reason.STORAGE_FULL, f"{folder}: {error.strerror}") from error
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
    except (FileNotFoundError, NotADirectoryError) as error:
        raise Refused(Reason.WALLET_NOT_FOUND, str(folder)) from error
    except OSError as error:
        raise Refused(Reason.CANNOT_OPEN, f"{path}: {error.strerror}") from error
    require(mode & 0o077 == 0, Reason.CANNOT_OPEN, f"{path} is open to others: chmod 600 it")
    require(len(raw) <= WALLET_BYTES_MAX, Reason.INPUT_TOO_LARGE, str(path))
    try:
        wallet = msgspec.json.decode(raw, type=Wallet)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(Reason.CANNOT_OPEN, f"{path} is damaged") from error
    require(encode_struct(wallet) == raw, Reason.CANNOT_OPEN, f"{path} is damaged")
    return wallet


def save_wallet(folder: Path, wallet: Wallet) -> None:
    """Replace a wallet's file durably; a crash leaves the old one or the new one."""
    try:
        descriptor, temporary = tempfile.mkstemp(dir=folder, prefix=".wallet-")
    except OSError as error:
        raise Refused(Reason.STORAGE_FULL, f"the wallet could not be written: {error.strerror}") from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), WALLET_MODE)
            file.write(encode_struct(wallet))
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(folder / WALLET_FILE)
        _sync_folder(folder)
    except OSError as error:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise Refused(Reason.STORAGE_FULL, f"the wallet could not be written: {error.strerror}") from error


def _sync_folder(folder: Path) -> None:
    """Make a new name durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
