"""STARTTLS, LOGIN, AUTHENTICATE (RFC 3501 §6.2, RFC 4959): a password is never looked at before TLS.

Known and unknown users are refused with the same words; the guard is told, and may hold the answer back.
"""

from __future__ import annotations

from dataclasses import replace

from twisted.internet.defer import Deferred

from mailbox_appliance.imap.session import Ended, Session
from mailbox_appliance.imap.table import LOGGED_IN, Done, Refused, Row, State
from mailbox_appliance.journal.events.imap import ImapLoggedIn, ImapLogInFailed
from mailbox_appliance.ports.users import LogInRefused, PasswordCredentials, Principal, ProvenCredentials
from mailbox_appliance.wire import mechanisms, sasl
from mailbox_appliance.wire.imap import commands, parse
from mailbox_appliance.wire.imap.grammar import BadSyntax

_NAME_LENGTH = 320


async def starttls(session: Session, command: commands.Plain) -> Done:
    """Say OK, forget everything, shake hands."""
    if session.secure:
        raise BadSyntax("TLS is on already")
    return Done("Begin TLS now.", after=session.start_tls)


async def login(session: Session, command: commands.LogIn) -> Done:
    """LOGIN with name and password."""
    _need_tls(session)
    try:
        username, password = command.username.decode("utf-8"), command.password.decode("utf-8")
    except UnicodeDecodeError:
        username, password = command.username.decode("utf-8", "replace"), ""
    said = PasswordCredentials(username[:_NAME_LENGTH], password, session.service, str(session.peer))
    return await _enter(session, await _check(session, said), "LOGIN")


async def authenticate(session: Session, command: commands.Authenticate) -> Done:
    """AUTHENTICATE with one of the mechanisms of wire.mechanisms."""
    _need_tls(session)
    exchange = mechanisms.exchange(command.mechanism, session.mechanisms, session.channel.bindings)
    if exchange is None or session.hides(f"AUTH={command.mechanism}"):
        raise Refused("Unknown mechanism.", b"CANNOT")
    try:
        initial = None if command.initial is None else sasl.decode_response(command.initial, initial=True)
        step = exchange.begin(initial)
        while not isinstance(step, (sasl.Credentials, sasl.Proof)):
            if isinstance(step, sasl.KeysWanted):
                step = exchange.keys(await session.house.users.scram_keys(step.username))
            else:
                step = exchange.respond(await _ask(session, step))
        if step.authzid and step.authzid.lower() != step.authcid.lower():
            raise Refused("You can only act as yourself.", b"AUTHORIZATIONFAILED")
        peer = str(session.peer)
        if isinstance(step, sasl.Credentials):
            said = PasswordCredentials(step.authcid[:_NAME_LENGTH], step.password, session.service, peer)
            return await _enter(session, await _check(session, said), command.mechanism)
        proven = ProvenCredentials(step.authcid[:_NAME_LENGTH], step.device, session.service, peer)
        principal = await _check(session, proven)
        if await _ask(session, step.outcome):  # RFC 5802 §5: the server has proven itself, too; nothing is answered
            raise sasl.SaslError("an empty response was expected")
        return await _enter(session, principal, command.mechanism)
    except sasl.SaslError as error:
        raise BadSyntax(str(error)) from None  # RFC 3501 §6.2.2: a cancelled or broken exchange is BAD


async def _ask(session: Session, challenge: sasl.Challenge) -> bytes:
    session.say(b"+ %b\r\n" % challenge.encoded)
    line = await session.line()
    if line is None:
        raise Ended("abuse", "That was too long.")
    return sasl.decode_response(line)


def _need_tls(session: Session) -> None:
    if not session.secure:
        raise Refused("Use STARTTLS first: passwords are not taken in clear.", b"PRIVACYREQUIRED")


async def _check(session: Session, said: PasswordCredentials | ProvenCredentials) -> Principal:
    """Who it is; the guard is asked before and told after. Raises Refused."""
    house, peer, service = session.house, session.peer, session.service
    name = said.username

    def failed(reason: str) -> None:
        house.journal.tell(ImapLogInFailed(account=name, peer=str(peer), service=service, reason=reason))

    device_only = house.guard.devices_only(peer, service, name)
    if device_only:
        if isinstance(said, PasswordCredentials):
            said = replace(said, device_only=True)
    elif house.guard.refuses(peer, service, name):
        failed("guard")
        session.end(Ended("guard"))
        raise Refused("Too many failed log-ins from your address; try again later.", b"LIMIT")
    try:
        if not name or "\0" in name or (isinstance(said, PasswordCredentials) and not said.password):
            raise LogInRefused
        principal = await house.users.log_in(said)
    except LogInRefused as refused:
        if refused.later:
            failed("later")
            session.failed_logins += device_only
            if session.failed_logins >= house.settings.failed_logins:
                session.end(Ended("guard"))
            raise Refused("Passwords cannot be checked now, try again later.", b"UNAVAILABLE") from None
        house.guard.failed(peer, service, name, "password", refused.token)
        failed("password" if isinstance(said, PasswordCredentials) else "proof")
        await _hold_back(session, house.guard.delay(peer, service))
        session.failed_logins += 1
        if session.failed_logins >= house.settings.failed_logins:
            session.end(Ended("abuse", "Too many failed log-ins."))
        text = "Wrong user name or password"
        if isinstance(said, ProvenCredentials):
            text += "; with SCRAM, use an app password as it was shown"
        raise Refused(f"{text}.", b"AUTHENTICATIONFAILED") from None
    house.guard.succeeded(peer, service, str(principal.account))
    return principal


async def _enter(session: Session, principal: Principal, mechanism: str) -> Done:
    """The session is the principal's from here on. Raises Refused."""
    house, peer, service = session.house, session.peer, session.service
    store = await house.stores.of(principal.account)
    if not house.log_in(session, principal.account):
        reason = "sessions"
        house.journal.tell(
            ImapLogInFailed(account=str(principal.account), peer=str(peer), service=service, reason=reason)
        )
        raise Refused("Too many connections of this account.", b"LIMIT")
    session.logged_in(principal, store)
    house.journal.tell(
        ImapLoggedIn(
            account=str(principal.account),
            peer=str(peer),
            service=service,
            device=principal.device,
            tls=session.tls_version,
            mechanism=mechanism,
        )
    )
    return Done("Logged in.", session.capability_code())


async def unauthenticate(session: Session, command: commands.Plain) -> Done:
    """UNAUTHENTICATE (RFC 8437): the connection lives on for another user."""
    return Done("You are nobody again.", after=session.logged_out)


async def _hold_back(session: Session, seconds: float) -> None:
    if seconds > 0:
        wait: Deferred[None] = Deferred()
        session.house.clock.callLater(seconds, wait.callback, None)
        await wait


ROWS = (
    Row("UNAUTHENTICATE", LOGGED_IN, parse.plain, unauthenticate),
    Row("STARTTLS", State.GREETED, parse.plain, starttls),
    Row("LOGIN", State.GREETED, parse.log_in, login),
    Row("AUTHENTICATE", State.GREETED, parse.authenticate, authenticate),
)
