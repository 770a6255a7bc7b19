"""STATE/link: our own certificate for the link, and with whom we are paired. Blocking: for worker threads.

Both certificates are self-made and pinned: no authority, and no date, can break the link; a new pairing replaces it.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import json
import os
import secrets
from dataclasses import asdict, field

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import NameOID

from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.link import Pairing

_YEARS = 50
_LARGEST = 1 << 16


@dataclass(frozen=True, slots=True)
class OwnKey:
    """Our certificate (DER) and its key (PEM)."""

    certificate: bytes
    key: bytes = field(repr=False)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate."""
        return fingerprint(self.certificate)


def fingerprint(certificate: bytes) -> str:
    """SHA-256 of a certificate (DER), in hex."""
    return hashlib.sha256(certificate).hexdigest()


@dataclass(frozen=True, slots=True)
class LinkFolder:
    """STATE/link (0700, its files 0600)."""

    path: str

    def own(self, name: str, now: float) -> OwnKey:
        """Ours, made at the first call. Raises OSError."""
        chain, key = os.path.join(self.path, "own.pem"), os.path.join(self.path, "own.key")
        try:
            certificate = x509.load_pem_x509_certificate(_read(chain))
            octets = _read(key)
            load_pem_private_key(octets, None)
            return OwnKey(certificate.public_bytes(Encoding.DER), octets)
        except (FileNotFoundError, ValueError):
            pass  # not there yet, or damaged: then it is made anew, and the pairing too
        made = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"link of {name}"[:64])])
        begin = datetime.datetime.fromtimestamp(now - 86_400, datetime.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(made.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(begin + datetime.timedelta(days=365 * _YEARS))
            .sign(made, hashes.SHA256())
        )
        octets = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        write_private(key, octets)
        write_private(chain, certificate.public_bytes(Encoding.PEM))
        return OwnKey(certificate.public_bytes(Encoding.DER), octets)

    def pairing(self) -> Pairing | None:
        """With whom we are paired; None: with nobody yet, or the file is damaged."""
        try:
            return Pairing(**json.loads(_read(os.path.join(self.path, "pairing.json"))))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def keep(self, pairing: Pairing) -> None:
        """From now on with this one, and nobody else. Raises OSError."""
        write_private(os.path.join(self.path, "pairing.json"), json.dumps(asdict(pairing), indent=1).encode())

    def secret(self, *, anew: bool = False) -> str:
        """What the edge says on our port 587; made at the first call. Raises OSError."""
        path = os.path.join(self.path, "edge.secret")
        if not anew:
            try:
                return _read(path).decode("ascii").strip()
            except (FileNotFoundError, ValueError):
                pass
        made = secrets.token_urlsafe(24)
        write_private(path, made.encode("ascii") + b"\n")
        return made

    @property
    def door_path(self) -> str:
        """At the edge: the secret for the store's port 587 in the first line, then where that is."""
        return os.path.join(self.path, "door")

    def read_door(self) -> bytes:
        """The last line of that file; b"" when there is none."""
        try:
            return _read(self.door_path).partition(b"\n")[2].strip()
        except FileNotFoundError:
            return b""

    def write_door(self, secret: str, line: str) -> None:
        """Raises OSError."""
        write_private(self.door_path, f"{secret}\n{line}\n".encode("ascii"))

    def read_list(self) -> bytes:
        """The recipients' list as it was written; b"" when there is none."""
        try:
            with open(os.path.join(self.path, "recipients"), "rb") as file:
                return file.read()
        except FileNotFoundError:
            return b""

    def write_list(self, octets: bytes) -> None:
        """Raises OSError."""
        write_private(os.path.join(self.path, "recipients"), octets)


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read(_LARGEST)


def write_private(path: str, octets: bytes) -> None:
    """Whole or not at all, synced, for our eyes only. Raises OSError."""
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    draft = f"{path}.new"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(draft)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with open(descriptor, "wb") as file:
        file.write(octets)
        file.flush()
        os.fsync(descriptor)
    os.replace(draft, path)
    folder = os.open(os.path.dirname(path), os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
