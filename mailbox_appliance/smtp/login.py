"""Logging in to send (RFC 4954): the guard is asked first, and every refusal has the same words."""

from __future__ import annotations

from mailbox_appliance.mail.client import Client
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.guard import Guard
from mailbox_appliance.ports.users import LogIn, LogInRefused, PasswordCredentials, Principal, ProvenCredentials
from mailbox_appliance.wire.sasl import Credentials, Proof

WELCOME = Reply(235, "2.7.0", "Welcome")
REFUSED = Reply(535, "5.7.8", "Wrong user name or password")
PROOF_REFUSED = Reply(535, "5.7.8", "Wrong user name or password; with SCRAM, use an app password as it was shown")
LATER = Reply(454, "4.7.0", "Cannot check passwords now, try again later")


@dataclass(frozen=True, slots=True)
class Attempt:
    """How it ended: with a ``principal``, or with a reason for the owner. ``wait``: seconds before it is said."""

    reply: Reply
    principal: Principal | None = None
    reason: str = ""
    wait: float = 0.0


def _means_itself(credentials: Credentials | Proof, principal: Principal) -> bool:
    """An authorization identity may only repeat who one is (RFC 4616 §2)."""
    wanted = credentials.authzid.lower()
    selves = (credentials.authcid.lower(), str(principal.account).lower())
    return not wanted or any(wanted == one for one in selves)


async def attempt(credentials: Credentials | Proof, client: Client, log_in: LogIn, guard: Guard) -> Attempt:
    """Try it; the guard hears how it went."""
    peer, service, username = client.address, client.service, credentials.authcid
    refusal = REFUSED if isinstance(credentials, Credentials) else PROOF_REFUSED
    device_only = guard.devices_only(peer, service, username)
    if not device_only and guard.refuses(peer, service, username):
        return Attempt(refusal, reason="too many failures from this address", wait=guard.delay(peer, service))
    said: PasswordCredentials | ProvenCredentials
    if isinstance(credentials, Credentials):
        said = PasswordCredentials(username, credentials.password, service, str(peer), device_only)
    else:
        said = ProvenCredentials(username, credentials.device, service, str(peer))
    try:
        principal = await log_in.log_in(said)
    except LogInRefused as refused:
        if refused.later:
            return Attempt(LATER, reason=str(refused))
        guard.failed(peer, service, username, token=refused.token)
        return Attempt(refusal, reason=str(refused), wait=guard.delay(peer, service))
    if not _means_itself(credentials, principal):
        guard.failed(peer, service, username)
        return Attempt(refusal, reason="wants to act as somebody else", wait=guard.delay(peer, service))
    guard.succeeded(peer, service, str(principal.account))
    return Attempt(WELCOME, principal)
