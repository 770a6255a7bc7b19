"""What the transport says to a Door: that its peer reads too slowly, and in what words a connection ended."""

from __future__ import annotations

from typing import Protocol

from OpenSSL import SSL
from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer


class Speaker(Protocol):
    """Whoever writes; it stops while it is ``choked``."""

    choked: bool

    def wake(self, what: str, value: object) -> None:
        """The peer takes octets again: "writable"."""


@implementer(IPushProducer)
class Valve:
    """The transport says through this when the peer reads too slowly."""

    def __init__(self, speaker: Speaker) -> None:
        self._speaker = speaker

    def pauseProducing(self) -> None:
        self._speaker.choked = True

    def resumeProducing(self) -> None:
        self._speaker.choked = False
        self._speaker.wake("writable", None)

    def stopProducing(self) -> None:
        self._speaker.choked = False


def why(reason: BaseException | None) -> str:
    """An OpenSSL error or a lost connection in words."""
    if isinstance(reason, SSL.Error):
        errors = reason.args[0] if reason.args and isinstance(reason.args[0], list) else []
        return ", ".join(str(error[-1]) for error in errors) or "TLS failed"
    return str(reason) or type(reason).__name__
