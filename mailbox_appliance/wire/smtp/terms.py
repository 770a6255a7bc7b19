"""What a server offers on which port, as tables: services and capabilities.

RFC 5321 §4.1.1.1 (EHLO keywords), RFC 6409 §4.3 (submission authenticates), RFC 8314 (implicit TLS), RFC 3207 §4,
RFC 2033 (LMTP), RFC 9422 (LIMITS), RFC 8689 (REQUIRETLS), RFC 4865 (FUTURERELEASE); PRDR (draft-hall-prdr), PIPECONNECT
and XCLIENT as Exim and Postfix speak them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.wire.mechanisms import PASSWORDS


@dataclass(frozen=True, slots=True)
class Service:
    """One kind of port. A new service is a new row of SERVICES."""

    name: str
    implicit_tls: bool  # TLS before the first octet
    offers_tls: bool  # STARTTLS
    needs_tls: bool  # 530 before it
    offers_auth: bool
    needs_auth: bool
    lmtp: bool = False  # LHLO, and a reply for each recipient after the content


SERVICES: dict[str, Service] = {
    row.name: row
    for row in (
        #       name           implicit offers_tls needs_tls offers_auth needs_auth
        Service("smtp", False, True, False, False, False),
        Service("submission", False, True, True, True, True),
        Service("submissions", True, False, True, True, True),
        Service("link", False, False, False, False, False),  # the other half of a pair, on a line that is proven
        Service("lmtp", False, False, False, False, False, lmtp=True),
    )
}


@dataclass(frozen=True, slots=True)
class Terms:
    """What one session is told. Octets and counts; ``message_size`` 0 = no limit."""

    service: Service
    hostname: str
    tls_available: bool = True
    message_size: int = 0
    command_line: int = 2048  # RFC 5321 §4.5.3.1.4 asks for 512 and more
    auth_line: int = 12_288  # RFC 4954 §4
    errors: int = 20
    stalls: int = 0  # commands in a row that bring no message nearer; 0 = any number
    recipients: int = 0  # in one transaction; 0 = not told
    hold: int = 0  # seconds for which a submitted message may be held; 0 = not offered
    hold_until: str = ""  # the same as a moment, RFC 3339
    pipeconnect: bool = False  # may talk before the greeting the next time
    mechanisms: tuple[str, ...] = PASSWORDS  # of AUTH
    xclient: bool = False  # may say who the client really is


Offered = Callable[[Terms, bool], str | None]  # (terms, under TLS) → argument; None = not offered now

# keyword: when it is offered, and with what behind it; in the order of the EHLO reply.
CAPABILITIES: dict[str, Offered] = {
    "SIZE": lambda terms, tls: str(terms.message_size) if terms.message_size else "",
    "8BITMIME": lambda terms, tls: "",
    "PIPELINING": lambda terms, tls: "",
    "ENHANCEDSTATUSCODES": lambda terms, tls: "",
    "CHUNKING": lambda terms, tls: "",
    "SMTPUTF8": lambda terms, tls: "",
    "PRDR": lambda terms, tls: None if terms.service.lmtp else "",
    "LIMITS": lambda terms, tls: f"RCPTMAX={terms.recipients}" if terms.recipients else None,
    "REQUIRETLS": lambda terms, tls: "" if tls else None,
    "FUTURERELEASE": lambda terms, tls: (
        f"{terms.hold} {terms.hold_until}" if terms.hold and terms.service.needs_auth and tls else None
    ),
    "PIPECONNECT": lambda terms, tls: "" if terms.pipeconnect and not tls else None,
    "XCLIENT": lambda terms, tls: "NAME ADDR PORT PROTO HELO" if terms.xclient else None,
    "DSN": lambda terms, tls: "",
    "STARTTLS": lambda terms, tls: "" if terms.service.offers_tls and terms.tls_available and not tls else None,
    "AUTH": lambda terms, tls: " ".join(terms.mechanisms) if terms.service.offers_auth and tls else None,
}


@functools.lru_cache(maxsize=64)
def capabilities(terms: Terms, tls: bool) -> tuple[tuple[str, str], ...]:
    """What is offered now: keyword and argument, in order."""
    offers = ((keyword, offered(terms, tls)) for keyword, offered in CAPABILITIES.items())
    return tuple((keyword, argument) for keyword, argument in offers if argument is not None)


@functools.lru_cache(maxsize=64)
def offered_keywords(terms: Terms, tls: bool) -> frozenset[str]:
    """The keywords alone: which parameters MAIL and RCPT may carry."""
    return frozenset(keyword for keyword, _ in capabilities(terms, tls))
