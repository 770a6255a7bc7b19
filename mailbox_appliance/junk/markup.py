"""What HTML does besides carrying text: pictures, forms, scripts, hidden and torn words."""

from __future__ import annotations

import re

from mailbox_appliance.mail.html import html_to_text

# All of lower-case text.
_TAG = re.compile(r"<(!--|/?[a-z][a-z0-9]{0,11})")
_ATTRIBUTE = re.compile(r"\s([a-z]{3,10})=[\"']?\s?([#\w%+.,:/@?&=;~!*()$-]{1,300})")
_LOOKS = frozenset("bgcolor color face size width height align border style background method type".split())
_LEADS = frozenset("href src background action".split())
# It begins with what is searched for, then looks back: ten times as fast as beginning with any letter.
_TORN = re.compile(r"<(?<=[a-z]<)[^>]{0,40}>(?:<[^>]{0,40}>){0,2}[a-z]")


def markup_tokens(html: str) -> tuple[list[bytes], str, str]:
    """Facts, the visible text, and the addresses of links and pictures (joined by blanks)."""
    out: set[str] = set()
    low = html.lower()
    tags = _TAG.findall(low)[:1500]
    kinds = set(tags)
    out.update([f"tag {kind}" for kind in kinds if kind[0] != "/"])
    links: list[str] = []
    for name, value in _ATTRIBUTE.findall(low)[:400]:
        if name in _LOOKS:
            out.add(f"attribute {value[:16]}")
        if name in _LEADS:
            links.append(value)
            if name == "src":
                out.add(f"source {value.partition(':')[0][:5]}")
    for kind in ("img", "a", "table", "font", "!--", "br"):
        count = tags.count(kind)
        if count > 1:
            out.add(f"many {kind} {min(count.bit_length(), 7)}")
    torn = len(_TORN.findall(low[:8000]))
    if torn:
        out.add(f"torn words {min(torn.bit_length(), 5)}")
    text = html_to_text(html)
    if any(link[:7] == "mailto:" for link in links):
        out.add("mailto link")
    share = len(text.split()) * 20 // (len(html) // 10 + 1)
    out.add(f"text share {min(share, 12)}")
    return (
        [token.encode("utf-8", "replace") for token in out],
        text,
        " ".join(links[:120]),
    )
