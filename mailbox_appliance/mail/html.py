"""HTML as plain text, for search and preview: tags and what is not shown go, entities become characters.

Not a browser: patterns that are linear on any input, no tree.
"""

from __future__ import annotations

import html
import re

# Elements whose content is not text, comments, then any tag. Unclosed ones run to the end.
_UNSEEN = re.compile(
    r"<!--.*?(?:-->|\Z)|<(script|style|title|head)\b(?:[^<]|<(?!/\1\b))*(?:</\1\s*>|\Z)", re.IGNORECASE | re.DOTALL
)
_BREAK = re.compile(r"</?(?:p|div|br|tr|td|th|li|ul|ol|h[1-6]|table|blockquote|hr|pre)\b[^>]*>", re.IGNORECASE)
_TAG = re.compile(r"<[A-Za-z/!?][^>]*>?")
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});?")


def html_to_text(text: str) -> str:
    """The text a reader would see; block elements part words by a blank."""
    if "<" in text:
        text = _UNSEEN.sub(" ", text)
        text = _BREAK.sub(" ", text)
        text = _TAG.sub("", text)
    if "&" in text:
        text = _ENTITY.sub(lambda match: html.unescape(match[0]), text)
    return text
