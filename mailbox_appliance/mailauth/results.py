"""Authentication-Results (RFC 8601): what we found out, said on top of the message, under our own authserv-id.

authres builds the field. Only domain names and words of ours go into it, so nothing a sender wrote can end it early.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable

from mailbox_appliance.mailauth.arc import ArcResult
from mailbox_appliance.mailauth.dkim import DkimResult
from mailbox_appliance.mailauth.dmarc import DmarcResult
from mailbox_appliance.mailauth.spf import SpfResult

MOST_DKIM = 10
_UNWANTED = re.compile(r"[^A-Za-z0-9 .,:;=@/_+-]+")
_DOMAIN = re.compile(r"[a-z0-9_](?:[a-z0-9._-]{0,253})")
_SELECTOR = re.compile(r"[A-Za-z0-9._-]{1,120}")


def _reason(text: str) -> str | None:
    return _UNWANTED.sub("_", text)[:160].replace(";", ",") or None


def field_value(
    authserv_id: str,
    *,
    spf: Iterable[SpfResult] = (),
    dkim: Iterable[DkimResult] = (),
    dmarc: DmarcResult | None = None,
    arc: ArcResult | None = None,
    iprev: tuple[str, str] | None = None,
) -> str:
    """The value on one line. ``iprev`` is (result, the peer's address) of RFC 8601 §2.7.3."""
    return _value(authserv_id, tuple(spf), tuple(dkim)[:MOST_DKIM], dmarc, arc, iprev)


@functools.lru_cache(maxsize=128)  # the same is found of the same senders again and again
def _value(
    authserv_id: str,
    spf: tuple[SpfResult, ...],
    signatures: tuple[DkimResult, ...],
    dmarc: DmarcResult | None,
    arc: ArcResult | None,
    iprev: tuple[str, str] | None,
) -> str:
    from authres import core

    results = []
    if iprev is not None:
        results.append(core.IPRevAuthenticationResult(result=iprev[0], policy_iprev=iprev[1]))
    for one in spf:
        where = {"smtp_mailfrom" if one.identity == "mailfrom" else "smtp_helo": _domain(one.domain)}
        results.append(core.SPFAuthenticationResult(result=one.result, **{k: v for k, v in where.items() if v}))
    for signature in signatures:
        selector = signature.selector if _SELECTOR.fullmatch(signature.selector) else None
        results.append(
            core.DKIMAuthenticationResult(
                result=signature.result,
                reason=None if signature.result == "pass" else _reason(signature.reason),
                header_d=_domain(signature.domain),
                header_s=selector,
                header_a=signature.algorithm or None,
            )
        )
    if not signatures:
        results.append(core.DKIMAuthenticationResult(result="none"))
    if arc is not None and arc.result != "none":
        results.append(core.AuthenticationResult("arc", result=arc.result, reason=_reason(arc.reason)))
    if dmarc is not None:
        found = core.AuthenticationResult("dmarc", result=dmarc.result, reason=_reason(dmarc.reason))
        domain = _domain(dmarc.domain)
        if domain:
            found.properties.append(core.AuthenticationResultProperty("header", "from", domain))
        results.append(found)
    return core.AuthenticationResultsHeader(None, authserv_id=authserv_id, results=results).header_value()  # type: ignore[no-any-return]


def _domain(text: str) -> str | None:
    return text if _DOMAIN.fullmatch(text) else None


def field(value: str) -> bytes:
    """The whole field with LF line ends, folded between its results."""
    return b"Authentication-Results: " + value.replace("; ", ";\n\t").encode("ascii", "replace") + b"\n"
