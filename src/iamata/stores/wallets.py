"""A wallet's file: canonical JSON, for its owner alone."""

from pathlib import Path
from typing import Final

import msgspec

from iamata.model.canonical import encode_struct
from iamata.model.reasons import Reason, Refused, require
from iamata.stores.private_files import read_private, replace_private
from iamata.workflows.wallets import Wallet

WALLET_FILE: Final = "wallet.json"
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
        raw = read_private(path, bytes_max=WALLET_BYTES_MAX)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise Refused(Reason.WALLET_NOT_FOUND, str(folder)) from error
    except OSError as error:
        raise Refused(Reason.CANNOT_OPEN, f"{path}: {error.strerror}") from error
    try:
        wallet = msgspec.json.decode(raw, type=Wallet)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(Reason.CANNOT_OPEN, f"{path} is damaged") from error
    require(encode_struct(wallet) == raw, Reason.CANNOT_OPEN, f"{path} is damaged")
    return wallet


def save_wallet(folder: Path, wallet: Wallet) -> None:
    """Replace a wallet's file durably; a crash leaves the old one or the new one."""
    replace_private(folder / WALLET_FILE, encode_struct(wallet), what="the wallet")
