"""[tls]: a certificate of the owner's own, and what others are told about TLS."""

from __future__ import annotations

from mailbox_appliance.config import values
from mailbox_appliance.config.keys.key import Key

TEXTS = {"tls": "A certificate of your own from files. Without it one is ordered ([acme]) or self-made."}

KEYS: tuple[Key, ...] = (
    Key(
        "tls.certificate",
        values.path,
        "",
        "The certificate with its chain, PEM; read again at reload.",
        '"/etc/mailappliance/fullchain.pem"',
    ),
    Key(
        "tls.key",
        values.path,
        "",
        "Its private key, PEM, without a passphrase.",
        '"/etc/mailappliance/privkey.pem"',
    ),
    Key(
        "tls.deployed_command",
        values.command,
        "",
        "A program and its arguments, run without a shell after a new certificate has come into use.",
        '"systemctl reload nginx"',
    ),
    Key(
        "tls.mta_sts",
        values.choice("enforce", "testing", "none"),
        '"testing"',
        "What the MTA-STS policy at listen.https tells other servers about mail to us: enforce (by TLS with a good "
        "certificate or not at all), testing (only report what would fail) or none (withdraw an earlier policy).",
        '"enforce"',
    ),
)
