"""The client's side of SOCKS5 as a machine without wires: octets in, octets out, until the way stands.

::

    METHOD → (LOG_IN) → REQUEST → OPEN

RFC 1928 §3 (methods), §4 (request), §6 (replies); RFC 1929 (user name and password).
"""

from __future__ import annotations

import enum
import ipaddress

_VERSION = 5
_NONE, _PASSWORD, _NO_METHOD = 0, 2, 0xFF
_REPLIES = {
    1: "general failure",
    2: "its rules do not allow it",
    3: "no way to that network",
    4: "no way to that host",
    5: "the host refused the connection",
    6: "the time was over",
    7: "it does not know how to connect",
    8: "it does not take that kind of address",
}


class SocksError(Exception):
    """The proxy refuses or does not speak SOCKS5; str() says which. ``by_host``: the far host could not be reached."""

    def __init__(self, text: str, *, by_host: bool = False) -> None:
        super().__init__(text)
        self.by_host = by_host


class Stage(enum.Enum):
    """What is waited for."""

    METHOD = enum.auto()
    LOG_IN = enum.auto()
    REQUEST = enum.auto()
    OPEN = enum.auto()


class SocksCore:
    """One way to ``address`` (IP text) and ``port``. ``take`` gives what to send; ``rest`` is what came too early."""

    def __init__(self, address: str, port: int, user: str = "", password: str = "") -> None:
        """Raises SocksError when user or password is longer than 255 octets."""
        self._address = ipaddress.ip_address(address)
        self._port = port
        self._user, self._password = user.encode("utf-8", "replace"), password.encode("utf-8", "replace")
        if len(self._user) > 255 or len(self._password) > 255:
            raise SocksError("the proxy's user name and password may have 255 octets each")
        self._buffer = b""
        self.stage = Stage.METHOD
        self.rest = b""
        methods = bytes([_NONE, _PASSWORD] if user else [_NONE])
        self._output = bytes([_VERSION, len(methods)]) + methods

    def take(self) -> bytes:
        """Octets to send now."""
        octets, self._output = self._output, b""
        return octets

    def receive(self, data: bytes) -> bool:
        """Octets of the proxy; True when the way stands. Raises SocksError."""
        self._buffer += data
        while self.stage is not Stage.OPEN:
            step = {Stage.METHOD: self._method, Stage.LOG_IN: self._logged_in, Stage.REQUEST: self._replied}[self.stage]
            if not step():
                return False
        return True

    def _cut(self, length: int) -> bytes:
        octets, self._buffer = self._buffer[:length], self._buffer[length:]
        return octets

    def _method(self) -> bool:
        if self._buffer[:1] not in (b"", b"\x05"):
            raise SocksError("the proxy does not speak SOCKS5")
        if len(self._buffer) < 2:
            return False
        method = self._cut(2)[1]
        if method == _PASSWORD and self._user:
            # RFC 1929 §2
            user, password = self._user, self._password
            self._output = b"\x01" + bytes([len(user)]) + user + bytes([len(password)]) + password
            self.stage = Stage.LOG_IN
        elif method == _NONE:
            self._request()
        elif method == _NO_METHOD:
            raise SocksError("the proxy wants another log-in" if self._user else "the proxy wants a log-in")
        else:
            raise SocksError(f"the proxy chose a way to log in that was not offered ({method})")
        return True

    def _logged_in(self) -> bool:
        if len(self._buffer) < 2:
            return False
        if self._cut(2)[1]:
            raise SocksError("the proxy refuses our user name or password")
        self._request()
        return True

    def _request(self) -> None:
        kind = b"\x01" if self._address.version == 4 else b"\x04"
        self._output = b"\x05\x01\x00" + kind + self._address.packed + self._port.to_bytes(2, "big")
        self.stage = Stage.REQUEST

    def _replied(self) -> bool:
        buffer = self._buffer
        if buffer[:1] not in (b"", b"\x05"):
            raise SocksError("the proxy does not speak SOCKS5")
        if len(buffer) < 2:
            return False
        if buffer[1]:
            code = buffer[1]
            words = _REPLIES.get(code, f"reply {code}")
            raise SocksError(f"the proxy cannot connect: {words}", by_host=code in (3, 4, 5, 6))
        if len(buffer) < 5:
            return False
        address = {1: 4, 4: 16, 3: 1 + buffer[4]}.get(buffer[3])
        if address is None:
            raise SocksError("the proxy's reply has a strange address")
        if len(buffer) < 4 + address + 2:
            return False
        self._cut(4 + address + 2)
        self.rest, self._buffer = self._buffer, b""
        self.stage = Stage.OPEN
        return True
