"""SASL exchanges, the server's side: PLAIN and LOGIN here, SCRAM in ``wire/scram``; SMTP and IMAP frame them.

RFC 4422 (the framework), RFC 4616 (PLAIN), draft-murchison-sasl-login (LOGIN, which Outlook still uses).

An exchange is begun with the initial response or None, and fed one decoded response at a time until it gives
Credentials or a Proof; on the way SCRAM asks for what is kept of the user (KeysWanted). It never asks more than twice
and never raises anything but SaslError.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import field
from typing import Protocol

from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.users import ScramKeys


class SaslError(Exception):
    """The exchange failed before a password could be tried. ``cancelled``: the client said ``*``."""

    def __init__(self, text: str, *, cancelled: bool = False) -> None:
        super().__init__(text)
        self.cancelled = cancelled


@dataclass(frozen=True, slots=True)
class Challenge:
    """What the server says next, not yet base64."""

    octets: bytes

    @property
    def encoded(self) -> bytes:
        """In base64, as SMTP and IMAP send it."""
        return base64.b64encode(self.octets)


@dataclass(frozen=True, slots=True)
class Credentials:
    """The end of a password exchange. ``authzid`` is whom the client wants to act as: "" or (we insist) itself."""

    authzid: str
    authcid: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class KeysWanted:
    """The exchange continues with ``keys``: what is kept for ``username``."""

    username: str


@dataclass(frozen=True, slots=True)
class Proof:
    """The end of the client's part of SCRAM. ``device`` is the number of the key that fits, None when none does.

    ``outcome`` is what the server proves in its turn: to be said once the log-in is good, and only then.
    """

    authzid: str
    authcid: str
    device: int | None
    outcome: Challenge = field(repr=False)


Step = Challenge | Credentials | KeysWanted | Proof


class Exchange(Protocol):
    """One authentication attempt."""

    def begin(self, initial: bytes | None) -> Step:
        """``initial`` is the decoded initial response, None when there was none. Raises SaslError."""

    def respond(self, response: bytes) -> Step:
        """The client's answer to the last challenge. Raises SaslError."""

    def keys(self, keys: ScramKeys) -> Challenge:
        """The answer to KeysWanted."""


def decode_response(line: bytes, *, initial: bool = False) -> bytes:
    """Undo base64 strictly. ``*`` cancels (RFC 4954 §4); as an *initial* response ``=`` is the empty one.

    Raises SaslError.
    """
    if line == b"*":
        raise SaslError("authentication cancelled", cancelled=True)
    if initial and line == b"=":
        return b""
    try:
        return base64.b64decode(line, validate=True)
    except (binascii.Error, ValueError):
        raise SaslError("the response is not base64") from None


def _text(octets: bytes, what: str) -> str:
    try:
        text = octets.decode("utf-8")
    except UnicodeDecodeError:
        raise SaslError(f"the {what} is not UTF-8") from None
    if not text or "\0" in text:
        raise SaslError(f"the {what} is empty or holds a NUL")
    return text


class PasswordExchange:
    """An exchange that ends with a password: no keys are wanted on the way."""

    def keys(self, keys: ScramKeys) -> Challenge:
        """Never asked for."""
        raise SaslError("no keys were asked for")


class Plain(PasswordExchange):
    """[authzid] NUL authcid NUL passwd (RFC 4616 §2)."""

    def begin(self, initial: bytes | None) -> Challenge | Credentials:
        """With no initial response the challenge is empty."""
        return Challenge(b"") if initial is None else self.respond(initial)

    def respond(self, response: bytes) -> Challenge | Credentials:
        """One response is all there is."""
        parts = response.split(b"\0")
        if len(parts) != 3:
            raise SaslError("PLAIN wants authzid NUL user NUL password")
        authzid = _text(parts[0], "authorization identity") if parts[0] else ""
        return Credentials(authzid, _text(parts[1], "user name"), _text(parts[2], "password"))


class Login(PasswordExchange):
    """User name and password, each asked for."""

    def __init__(self) -> None:
        self._username: str | None = None

    def begin(self, initial: bytes | None) -> Challenge | Credentials:
        """Some clients send the user name at once."""
        return Challenge(b"Username:") if initial is None else self.respond(initial)

    def respond(self, response: bytes) -> Challenge | Credentials:
        """First the name, then the password."""
        if self._username is None:
            self._username = _text(response, "user name")
            return Challenge(b"Password:")
        return Credentials("", self._username, _text(response, "password"))


# name: how an exchange is made, in the order they are offered. (``wire/mechanisms`` adds SCRAM.)
MECHANISMS: dict[str, Callable[[], Exchange]] = {"PLAIN": Plain, "LOGIN": Login}
