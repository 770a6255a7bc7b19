"""Keys and certificates on disk: written whole or not at all, keys for our eyes only. Blocking: for worker threads."""

from __future__ import annotations

import contextlib
import os

from mailbox_appliance.acme.pairs import Pair, read_pair
from mailbox_appliance.ports.certificates import CertificateTrouble

LARGEST = 1 << 20  # octets of a certificate or key file that are read


def read_file(path: str) -> bytes:
    """Raises CertificateTrouble, in the owner's words."""
    try:
        with open(path, "rb") as file:
            return file.read(LARGEST)
    except FileNotFoundError:
        raise CertificateTrouble(f"{path} does not exist", "name the right file") from None
    except PermissionError:
        raise CertificateTrouble(
            f"{path} may not be read by this service", f"let its user read it (chgrp or setfacl on {path})"
        ) from None
    except OSError as error:
        raise CertificateTrouble(f"{path} cannot be read: {error.strerror}", "name a file that can be read") from None


def load_pair(chain_path: str, key_path: str) -> Pair:
    """Raises CertificateTrouble."""
    return read_pair(read_file(chain_path), read_file(key_path), chain_path=chain_path, key_path=key_path)


def load_pair_if_there(chain_path: str, key_path: str) -> Pair | None:
    """None when either file is missing; raises CertificateTrouble when they are damaged."""
    if not (os.path.exists(chain_path) and os.path.exists(key_path)):
        return None
    return load_pair(chain_path, key_path)


def write_file(path: str, octets: bytes, mode: int) -> None:
    """Put ``octets`` at ``path`` with exactly ``mode``, synced, replacing what was there. Raises OSError."""
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    draft = f"{path}.new"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(draft)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    try:
        os.fchmod(descriptor, mode)
        with open(descriptor, "wb", closefd=False) as file:
            file.write(octets)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(draft, path)
    folder = os.open(os.path.dirname(path), os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
