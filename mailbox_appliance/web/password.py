"""A person chooses another password: with the one he has, or by a link from the owner. Over TLS only.

Nothing is remembered between two requests, and a browser sends nothing by itself that would count: each POST carries
the link's secret or the current password, so another site has nothing to forge a request with.
"""

from __future__ import annotations

import html
from urllib.parse import parse_qs

from mailbox_appliance.ports.users import NotChanged, OwnPassword
from mailbox_appliance.web.site import Page

PATH = "/password"
HTML = "text/html; charset=utf-8"
_FRAME = (
    "<!doctype html><html lang=en><meta name=viewport content='width=device-width'><title>Password</title>"
    "<style>body{font-family:sans-serif;max-width:32em;margin:2em auto;padding:0 1em}"
    "input,button{display:block;width:100%%;box-sizing:border-box;margin:.2em 0 1em;padding:.5em;font-size:1.1em}"
    "</style>%s"
)
_NEW = (
    "<label>New password<input type=password name=new autocomplete=new-password required maxlength=1024></label>"
    "<label>Once more<input type=password name=again autocomplete=new-password required maxlength=1024></label>"
    "<button>Change it</button></form>"
)
_OLD = (
    "<label>Mail address<input name=user inputmode=email autocapitalize=none autocorrect=off spellcheck=false "
    "autocomplete=username required maxlength=320 value='%s'></label>"
    "<label>Current password<input type=password name=old autocomplete=current-password required maxlength=1024>"
    "</label>"
)
_ADVICE = "<p>Good are four or five words that have nothing to do with one another.</p>"
_GONE = "<p>This link is not good any more. Ask the owner of your mail server for another one.</p>"
_DONE = (
    "<p><b>Your password has been changed.</b></p><p>Mail programs that use the old one ask for the new one now; "
    "devices with an app password go on as they are.</p>"
)


class PasswordPages:
    """``door`` changes passwords and keeps count of who fails."""

    def __init__(self, door: OwnPassword) -> None:
        self._door = door

    def page(self, host: str, path: str) -> Page | None:
        """GET: a form; a look changes nothing and spends no link."""
        if path == PATH:
            return _page(_form("", ""))
        token = _token(path)
        if token is None:
            return None
        holder = self._door.holder(token)
        return _page(_form_of(holder) if holder else _GONE)

    async def post(self, host: str, path: str, body: bytes, peer: str) -> Page | None:
        """POST: the deed."""
        token = _token(path)
        if path != PATH and token is None:
            return None
        said = _fields(body)
        user = said.get("user", "")
        if token is not None and not self._door.holder(token):
            self._door.missed(peer)
            return _page(_GONE)
        form = _form("", user) if token is None else _form_of(self._door.holder(token))
        if not said.get("new") or said["new"] != said.get("again"):
            return _page(_said("The two new passwords differ.") + form)
        try:
            if token is None:
                await self._door.by_password(user, said.get("old", ""), said["new"], peer)
            else:
                await self._door.by_link(token, said["new"], peer)
        except NotChanged as reason:
            offered = "".join(f"<li><code>{html.escape(one)}</code>" for one in reason.suggestions)
            offers = f"<p>Or one of these, made just now and kept nowhere:</p><ul>{offered}</ul>" if offered else ""
            return _page(_said(str(reason)) + offers + form)
        return _page(_DONE)


def _token(path: str) -> str | None:
    before, slash, token = path.partition(f"{PATH}/")
    return token if slash and not before and token else None


def _fields(body: bytes) -> dict[str, str]:
    try:
        return {name: values[-1] for name, values in parse_qs(body.decode("ascii"), max_num_fields=10).items()}
    except ValueError:  # no form at all
        return {}


def _form(before: str, user: str) -> str:
    return (
        f"{before}<h1>Change your password</h1><form method=post>{_OLD % html.escape(user, quote=True)}{_NEW}{_ADVICE}"
    )


def _form_of(holder: str) -> str:
    name = html.escape(holder)
    # The name is there for what keeps a phone's passwords; what is sent of it is not looked at.
    user = f"<input name=user autocomplete=username readonly aria-label='Mail address' value='{name}'>"
    return f"<h1>A new password for {name}</h1><form method=post>{user}{_NEW}{_ADVICE}"


def _said(words: str) -> str:
    return f"<p role=alert><b>{html.escape(words)}</b></p>"


def _page(inside: str) -> Page:
    return Page((_FRAME % inside).encode(), HTML)
