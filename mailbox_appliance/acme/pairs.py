"""A certificate with its chain and key as one value, read out of PEM and checked (RFC 5280, RFC 6125 §6.4)."""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import field

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.certificates import CertificateState, CertificateTrouble


@dataclass(frozen=True, slots=True)
class Pair:
    """A usable certificate. Times are epoch seconds; ``names`` are lower case, with "*." and addresses as written."""

    chain: tuple[x509.Certificate, ...] = field(repr=False)  # the leaf first
    key: PrivateKeyTypes = field(repr=False)
    names: tuple[str, ...]
    issuer: str
    not_before: float
    not_after: float

    @property
    def leaf(self) -> x509.Certificate:
        return self.chain[0]

    def covers(self, name: str) -> bool:
        """Does the certificate speak for this host name (RFC 6125 §6.4: one label under a wildcard)?"""
        name = name.lower().removesuffix(".")
        return name in self.names or "*." + name.partition(".")[2] in self.names

    def tlsa(self) -> str:
        """The data of a TLSA record for this key: DANE-EE, SPKI, SHA-256 (RFC 7671 §5.1)."""
        return tlsa_of(self.key)

    def state(self, source: str, trouble: str = "") -> CertificateState:
        """As ``cert show`` tells it."""
        return CertificateState(self.names, self.issuer, self.not_before, self.not_after, source, trouble)


def tlsa_of(key: PrivateKeyTypes) -> str:
    """``3 1 1 HEX`` of a key: it stays the same over renewals."""
    spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return "3 1 1 " + hashlib.sha256(spki).hexdigest()


def read_pair(chain_pem: bytes, key_pem: bytes, *, chain_path: str, key_path: str) -> Pair:
    """Raises CertificateTrouble: no certificate, no key, a passphrase, or a key that is another's."""
    try:
        chain = tuple(x509.load_pem_x509_certificates(chain_pem))
    except ValueError:
        raise CertificateTrouble(
            f"{chain_path} holds no certificate", "it must be PEM: -----BEGIN CERTIFICATE-----, the chain behind it"
        ) from None
    try:
        key = load_pem_private_key(key_pem, None)
    except TypeError:
        raise CertificateTrouble(
            f"{key_path} is locked with a passphrase", f"write it without: openssl pkey -in {key_path} -out NEW"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise CertificateTrouble(
            f"{key_path} holds no private key that can be read", "it must be PEM: -----BEGIN PRIVATE KEY-----"
        ) from None
    if not isinstance(key, (ec.EllipticCurvePrivateKey, rsa.RSAPrivateKey)):
        raise CertificateTrouble(f"{key_path} holds a key of a kind that mail programs do not know", "use P-256 or RSA")
    if _public(chain[0].public_key()) != _public(key.public_key()):
        raise CertificateTrouble(
            f"the key in {key_path} does not belong to the certificate in {chain_path}",
            "name the key that the certificate was made for; the certificate itself must stand first in its file",
        )
    return Pair(
        chain,
        key,
        _names(chain[0]),
        _issuer(chain[0]),
        chain[0].not_valid_before_utc.timestamp(),
        chain[0].not_valid_after_utc.timestamp(),
    )


def _public(key: object) -> bytes:
    data: bytes = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined]
    return data


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        common = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return tuple(str(attribute.value).lower() for attribute in common)
    names = [name.lower() for name in alternatives.get_values_for_type(x509.DNSName)]
    return (*names, *(str(address) for address in alternatives.get_values_for_type(x509.IPAddress)))


def _issuer(certificate: x509.Certificate) -> str:
    for oid in (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME):
        for attribute in certificate.issuer.get_attributes_for_oid(oid):
            return str(attribute.value)
    return certificate.issuer.rfc4514_string()


def new_key() -> ec.EllipticCurvePrivateKey:
    """P-256: a third of a handshake's work less than with RSA-2048, and every client knows it."""
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: PrivateKeyTypes) -> bytes:
    """The key as PEM (PKCS #8)."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def certificate_pem(*certificates: x509.Certificate) -> bytes:
    """Certificates as PEM, one behind the other."""
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)


def alternative_names(names: tuple[str, ...]) -> x509.SubjectAlternativeName:
    """Host names and addresses as a certificate holds them."""
    general: list[x509.GeneralName] = []
    for name in names:
        try:
            general.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            general.append(x509.DNSName(name))
    return x509.SubjectAlternativeName(general)
