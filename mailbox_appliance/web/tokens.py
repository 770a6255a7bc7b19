"""Port 80: an ACME authority's tokens (RFC 8555 §8.3)."""

from __future__ import annotations

from collections.abc import Callable

from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.web.site import IDLE_SECONDS, LONGEST_REQUEST, Page, Pages, SiteFactory

TOKEN_PATH = "/.well-known/acme-challenge/"

Answer = Callable[[str], bytes | None]


def token_pages(answer: Answer) -> Pages:
    """The tokens as pages; ``answer`` is ChallengeTokens.answer."""

    def pages(host: str, path: str) -> Page | None:
        body = answer(path[len(TOKEN_PATH) :]) if path.startswith(TOKEN_PATH) else None
        return None if body is None else Page(body, "application/octet-stream")

    return pages


def token_site(answer: Answer, clock: Clock) -> SiteFactory:
    """What listens on ``[listen] http``."""
    return SiteFactory(token_pages(answer), clock)


__all__ = ["IDLE_SECONDS", "LONGEST_REQUEST", "TOKEN_PATH", "token_pages", "token_site"]
