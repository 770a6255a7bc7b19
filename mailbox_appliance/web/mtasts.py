"""Our own MTA-STS policy, at https://mta-sts.DOMAIN/.well-known/mta-sts.txt (RFC 8461 §3.2, §3.3)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection

from mailbox_appliance.mailauth.mtasts_policy import Policy
from mailbox_appliance.web.site import Page, Pages

POLICY_PATH = "/.well-known/mta-sts.txt"
PREFIX = "mta-sts."
MAX_AGE = 14 * 86_400  # seconds; long enough to outlast an attack, short enough to change one's mind


def own_policy(mode: str, hosts: tuple[str, ...]) -> Policy:
    """What we say of our mail hosts."""
    return Policy(mode, MAX_AGE, hosts)


def policy_text(policy: Policy) -> bytes:
    """The file as it is served: lines end with CR LF."""
    return "".join(f"{line}\r\n" for line in policy.lines()).encode("ascii")


def policy_id(policy: Policy) -> str:
    """For the TXT record: another one whenever the policy is another (§3.1: 1 to 32 letters and digits)."""
    return hashlib.sha256(policy_text(policy)).hexdigest()[:16]


def policy_pages(domains: Callable[[], Collection[str]], policy: Callable[[], Policy]) -> Pages:
    """The policy for mta-sts.DOMAIN of each of ``domains``, and nothing under any other name."""

    def pages(host: str, path: str) -> Page | None:
        if path != POLICY_PATH or not host.startswith(PREFIX) or host.removeprefix(PREFIX) not in domains():
            return None
        return Page(policy_text(policy()), "text/plain")

    return pages


def policy_names(domains: Collection[str]) -> tuple[str, ...]:
    """The names under which it is served: the certificate must carry them."""
    return tuple(PREFIX + domain for domain in sorted(domains))
