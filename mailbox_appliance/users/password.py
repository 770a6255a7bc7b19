"""Main passwords: their hashes made and checked off the reactor, with a memory of recent successes.

The door "password" bounds how many are computed at once. A name
that nobody has is checked against a hash that nothing fits, so that it costs the same.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import unicodedata
from collections import OrderedDict
from collections.abc import Callable

from twisted.internet.defer import Deferred

from mailbox_appliance.ports.workers import Workers
from mailbox_appliance.users.hashing import HashSettings, hash_fits, make_hash

# The longest password anybody may say or set, in octets.
PASSWORD_OCTETS = 1024
SHORTEST = 8


def prepare(password: str) -> bytes:
    """The octets that are hashed: composed Unicode (NFC), as the OpaqueString profile wants (RFC 8265 §4.2.2)."""
    if not password.isascii():
        password = unicodedata.normalize("NFC", password)
    return password.encode("utf-8", "surrogatepass")


def weakness(password: str, address: str) -> str:
    """Why ``password`` is refused for the account ``address``, with the remedy; '' when it is good enough."""
    if len(password) < SHORTEST:
        return f"the password is too short: use at least {SHORTEST} characters"
    if len(prepare(password)) > PASSWORD_OCTETS:
        return f"the password is too long: {PASSWORD_OCTETS} octets at most"
    if any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or 0xD800 <= ord(c) < 0xE000 for c in password):
        return "the password holds control characters: use letters, digits, punctuation and spaces"
    local, _, domain = address.partition("@")
    if password.casefold() in (address.casefold(), local.casefold(), domain.casefold()):
        return "the password is the address itself: choose something that others do not know"
    if len(set(password)) == 1:
        return "the password is one character again and again: choose another"
    return ""


def generate_password() -> str:
    """A password of 100 bits to be read from a screen and typed once: four groups of five."""
    return "-".join(random_text(5) for _ in range(4))


def random_text(length: int) -> str:
    """``length`` characters of 5 bits each: digits and lower-case letters without i, l, o, u."""
    return "".join(secrets.choice("0123456789abcdefghjkmnpqrstvwxyz") for _ in range(length))


class Passwords:
    """Makes and checks hashes in the door "password"; Busy comes through from there."""

    def __init__(self, workers: Workers, settings: HashSettings | None = None) -> None:
        self._settings = settings or HashSettings()
        self._workers = workers
        salt, tag = (base64.b64encode(secrets.token_bytes(n)).decode().rstrip("=") for n in (16, 32))
        self._fits_nothing = f"{self._settings.head}{salt}${tag}"

    async def hash(self, password: str) -> str:
        """A fresh hash of ``password``, encoded with salt and parameters."""
        return await self._workers.run("password", make_hash, prepare(password), self._settings)

    async def fits(self, hash: str | None, password: str) -> bool:
        """True when ``password`` belongs to ``hash``; None, for an unknown name, takes as long and is False."""
        fits = await self._workers.run("password", hash_fits, hash or self._fits_nothing, prepare(password))
        return fits and hash is not None

    def outdated(self, hash: str) -> bool:
        """True when ``hash`` was made with other parameters than today's."""
        return not hash.startswith(self._settings.head)


class RecentSuccesses:
    """Passwords that were right a short while ago, so that a phone's tenth connection costs nothing.

    What is kept is an HMAC under a key of this process; ``most`` entries, each for ``seconds``. The caller's ``what``
    names account and hash version, so a changed password is forgotten by itself.
    """

    def __init__(self, now: Callable[[], float], *, seconds: float = 900.0, most: int = 256) -> None:
        self._now = now
        self._seconds = seconds
        self._most = most
        self._key = secrets.token_bytes(32)
        self._until: OrderedDict[bytes, float] = OrderedDict()

    def token(self, what: str, password: str) -> bytes:
        """A keyed hash of ``what`` and ``password``: 16 octets that mean nothing outside this process."""
        message = what.encode("utf-8", "surrogatepass") + b"\0" + prepare(password)
        return hmac.digest(self._key, message, hashlib.sha256)[:16]

    def remember(self, token: bytes) -> None:
        """``token`` was right just now."""
        self._until.pop(token, None)
        self._until[token] = self._now() + self._seconds
        while len(self._until) > self._most:
            self._until.popitem(last=False)

    def knows(self, token: bytes) -> bool:
        """Was it right a short while ago?"""
        until = self._until.get(token)
        if until is None:
            return False
        # A clock set back must not make an entry live for ever.
        if not until - self._seconds <= self._now() < until:
            del self._until[token]
            return False
        return True


class Shared:
    """One computation for all who ask the same at the same time: a mail program opens five connections at once."""

    def __init__(self) -> None:
        self._waiting: dict[bytes, list[Deferred[bool]]] = {}

    async def ask(self, key: bytes, compute: Callable[[], Deferred[bool]]) -> bool:
        """The answer of ``compute``, which runs once for ``key`` and is not stopped when a caller goes away."""
        mine: Deferred[bool] = Deferred()
        waiting = self._waiting.get(key)
        if waiting is not None:
            waiting.append(mine)
        else:
            self._waiting[key] = [mine]
            compute().addBoth(self._tell, key)
        return await mine

    def _tell(self, result: object, key: bytes) -> None:
        for one in self._waiting.pop(key):
            if not one.called:
                one.callback(result)  # type: ignore[arg-type]  # a bool, or a Failure, which callback passes on
