"""One password, judged as a guesser would see it: zxcvbn with the account's own words and a few everyday ones of ours.

Runs in a child process or in the command line's: the word lists take some 10 MB, which end with it.
"""

from __future__ import annotations

import itertools
import re
import secrets
from collections.abc import Iterator, Sequence
from importlib.resources import files
from typing import Any

from mailbox_appliance.users.strength.candidates import candidates, shipped

# So many guesses must be needed at least: some weeks for one processor that has stolen the hashes (50 a second), and
# more than anybody ever tries at the door.
ENOUGH = 10**8
LONGEST_JUDGED = 72  # the work grows with the square; what is longer is judged by its beginning
SHORTEST_NAME = 3
GUESSES_OF_NAMES = 1000  # what names that everybody knows add to the work
EARLY = 40_000  # what the nightly pass tries within its first quarter of an hour is refused whatever else is true
WORTH_OF_SIGNS = 10  # what "!" and the like behind words add, and "-" between names
_OUTER = re.compile(r"^[\W_]+|[\W_]+$")
_SIGNS = re.compile(r"[\W_]+")
_TIES = re.compile(r"und|and|loves?|liebt|forever|4ever|family|familie")  # between the names of people
_NEW_YEAR = re.compile(r"20[2-4](\d)")  # zxcvbn knows those up to 2019
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ß": "ss"})
_QWERTZ = str.maketrans("yzYZ", "zyZY")
_AZERTY = str.maketrans("aqzwAQZW", "qawzQAWZ")
# Long enough for everything but fame.
_FAMOUS = frozenset(
    "correcthorsebatterystaple tr0ub4dor3 thequickbrownfox thequickbrownfoxjumpsoverthelazydog maytheforcebewithyou "
    "tobeornottobe tobeornottobethatisthequestion iamyourfather loremipsumdolor loremipsumdolorsitamet "
    "youshallnotpass winteriscoming".split()
)
PASSPHRASE_WORDS = 5
PASSPHRASE_LIST = 8192  # words to choose from: 13 bits each

REMEDY = "use four or five words that have nothing to do with one another, or let a password be made"
_WHY = {
    "names": "the password is made of names that everybody can find out: yours, your family's, your domain's",
    "common": "the password is among those that are tried first, or nearly so",
    "word": "the password is a word or a name with little added",
    "spatial": "the password is a walk over the keyboard",
    "repeat": "the password repeats itself",
    "sequence": "the password is a sequence such as abc or 123",
    "date": "the password is a date, or a word with a date",
    "regex": "the password is a word with a year",
    "bruteforce": "the password is too short or too simple",
}


def everyday() -> list[str]:
    """Our own list: words of a household in several languages, the plainest first."""
    return files("mailbox_appliance.users.strength").joinpath("words.txt").read_text("utf-8").split()


def judge(password: str, words: Sequence[str]) -> str:
    """Why ``password`` is too easily guessed, with the remedy; "" when it is good. Nothing of it is in the answer."""
    kind = _weakness(password, words)
    return f"{_WHY[kind]}: {REMEDY}" if kind else ""


def _weakness(password: str, words: Sequence[str]) -> str:
    if _SIGNS.sub("", password.lower()) in _FAMOUS:
        return "common"
    for reading, worth in _readings(password):
        found = _weighed(reading, words)
        if found["guesses"] * worth < ENOUGH:
            return _kind(found["sequence"], frozenset(words))
    # Where several names follow one another zxcvbn counts their arrangement for much; a guesser does not.
    rest = password.lower()
    for word in sorted(words, key=len, reverse=True):
        rest = rest.replace(word, "") if len(word) >= SHORTEST_NAME else rest
    if len(rest) < len(password):
        tied = _SIGNS.sub("", _TIES.sub("", _NEW_YEAR.sub(r"201\1", rest)))
        for left, worth in ((rest, 1), (tied, WORTH_OF_SIGNS)):
            if _weighed(left, ())["guesses"] * GUESSES_OF_NAMES * worth < ENOUGH:
                return "names"
    early = itertools.islice(candidates(words, shipped(everyday())), EARLY)
    return next((kind if kind in _WHY else "common" for one, kind in early if one == password), "")


def _readings(password: str) -> Iterator[tuple[str, int]]:
    """As it is, and as somebody reads it who knows more than zxcvbn: years after 2019, umlauts, other keyboards, signs
    before and behind. With each, by how many times it is harder to guess for that."""
    plain = _NEW_YEAR.sub(r"201\1", password.translate(_UMLAUTS))
    without = _OUTER.sub("", plain)
    seen = {""}
    for reading, worth in (
        (password, 1),
        (plain, 1),
        (plain.translate(_QWERTZ), 2),
        (plain.translate(_AZERTY), 2),
        (without, WORTH_OF_SIGNS),
    ):
        if reading not in seen:
            seen.add(reading)
            yield reading, worth


def _weighed(password: str, words: Sequence[str]) -> dict[str, Any]:
    """zxcvbn's answer; it knows no empty password."""
    from zxcvbn import zxcvbn

    begin = password[:LONGEST_JUDGED]
    if not begin:
        return {"guesses": 1, "sequence": []}
    found: dict[str, Any] = zxcvbn(begin, user_inputs=[*words, *everyday()], max_length=LONGEST_JUDGED)
    return found


def _kind(sequence: Sequence[dict[str, Any]], words: frozenset[str]) -> str:
    """What its longest understood part is."""
    known = [match for match in sequence if match["pattern"] != "bruteforce"]
    if not known:
        return "bruteforce"
    longest = max(known, key=lambda match: len(match["token"]))
    if longest["pattern"] != "dictionary":
        return str(longest["pattern"]) if longest["pattern"] in _WHY else "bruteforce"
    if longest["dictionary_name"] == "user_inputs":
        return "names" if longest["matched_word"] in words else "common"
    return "common" if longest["dictionary_name"] == "passwords" else "word"


def passphrases(count: int) -> list[str]:
    """Passphrases made by chance: five words of 13 bits each, easily read out and typed."""
    from zxcvbn.frequency_lists import FREQUENCY_LISTS

    known = [
        one for one in FREQUENCY_LISTS["english_wikipedia"] if one.isascii() and one.isalpha() and 4 <= len(one) <= 8
    ]
    chosen = known[:PASSPHRASE_LIST]
    return ["-".join(secrets.choice(chosen) for _ in range(PASSPHRASE_WORDS)) for _ in range(count)]


class JudgedHere:
    """Fits spawned.Judge in a process that ends soon anyway: the command line's."""

    async def judge(self, password: str, words: Sequence[str]) -> str:
        """Why it is weak, or ""."""
        return judge(password, words)
