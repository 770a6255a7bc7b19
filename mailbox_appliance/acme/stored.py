"""What ACME gave, on disk: ``current.pem`` holds key and chain in one file, so that a crash never parts them.

``certificate.pem`` and ``certificate.key`` beside it are copies for other programs (``[tls] deployed_command``).
Blocking; for worker threads.
"""

from __future__ import annotations

import os

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from mailbox_appliance.acme.disk import read_file, write_file
from mailbox_appliance.acme.pairs import Pair, alternative_names, key_pem, new_key, read_pair, tlsa_of
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.certificates import CertificateTrouble


@dataclass(frozen=True, slots=True)
class Stored:
    """``folder`` is ours alone (0700)."""

    folder: str

    def path(self, name: str) -> str:
        return os.path.join(self.folder, name)

    def load(self) -> Pair | None:
        """What is kept; None when there is nothing. Raises CertificateTrouble when it is damaged."""
        path = self.path("current.pem")
        if not os.path.exists(path):
            return None
        octets = read_file(path)
        return read_pair(octets, octets, chain_path=path, key_path=path)

    def key(self, *, fresh: bool) -> PrivateKeyTypes:
        """The key to order for: the one in use, or for ``fresh`` the announced one; else a new one."""
        if fresh:
            announced = self.announced()
            if announced is not None:
                return announced[0]
        else:
            try:
                found = self.load()
            except CertificateTrouble:
                found = None
            if found is not None:
                return found.key
            if os.path.exists(self.path("waiting.key")):
                try:
                    return load_pem_private_key(read_file(self.path("waiting.key")), None)
                except (ValueError, TypeError, CertificateTrouble):
                    pass
        key = new_key()
        write_file(self.path("waiting.key"), key_pem(key), 0o600)
        return key

    def announce(self, now: float) -> PrivateKeyTypes:
        """Make the key that comes next, so that its TLSA can be published before it is used."""
        key = new_key()
        write_file(self.path("next.key"), key_pem(key), 0o600)
        os.utime(self.path("next.key"), (now, now))
        return key

    def announced(self) -> tuple[PrivateKeyTypes, float] | None:
        """The key that comes next, and since when (epoch seconds); None when none was announced."""
        path = self.path("next.key")
        try:
            return load_pem_private_key(read_file(path), None), os.stat(path).st_mtime
        except (ValueError, TypeError, CertificateTrouble, OSError):
            return None

    def keep(self, chain: bytes, key: PrivateKeyTypes) -> Pair:
        """Write them down and return them as a pair. Raises CertificateTrouble when they do not belong together."""
        private = key_pem(key)
        pair = read_pair(chain, private, chain_path="what the authority sent", key_path="our key")
        write_file(self.path("current.pem"), private + chain, 0o600)
        write_file(self.path("certificate.key"), private, 0o600)
        write_file(self.path("certificate.pem"), chain, 0o644)
        announced = self.announced()
        done = ["waiting.key"]
        if announced is not None and tlsa_of(announced[0]) == pair.tlsa():
            done.append("next.key")
        for name in done:
            if os.path.exists(self.path(name)):
                os.unlink(self.path(name))
        return pair


def signing_request(names: tuple[str, ...], key: PrivateKeyTypes) -> bytes:
    """A CSR (RFC 2986) as ACME wants it: the names as alternative names, no subject (RFC 8555 §7.4)."""
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    request = request.add_extension(alternative_names(names), critical=False)
    return request.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)  # type: ignore[arg-type]  # EC or RSA
