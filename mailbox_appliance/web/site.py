"""A small web server: fixed pages by host name and path, and 404 for everything else.

Small on purpose: no sessions, no logs of its own, requests bounded in size and time.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory
from twisted.web import http

from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.clock import Clock

LONGEST_REQUEST = 16 * 1024
IDLE_SECONDS = 15


@dataclass(frozen=True, slots=True)
class Page:
    """What is served with status 200."""

    body: bytes
    content_type: str = "text/plain; charset=utf-8"


# (host name in lower case without its port, path as it came) → the page; None is 404.
Pages = Callable[[str, str], Page | None]

# The same with the body of a POST and the address it came from; the page is made when it is asked for.
Posts = Callable[[str, str, bytes, str], Coroutine[Deferred[Any], Any, Page | None]]

# Of pages for people: nothing is run, framed, kept, or told to other sites.
FOR_PEOPLE = (
    (
        b"Content-Security-Policy",
        b"default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    ),
    (b"Cache-Control", b"no-store"),
    (b"Referrer-Policy", b"no-referrer"),
    (b"X-Content-Type-Options", b"nosniff"),
    (b"X-Frame-Options", b"DENY"),
)

# twisted.web's own classes are not annotated.
_Request: Any = http.Request
_Channel: Any = http.HTTPChannel


class _SmallRequest(_Request):  # type: ignore[misc]
    """One request; the factory knows the pages."""

    def process(self) -> None:
        page = None
        factory = self.channel.factory
        host, path = self.getRequestHostname().decode("latin-1").lower(), self.path.decode("latin-1")
        if self.method in (b"GET", b"HEAD"):
            page = factory.pages(host, path)
        elif self.method == b"POST" and factory.posts is not None:
            peer = getattr(self.getClientAddress(), "host", "")
            asked = Deferred.fromCoroutine(factory.posts(host, path, self.content.read(LONGEST_REQUEST), peer))
            asked.addCallbacks(self._answer, self._broken)
            return
        self._answer(page)

    def _broken(self, failure: Any) -> None:
        self.channel.factory.broken(failure.value)
        self._answer(None)

    def _answer(self, page: Page | None) -> None:
        if self._disconnected:
            return
        body = b"not found\n" if page is None else page.body
        kind = "text/plain" if page is None else page.content_type
        self.setResponseCode(404 if page is None else 200)
        self.setHeader(b"Server", b"mailappliance")
        self.setHeader(b"Content-Type", kind.encode("ascii"))
        if kind.startswith("text/html"):
            for name, value in FOR_PEOPLE:
                self.setHeader(name, value)
        self.setHeader(b"Content-Length", str(len(body)).encode("ascii"))
        if self.method != b"HEAD":
            self.write(body)
        self.finish()


class _SmallChannel(_Channel):  # type: ignore[misc]
    """Hangs up on whoever sends more than a small request."""

    requestFactory = _SmallRequest
    maxHeaders = 60
    totalHeadersSize = LONGEST_REQUEST
    timeOut = IDLE_SECONDS
    taken = 0

    def dataReceived(self, data: bytes) -> None:
        self.taken += len(data)
        if self.taken > LONGEST_REQUEST:
            self.transport.loseConnection()
            return
        super().dataReceived(data)

    def allContentReceived(self) -> None:
        self.taken = 0
        super().allContentReceived()


class SiteFactory(Factory):
    """The factory of an endpoint; ``pages`` answers."""

    noisy = False

    def __init__(
        self,
        pages: Pages,
        clock: Clock,
        posts: Posts | None = None,
        broken: Callable[[BaseException], None] = lambda error: None,
    ) -> None:
        self.pages = pages
        self.posts = posts
        self.broken = broken
        self._clock = clock

    def log(self, request: Any) -> None:
        """No access log: the journal has what matters."""

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """Twisted asks."""
        channel = _SmallChannel()
        channel.factory = self
        channel.callLater = self._clock.callLater
        return channel


def first_of(*several: Pages) -> Pages:
    """The first that has the page."""

    def pages(host: str, path: str) -> Page | None:
        for one in several:
            page = one(host, path)
            if page is not None:
                return page
        return None

    return pages


def first_post_of(*several: Posts) -> Posts:
    """The first that has the page."""

    async def posts(host: str, path: str, body: bytes, peer: str) -> Page | None:
        for one in several:
            page = await one(host, path, body, peer)
            if page is not None:
                return page
        return None

    return posts
