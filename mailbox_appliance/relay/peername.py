"""Is a certificate made out to the host we meant? Asked of service-identity (RFC 6125, RFC 9525)."""

from __future__ import annotations

import ipaddress

from OpenSSL import SSL


def name_fault(connection: SSL.Connection, host: str) -> str:
    """Why the peer's certificate is not made out to ``host``; "" when it is."""
    import service_identity
    from service_identity.pyopenssl import verify_hostname, verify_ip_address

    try:
        (verify_ip_address if is_address(host) else verify_hostname)(connection, host)
    except service_identity.VerificationError:
        return f"it is made out to {_names(connection)}, not to {host}"
    except (service_identity.CertificateError, service_identity.SubjectAltNameWarning, ValueError) as error:
        return f"the names in it cannot be read ({type(error).__name__})"
    return ""


def _names(connection: SSL.Connection) -> str:
    """The certificate's own names, a few of them, printable."""
    from service_identity.pyopenssl import extract_patterns

    certificate = connection.get_peer_certificate()
    patterns = extract_patterns(certificate) if certificate is not None else []
    names = []
    for pattern in list(patterns)[:5]:
        value = getattr(pattern, "pattern", b"")
        text = value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)
        names.append("".join(c if c.isprintable() else "?" for c in text)[:100])
    return ", ".join(names) or "nobody"


def is_address(host: str) -> bool:
    """Is it an IP address, not a name?"""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
