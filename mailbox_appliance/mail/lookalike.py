"""Names made to be taken for other names: what a reader sees, not which code points stand there (after UTS #39).

:func:`skeleton` folds what looks alike into one spelling: letters of other alphabets, digits in the place of letters,
accents, widths, and characters that are not seen at all. Two names with one skeleton look alike. The table is short: it
holds what occurs in forged mail, and it is used to compare with a few names that we know, never to refuse a script.
"""

from __future__ import annotations

import re
import unicodedata

LONGEST = 400  # characters of a name that are looked at

# Directional controls (UAX #9): they turn the order in which a name is shown.
_TURNING = re.compile("[\u202a\u202b\u202d\u202e\u2066-\u2068]")
_UNSEEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]"
)
_ALIKE = {
    **str.maketrans("аɑвԁеёѕіїјкӏмноөрԛтуүхһԝьсԍпгз", "aabdeesiijklmhoopqtyyxhwbcgnre"),  # Cyrillic
    **str.maketrans("αβγεικνορτυχωϲϳ", "abyeiknoptuxwcj"),  # Greek
    **str.maketrans("ıøđħŀɡɩℓǀ|", "iodhlgilll"),  # Latin letters that Unicode does not take apart, and signs
    **str.maketrans("0135$@!", "olessal"),  # digits and signs in the place of letters
}
_WORD = re.compile(r"[^\W\d_]+")
_SCRIPTS = ("LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "HEBREW", "ARABIC")
_ALONE = frozenset({"LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE"})  # alphabets with letters alike


def skeleton(text: str) -> str:
    """What a quick reader sees: lower case, one alphabet, no accents, nothing unseen."""
    text = text[:LONGEST]
    if not text.isascii():
        text = unicodedata.normalize("NFKD", _UNSEEN.sub("", text))
        text = "".join([one for one in text if not unicodedata.combining(one)])
    # A capital i is written like a small l, so both become one.
    folded = text.lower().translate(_ALIKE).replace("i", "l")
    return folded.replace("rn", "m").replace("vv", "w").replace("cl", "d")


def turns_direction(text: str) -> bool:
    """Does it hold characters that override the order in which it is shown? Plain marks (LRM, RLM) do not count."""
    return _TURNING.search(text[:LONGEST]) is not None


def mixes_scripts(text: str) -> bool:
    """Is there one word with letters of two alphabets that look alike?"""
    text = text[:LONGEST]
    if text.isascii():
        return False
    return any(len(_scripts_of(word) & _ALONE) > 1 for word in _WORD.findall(text))


def _scripts_of(word: str) -> set[str]:
    found = set()
    for letter in word:
        name = unicodedata.name(letter, "")
        for script in _SCRIPTS:
            if name.startswith(script):
                found.add(script)
                break
    return found
