"""What old folders are called here: special ones by their use first, then by the names that servers and programs give.

Levels are separated by "." here, so a dot or slash within a level becomes "_"; controls too. Names too long are cut.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from mailbox_appliance.mail.mailbox import INBOX, SEPARATOR, SpecialUse
from mailbox_appliance.wire.imap import utf7

LEVELS = 16
OCTETS = 200
_BAD = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff./]")

# The last level of a name, case folded; English, then what Thunderbird, Outlook, Gmail, Apple and Dovecot installations
# call them in other languages.
NAMES: dict[SpecialUse, frozenset[str]] = {
    SpecialUse.SENT: frozenset(
        "sent|sent items|sent messages|sent mail|sent-mail|sentmail|gesendet|gesendete objekte|gesendete elemente|"
        "gesendete nachrichten|envoyés|éléments envoyés|messages envoyés|objets envoyés|enviados|elementos enviados|"
        "mensajes enviados|posta inviata|inviati|inviata|verzonden|verzonden items|verzonden berichten|wysłane|"
        "elementy wysłane|odeslaná pošta|odeslané|skickat|skickade|sendt|sendte elementer|lähetetyt|"
        "itens enviados|отправленные|надіслані".split("|")
    ),
    SpecialUse.DRAFTS: frozenset(
        "drafts|draft|entwürfe|entwurf|brouillons|brouillon|borradores|borrador|bozze|concepten|rascunhos|"
        "wersje robocze|szkice|koncepty|rozepsané|utkast|kladder|luonnokset|черновики|чернетки".split("|")
    ),
    SpecialUse.TRASH: frozenset(
        "trash|deleted|deleted items|deleted messages|bin|wastebasket|papierkorb|gelöscht|gelöschte objekte|"
        "gelöschte elemente|gelöschte nachrichten|corbeille|éléments supprimés|papelera|elementos eliminados|cestino|"
        "posta eliminata|prullenbak|verwijderde items|lixeira|itens excluídos|lixo|kosz|elementy usunięte|koš|"
        "odstraněná pošta|papperskorg|borttagna objekt|papirkurv|slettet post|roskakori|корзина|кошик".split("|")
    ),
    SpecialUse.JUNK: frozenset(
        "junk|spam|junk e-mail|junk email|junk mail|bulk mail|bulk|spamverdacht|spam-verdacht|unerwünscht|"
        "junk-e-mail|werbung|indésirables|courrier indésirable|pourriel|pourriels|correo no deseado|no deseado|"
        "posta indesiderata|ongewenste e-mail|ongewenst|lixo eletrônico|wiadomości-śmieci|śmieci|nevyžádaná pošta|"
        "skräppost|søppelpost|roskaposti|спам".split("|")
    ),
    SpecialUse.ARCHIVE: frozenset(
        "archive|archives|archiv|archiv|archivo|archivio|archief|arquivo|archiwum|arkiv|arkisto|архив|архів".split("|")
    ),
}
_FIRST = {  # where it goes when the account has no folder for this use
    SpecialUse.SENT: "Sent",
    SpecialUse.DRAFTS: "Drafts",
    SpecialUse.TRASH: "Trash",
    SpecialUse.JUNK: "Junk",
    SpecialUse.ARCHIVE: "Archive",
    SpecialUse.ALL: "Archive",
}
GMAIL = ("[gmail]", "[google mail]")


def use_of(levels: Sequence[str]) -> SpecialUse | None:
    """The use of a folder by its name: one of the top level, or below INBOX or [Gmail].

    >>> use_of(["INBOX", "Gesendet"]).value
    '\\\\Sent'
    """
    if len(levels) == 2 and (levels[0].upper() == INBOX or levels[0].casefold() in GMAIL):
        levels = levels[1:]
    if len(levels) != 1:
        return None
    word = levels[0].casefold().strip()
    return next((use for use, names in NAMES.items() if word in names), None)


def first_name(use: SpecialUse) -> str:
    """What a folder of this use is called when it has to be made."""
    return _FIRST.get(use, "Archive")


def mailbox_of(levels: Sequence[str]) -> str:
    """The mailbox's name out of the levels of the old one.

    >>> mailbox_of(["INBOX", "Projects", "v1.2"])
    'Projects.v1_2'
    """
    levels = [level for level in levels if level]
    if levels and levels[0].upper() == INBOX:
        levels = levels[1:]
        if not levels:
            return INBOX
    elif levels and levels[0].casefold() in GMAIL and len(levels) > 1:
        levels = levels[1:]
    clean = [_BAD.sub("_", level).strip() or "_" for level in levels][:LEVELS]
    if not clean:
        return INBOX
    if clean[0].startswith("~"):
        clean[0] = "_" + clean[0][1:]
    if clean[0].upper() == INBOX:
        clean[0] = "INBOX_"
    name = SEPARATOR.join(clean)
    if len(utf7.encode(name)) <= OCTETS:
        return name
    # Cut, and told from others that begin alike.
    mark = hashlib.sha256(name.encode()).hexdigest()[:8]
    name = name[:OCTETS]
    while len(utf7.encode(name)) > OCTETS - 10:
        name = name[:-1].rstrip(SEPARATOR)
    return f"{name}-{mark}"


def below(folder: str, name: str) -> str:
    """``name`` within ``folder``, for --folder."""
    if not folder:
        return name
    return f"{folder}{SEPARATOR}{name}"


def keyword_of(label: str) -> str:
    """A keyword out of a label: an atom (RFC 3501 §9), "" when nothing of it can be said."""
    word = re.sub(r'[\x00-\x20\x7f(){%*"\\\]]+', "_", label).strip("_")
    return word[:60] if word and word.isascii() else ""
