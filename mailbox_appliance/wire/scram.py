"""SCRAM-SHA-256 and SCRAM-SHA-256-PLUS, the server's side, without wires: what the client proves, and with what.

RFC 5802 (SCRAM: §5 the exchange, §6 channel binding, §7 the grammar), RFC 7677 (SHA-256), RFC 5929 (tls-unique,
tls-server-end-point), RFC 9266 (tls-exporter).

    client: n,,n=ann,r=CNONCE            who, and whether bound to this TLS connection (n, y, p=type)
            → KeysWanted("ann")          the salt is the account's; the keys are those of all its devices
    server: r=CNONCE SNONCE,s=SALT,i=4096
    client: c=BINDING,r=…,p=PROOF        → Proof: which device's key it fits, or none
    server: v=SIGNATURE                  said only when the log-in is good; the client answers with nothing

A client names no device, so the proof is tried on each key of the account; all share one salt. At least ``TRIED`` keys
are tried, so that nobody can tell by the clock how many there are. What follows a proof is a log-in like any other.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
import unicodedata
from collections.abc import Callable, Sequence

from mailbox_appliance.ports.users import DeviceKey, ScramKeys
from mailbox_appliance.wire.sasl import Challenge, KeysWanted, Proof, SaslError, Step

NAME, PLUS = "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"
TRIED = 16  # keys, made up if there are fewer
LONGEST = 4096  # octets of a client's message
_NONCE = re.compile(rb"[\x21-\x2b\x2d-\x7e]{8,512}")
_BARE = re.compile(rb"n=([^,]+),r=([^,]+)(?:,[A-Za-z]=[^,]+)*")
_FINAL = re.compile(rb"(c=([A-Za-z0-9+/=]+),r=([^,]+)(?:,[A-Za-z]=[^,]+)*),p=([A-Za-z0-9+/=]+)")
_NOBODY = DeviceKey(0, bytes(32), bytes(32))

# The channel-binding data of this connection by type; several where the server cannot know which the client means.
Bindings = Callable[[str], Sequence[bytes]]


def no_bindings(kind: str) -> Sequence[bytes]:
    """A connection that cannot be bound to."""
    return ()


def saslname(octets: bytes) -> str:
    """Undo =2C and =3D (RFC 5802 §5.1), compose (SASLprep's NFKC). Raises SaslError."""
    if re.search(rb"=(?!2C|3D)", octets):
        raise SaslError("the user name has a bare =")
    try:
        text = octets.replace(b"=2C", b",").replace(b"=3D", b"=").decode("utf-8")
    except UnicodeDecodeError:
        raise SaslError("the user name is not UTF-8") from None
    text = unicodedata.normalize("NFKC", text)
    if not text or any(unicodedata.category(letter) in ("Cc", "Cs", "Cn") for letter in text):
        raise SaslError("the user name is empty or holds controls")
    return text


def _base64(octets: bytes, what: str) -> bytes:
    try:
        return base64.b64decode(octets, validate=True)
    except (binascii.Error, ValueError):
        raise SaslError(f"the {what} is not base64") from None


def _xor(left: bytes, right: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(left, right, strict=True))


class Scram:
    """One exchange. ``plus``: the mechanism named PLUS; ``offers_plus``: the client was told of it."""

    def __init__(
        self,
        *,
        plus: bool = False,
        offers_plus: bool = False,
        bindings: Bindings = no_bindings,
        nonce: Callable[[], str] = lambda: secrets.token_urlsafe(24),
    ) -> None:
        self._plus = plus
        self._offers_plus = offers_plus
        self._bindings = bindings
        self._fresh_nonce = nonce
        self._header = self._bare = self._nonce = self._said = b""
        self._kind = ""
        self._authzid = self._username = ""
        self._keys: ScramKeys | None = None

    def begin(self, initial: bytes | None) -> Step:
        """With no initial response the challenge is empty (RFC 4422 §5: a client-first mechanism)."""
        return Challenge(b"") if initial is None else self.respond(initial)

    def respond(self, response: bytes) -> Step:
        """First who it is, then the proof. Raises SaslError."""
        if len(response) > LONGEST:
            raise SaslError("the message is too long")
        return self._first(response) if self._keys is None else self._last(response, self._keys)

    def _first(self, message: bytes) -> KeysWanted:
        flag, comma, rest = message.partition(b",")
        authzid, second, bare = rest.partition(b",")
        if not comma or not second:
            raise SaslError("SCRAM begins with n,, or y,, or p=…,,")
        self._bind(flag)
        if authzid and not authzid.startswith(b"a="):
            raise SaslError("a= was expected")
        found = _BARE.fullmatch(bare)
        if found is None or bare.startswith(b"m="):  # RFC 5802 §5.1: unknown mandatory extensions fail
            raise SaslError("n= and r= were expected")
        if not _NONCE.fullmatch(found[2]):
            raise SaslError("the nonce is too short or holds what it must not")
        self._authzid = saslname(authzid[2:]) if authzid else ""
        self._username = saslname(found[1])
        self._header, self._bare = flag + b"," + authzid + b",", bare
        self._nonce = found[2] + self._fresh_nonce().encode("ascii")
        return KeysWanted(self._username)

    def _bind(self, flag: bytes) -> None:
        """RFC 5802 §6: what the first letters say of channel binding must fit what was offered."""
        if flag.startswith(b"p="):
            self._kind = flag[2:].decode("ascii", "replace")
            if not self._plus:
                raise SaslError("channel binding belongs to the mechanism with -PLUS")
            if not self._bindings(self._kind):
                raise SaslError("this kind of channel binding is not known here")
        elif flag not in (b"n", b"y"):
            raise SaslError("SCRAM begins with n, y or p=")
        elif self._plus:
            raise SaslError("the mechanism with -PLUS wants channel binding")
        elif flag == b"y" and self._offers_plus:
            raise SaslError("channel binding was offered: somebody took it out of the list")

    def keys(self, keys: ScramKeys) -> Challenge:
        """What is kept for the user, known or not: the server's first message."""
        self._keys = keys
        salt = base64.b64encode(keys.salt)
        self._said = b"r=%b,s=%b,i=%d" % (self._nonce, salt, keys.iterations)
        return Challenge(self._said)

    def _last(self, message: bytes, keys: ScramKeys) -> Proof:
        found = _FINAL.fullmatch(message)
        if found is None:
            raise SaslError("c=, r= and p= were expected")
        without_proof, bound, nonce, proof = found.groups()
        if not hmac.compare_digest(nonce, self._nonce):
            raise SaslError("the nonce is another")
        heard = _base64(bound, "channel binding")
        wanted = [self._header + data for data in self._bindings(self._kind)] if self._kind else [self._header]
        is_bound = any(hmac.compare_digest(heard, each) for each in wanted)
        claimed = _base64(proof, "proof")
        if len(claimed) != 32:
            raise SaslError("the proof is not of SHA-256")
        said = b"%b,%b,%b" % (self._bare, self._said, without_proof)
        device = None
        signature = hmac.digest(_NOBODY.server_key, said, "sha256")
        made_up = (_NOBODY,) * (TRIED - len(keys.devices))
        for key in (*keys.devices, *made_up):
            client_key = _xor(claimed, hmac.digest(key.stored_key, said, "sha256"))
            fits = hmac.compare_digest(hashlib.sha256(client_key).digest(), key.stored_key)
            if fits and is_bound and key is not _NOBODY:
                device = key.number
                signature = hmac.digest(key.server_key, said, "sha256")
        return Proof(self._authzid, self._username, device, Challenge(b"v=" + base64.b64encode(signature)))
