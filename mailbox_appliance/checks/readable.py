"""What a reader sees of a text, and where it leads: HTML without its markup, links with the words they hide behind.

Not a browser: a few bounded passes of C code over the first octets of each text, enough to ask questions about them.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

from mailbox_appliance.mail.html import html_to_text
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.mail.verdict import Evidence

MOST_TEXT = 12_000  # characters a reader would see, of all texts
MOST_LINKS = 100
LONGEST_LINK = 2_000
LONGEST_SHOWN = 200

_TAG = re.compile(r"<[a-zA-Z/!?][^<>]{0,2000}>")
_HREF = re.compile(r"""\b(?:href|action)\s*=\s*(?:"([^"]{1,2000})"|'([^']{1,2000})'|([^\s"'>]{1,2000}))""", re.I)
_BARE = re.compile(r"\bhttps?://[^\s<>\"')\]]{3,1000}", re.IGNORECASE)
_UNSEEN_STYLE = (
    r"(?:display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*[01](?:\.\d+)?(?:px|pt|em|%)?\s*[;\"'!]"
    r"|opacity\s*:\s*0\s*[;\"']|(?<![-\w])color\s*:\s*(?:#fff(?:fff)?\b|white\b|transparent))"
)
_UNSEEN = re.compile(
    r"<(?:div|span|p|td|font|center|section)\b[^<>]{0,300}" + _UNSEEN_STYLE + r"[^<>]{0,400}>([^<]{40,6000})", re.I
)
_HAS_BACKGROUND = re.compile(r"background|bgcolor", re.I)
_SCRIPT = re.compile(r"<script\b(?![^>]{0,200}ld\+json)|\bon(?:load|error|click)\s*=", re.I)
_PASSWORD = re.compile(r"<input\b[^>]{0,400}type\s*=\s*[\"']?password\b", re.I)
_TORN = re.compile("(?<=[A-Za-z])[\u00ad\u200b-\u200d\u2060\ufeff]+(?=[A-Za-z])")
_KEY = re.compile(
    r"\b(?:password|passwort|kennwort|passcode|mot de passe|contrase(?:n|ñ)a|wachtwoord|pass|pw|pin)\b[^.\n]{0,20}?"
    r"[:=]?\s*\w*\d\w*",
    re.IGNORECASE,
)
_UNSEEN_SIGNS = re.compile("[\u00ad\u034f\u200b-\u200f\u2060-\u2064\ufeff]")


@dataclass(frozen=True, slots=True)
class Link:
    """Where it leads, and the words that are shown for it ("" for an address that stands in the text)."""

    target: str
    shown: str = ""


@dataclass(frozen=True, slots=True)
class Readable:
    """``text`` is what is seen, with blanks for line ends and without signs that are not seen; ``unseen`` counts the
    letters of text that is there and not shown, ``torn`` the words with unseen signs within."""

    text: str = ""
    links: tuple[Link, ...] = ()
    unseen: int = 0
    torn: int = 0
    asks_password: bool = False
    has_script: bool = False
    has_picture: bool = False
    is_invitation: bool = False


MOST_UNSEEN = 300  # letters: a newsletter's line for the list of messages is shorter
MOST_TORN = 3
FEW = 20  # letters


def check_text(seen: Readable) -> list[Evidence]:
    """How it is made: the worst of it counts, once."""
    letters = _letters(seen.text) if seen.unseen > MOST_UNSEEN or seen.has_picture else FEW
    found = (
        (seen.asks_password, "password", "the letter itself asks for a password"),
        (seen.torn >= MOST_TORN, "torn", f"{seen.torn} words are torn by signs that are not seen"),
        (seen.unseen > max(MOST_UNSEEN, letters // 2), "padded", f"{seen.unseen} letters are there and not shown"),
        (seen.has_picture and letters < FEW, "picture", "nothing but a picture to read"),
        (seen.has_script, "script", "a letter with a program in it"),
        (seen.is_invitation, "invitation", "an appointment that goes into calendars by itself"),
    )
    for there, result, reason in found:
        if there:
            return [Evidence("text", result, reason=reason, remedy="a plain letter")]
    return []


def names_a_key(text: str) -> bool:
    """Does a password stand in the letter?"""
    return _KEY.search(text) is not None


def read_texts(texts: Iterable[tuple[str, str]]) -> Readable:
    """``texts``: subtype and content of each text of a message, in their order."""
    seen: list[str] = []
    links: dict[Link, None] = {}
    unseen = torn = 0
    password = script = picture = invitation = False
    for subtype, text in texts:
        if subtype == "html":
            low = text.lower()
            password = password or ("password" in low and _PASSWORD.search(text) is not None)
            script = script or (("<script" in low or " on" in low) and _SCRIPT.search(text) is not None)
            picture = picture or "<img" in low
            _take_anchors(text, low, links)
            if "style" in low:
                unseen += sum(_letters(one) for one in _hidden(text))
            text = html_to_text(text)
        elif subtype == "calendar":
            invitation = invitation or "method:request" in text.lower()
            text = text.replace("\r", "").replace("\n ", "").replace("\\n", " ").replace("\\,", ",")
        if not text.isascii():
            if subtype != "calendar":
                torn += len(_TORN.findall(text))
            text = _UNSEEN_SIGNS.sub("", text)
        for match in _BARE.finditer(text) if "://" in text else ():
            if len(links) >= MOST_LINKS:
                break
            links.setdefault(Link(match[0].rstrip(".,;:!?")))
        seen.append(" ".join(text.split())[:MOST_TEXT])
    return Readable(" ".join(seen)[:MOST_TEXT], tuple(links), unseen, torn, password, script, picture, invitation)


def _take_anchors(text: str, low: str, links: dict[Link, None]) -> None:
    """Every <a href> with its words, and where a form is sent."""
    for opening in ("<a ", "<a\n", "<form", "<area"):
        at = low.find(opening)
        while at >= 0 and len(links) < MOST_LINKS:
            end = text.find(">", at, at + LONGEST_LINK)
            found = _HREF.search(text, at, end) if end > 0 else None
            if found is not None:
                target = html.unescape(found[1] or found[2] or found[3] or "").strip()
                words = ""
                if opening.startswith("<a"):
                    close = low.find("</a", end, end + 1500)
                    words = _TAG.sub(" ", text[end + 1 : close if close >= 0 else end + 1 + LONGEST_SHOWN])
                links.setdefault(Link(target, " ".join(html.unescape(words).split())[:LONGEST_SHOWN]))
            at = low.find(opening, max(end, at + 2))


def _hidden(text: str) -> Iterable[str]:
    for match in _UNSEEN.finditer(text):
        opening = match[0][: match.start(1) - match.start()]
        # White letters on a ground of their own are a button.
        if "none" not in opening and "hidden" not in opening and _HAS_BACKGROUND.search(opening):
            continue
        yield match[1]


def _letters(text: str) -> int:
    return sum(map(str.isalpha, html.unescape(text)))
