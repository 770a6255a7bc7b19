"""[acme]: certificates by order (RFC 8555)."""

from __future__ import annotations

from mailbox_appliance.config import values
from mailbox_appliance.config.keys.key import Key

TEXTS = {
    "acme": "Order certificates (Let's Encrypt or another ACME authority). The section's presence switches it on.",
}

KEYS: tuple[Key, ...] = (
    Key(
        "acme.directory",
        values.secure_url,
        '"https://acme-v02.api.letsencrypt.org/directory"',
        "The authority's directory address.",
        '"https://acme-v02.api.letsencrypt.org/directory"',
    ),
    Key(
        "acme.email",
        values.mail_address,
        "",
        "Where the authority may write about trouble with your certificates.",
        '"ann@example.org"',
    ),
    Key(
        "acme.trust_anchor",
        values.path,
        "",
        "The CA (PEM) which vouches for the authority's own web server, where the system does not know it.",
        '"/etc/mailappliance/authority.pem"',
    ),
    Key(
        "acme.names",
        values.several(values.host_name),
        "[]",
        "The names to put into the certificate; an empty list means the hostname alone.",
        '["mail.example.org", "imap.example.org"]',
    ),
    Key(
        "acme.webroot",
        values.path,
        "",
        "Put the authority's tokens below this folder, for another web server on port 80 to serve.",
        '"/var/www/html"',
    ),
)
