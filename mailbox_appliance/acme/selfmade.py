"""Our own little authority: for local mode, and so that TLS works until ACME has given a certificate (RFC 5280).

The authority's certificate is a file people can import (``ca.pem``); what it signs is renewed long before its end and
whenever the names change. Blocking and quick; for worker threads.
"""

from __future__ import annotations

import datetime
import os

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mailbox_appliance.acme.disk import load_pair_if_there, write_file
from mailbox_appliance.acme.pairs import (
    Pair,
    alternative_names,
    certificate_pem,
    key_pem,
    new_key,
    read_pair,
)
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.certificates import CertificateTrouble

AUTHORITY_DAYS = 3650
LEAF_DAYS = 397  # what Apple's and Mozilla's clients accept at most from anybody
RENEW_DAYS = 60
_DAY = 86400.0


@dataclass(frozen=True, slots=True)
class SelfMade:
    """Where things are. ``folder`` is ours alone (0700)."""

    folder: str

    @property
    def ca_file(self) -> str:
        """The authority's certificate, for people to trust."""
        return os.path.join(self.folder, "ca.pem")

    def _path(self, name: str) -> str:
        return os.path.join(self.folder, name)

    def pair(self, names: tuple[str, ...], now: float, anew: bool = False) -> Pair:
        """A certificate for ``names`` that is good for weeks; what is on disk when it will do, else a new one.

        Raises OSError when the folder cannot be written. Damaged files are made anew.
        """
        authority = self._authority(names[0], now)
        try:
            pair = load_pair_if_there(self._path("certificate.pem"), self._path("certificate.key"))
        except CertificateTrouble:
            pair = None
        wanted = {name.lower() for name in names}
        if (
            pair is not None
            and not anew
            and wanted <= set(pair.names)
            and pair.not_before <= now < pair.not_after - RENEW_DAYS * _DAY
            and _signed_by(pair, authority)
        ):
            return pair
        return self._sign(authority, names, now, pair)

    def _authority(self, name: str, now: float) -> Pair:
        try:
            found = load_pair_if_there(self.ca_file, self._path("ca.key"))
            if found is not None and found.not_before <= now < found.not_after - LEAF_DAYS * _DAY:
                return found
        except CertificateTrouble:
            pass
        key = new_key()
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"mailappliance on {name}"[:64])])
        certificate = (
            _builder(subject, subject, now, AUTHORITY_DAYS)
            .public_key(key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(authority=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        write_file(self._path("ca.key"), key_pem(key), 0o600)
        write_file(self.ca_file, certificate_pem(certificate), 0o644)
        return read_pair(certificate_pem(certificate), key_pem(key), chain_path=self.ca_file, key_path="ca.key")

    def _sign(self, authority: Pair, names: tuple[str, ...], now: float, old: Pair | None) -> Pair:
        key = old.key if old is not None else new_key()
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
        public = key.public_key()
        certificate = (
            _builder(subject, authority.leaf.subject, now, LEAF_DAYS)
            .public_key(public)  # type: ignore[arg-type]  # EC or RSA
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(alternative_names(tuple(name.lower() for name in names)), critical=False)
            .add_extension(_usage(authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.leaf.public_key()),  # type: ignore[arg-type]
                critical=False,
            )
            .sign(authority.key, hashes.SHA256())  # type: ignore[arg-type]
        )
        chain = certificate_pem(certificate, authority.leaf)
        write_file(self._path("certificate.key"), key_pem(key), 0o600)
        write_file(self._path("certificate.pem"), chain, 0o644)
        return read_pair(chain, key_pem(key), chain_path="certificate.pem", key_path="certificate.key")


def _builder(subject: x509.Name, issuer: x509.Name, now: float, days: int) -> x509.CertificateBuilder:
    begin = datetime.datetime.fromtimestamp(now - 3600, datetime.UTC)  # clocks of clients run slow
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + datetime.timedelta(days=days))
    )


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _signed_by(pair: Pair, authority: Pair) -> bool:
    try:
        pair.leaf.verify_directly_issued_by(authority.leaf)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
