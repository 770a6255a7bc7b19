"""Leaving a mailing list by one click (RFC 8058): mail programs POST to the link, people see a page with a button."""

from __future__ import annotations

from mailbox_appliance.ports.lists import OneClick
from mailbox_appliance.web.site import Page

PATH = "/lists/leave/"
WORD = b"List-Unsubscribe=One-Click"  # §3.2; a browser's form sends the same
HTML = "text/html; charset=utf-8"
_FRAME = "<!doctype html><meta name=viewport content='width=device-width'><title>Mailing list</title><p>%s"
_BUTTON = (
    "Leave this mailing list?<form method=post><input type=hidden name=List-Unsubscribe value=One-Click>"
    "<button>Leave</button></form>"
)
_GONE = "You get no more mail of this list."
_NOTHING = "This link is not good any more: you have left the list before, or it was cut off."


class LeavePages:
    """A look changes nothing (mail scanners follow links); a POST does, and says the same whether it was the first."""

    def __init__(self, lists: OneClick) -> None:
        self._lists = lists

    def page(self, host: str, path: str) -> Page | None:
        """GET: the button."""
        return Page((_FRAME % _BUTTON).encode(), HTML) if path.startswith(PATH) else None

    async def post(self, host: str, path: str, body: bytes, peer: str) -> Page | None:
        """POST: the deed."""
        if not path.startswith(PATH) or WORD not in body:
            return None
        title = await self._lists.unsubscribe(path.removeprefix(PATH))
        return Page((_FRAME % (_GONE if title else _NOTHING)).encode(), HTML)
