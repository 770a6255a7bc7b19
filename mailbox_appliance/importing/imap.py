"""Old mail on another server, read by IMAP: TLS verified, huge mailboxes in windows, large messages in pieces.

A connection that breaks is made anew; what was asked is asked again. Gmail shows one message in several folders: there
X-GM-MSGID is the key in all of them, folders of people's own come before "All Mail", and labels become keywords.
"""

from __future__ import annotations

import contextlib
import os
import ssl
import time
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import field
from datetime import datetime
from typing import Any, TypeVar

from mailbox_appliance.importing import labels, names
from mailbox_appliance.importing.found import Known, OldFolder, OldMessage, SourceTrouble, Unreadable
from mailbox_appliance.mail.mailbox import INBOX, SpecialUse
from mailbox_appliance.mail.values import dataclass

T = TypeVar("T")

WINDOW = 200  # messages whose facts are asked at once
TOGETHER = 4 << 20  # octets of small messages fetched in one go
LARGE = 1 << 20  # larger ones are fetched in pieces of this size
SPREAD = 100_000  # UIDs looked through at once
WAITS = (1.0, 5.0, 20.0, 60.0)
TIMEOUT = 120.0
_PORTS = {"implicit": 993, "starttls": 143}
_USES = {use.value.lower(): use for use in SpecialUse}
_VIRTUAL = frozenset(("\\flagged", "\\important"))
_CANNOT = frozenset(("\\noselect", "\\nonexistent"))


@dataclass(frozen=True, slots=True)
class Login:
    """``host`` may be host:port. ``tls``: implicit or starttls; there is no third way. ``only``: one folder."""

    host: str
    user: str
    password: str = field(repr=False)
    tls: str = "implicit"
    trust_anchor: str = ""
    only: str = ""


class ImapSource:
    """importing.found.Source. ``pause`` waits between attempts."""

    def __init__(self, login: Login, pause: Callable[[float], None] = time.sleep) -> None:
        """Raises SourceTrouble for what can be seen without a connection."""
        if login.tls not in _PORTS:
            raise SourceTrouble(f"--tls {login.tls}: write implicit or starttls; a password never goes in the clear")
        host, colon, port = login.host.rpartition(":")
        if not colon or host.endswith(":") or (":" in host and not host.startswith("[")):
            host, port = login.host, ""
        if port and not (port.isdecimal() and 0 < int(port) < 65536):
            raise SourceTrouble(f"{login.host}: {port} is no port")
        self._host = host.strip("[]")
        self._port = int(port) if port else _PORTS[login.tls]
        self._login = login
        self._pause = pause
        self._client: Any = None
        self._selected = ""
        self._is_gmail = False

    @property
    def name(self) -> str:
        return f"imap {self._login.user}@{self._host}:{self._port}"

    def close(self) -> None:
        """Log out."""
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(Exception):
                client.logout()

    # ------------------------------------------------------------ the connection

    def _connect(self) -> Any:
        from imapclient import IMAPClient
        from imapclient.exceptions import LoginError

        context = ssl.create_default_context()
        if self._login.trust_anchor:
            try:
                context.load_verify_locations(self._login.trust_anchor)
            except ssl.SSLError:
                raise SourceTrouble(f"--trust-anchor {self._login.trust_anchor}: no certificate is in it") from None
            except OSError as error:
                raise SourceTrouble(f"--trust-anchor {self._login.trust_anchor}: {error.strerror}") from None
        implicit = self._login.tls == "implicit"
        try:
            client = IMAPClient(
                self._host, self._port, ssl=implicit, ssl_context=context if implicit else None, timeout=TIMEOUT
            )
            if not implicit:
                client.starttls(context)
        except ssl.SSLCertVerificationError as error:
            raise SourceTrouble(
                f"the certificate of {self._host} is not to be trusted ({error.verify_message}): give its certificate "
                "authority's file with --trust-anchor, or its right name"
            ) from None
        client.normalise_times = False
        try:
            client.login(self._login.user, self._login.password)
        except LoginError as error:
            hint = ": Gmail wants an app password (myaccount.google.com/apppasswords)" if "gmail" in self._host else ""
            raise SourceTrouble(f"{self._host} refuses the log-in ({_plain(error)}){hint}") from None
        self._is_gmail = client.has_capability("X-GM-EXT-1")
        return client

    def _do(self, work: Callable[[Any], T]) -> T:
        """``work`` with a connection that has the right folder open; again, when it breaks. Raises SourceTrouble."""
        from imapclient.exceptions import IMAPClientAbortError, IMAPClientError, ProtocolError

        last: Exception | None = None
        for wait in (0.0, *WAITS):
            if wait:
                self._pause(wait)
            try:
                if self._client is None:
                    self._client = self._connect()
                    if self._selected:
                        self._client.select_folder(self._selected, readonly=True)
                return work(self._client)
            except (IMAPClientAbortError, ProtocolError, OSError) as error:
                last = error
                client, self._client = self._client, None
                if client is not None:
                    with contextlib.suppress(Exception):
                        client.shutdown()
            except IMAPClientError as error:
                raise SourceTrouble(
                    f"{self._host} says no: {_plain(error)}; run the import again, it goes on"
                ) from None
        raise SourceTrouble(f"{self._host} cannot be reached ({_plain(last)}); run the import again, it goes on")

    # ------------------------------------------------------------ folders

    def folders(self) -> Sequence[OldFolder]:
        """Raises SourceTrouble."""
        listed = self._do(lambda client: list(client.list_folders()))
        subscribed = {name for _, _, name in self._do(lambda client: list(client.list_sub_folders()))}
        prefixes = self._do(_others)
        found = []
        for flags, delimiter, name in listed:
            words = {_text(flag).lower() for flag in flags}
            if words & (_CANNOT | _VIRTUAL) or any(name.startswith(prefix) for prefix in prefixes):
                continue
            if self._login.only and name != self._login.only:
                continue
            separator = _text(delimiter) if delimiter else "\0"
            levels = str(name).split(separator)
            use = next((_USES[word] for word in words if word in _USES), None) or names.use_of(levels)
            if use is SpecialUse.ALL and not self._is_gmail:
                continue  # a virtual folder: everything in it lies elsewhere
            mailbox = names.mailbox_of(levels)
            if mailbox == INBOX:
                use = None
            if use is not None and not any(word in _USES for word in words):
                # A name only says what a folder is for when no other folder is flagged so.
                flagged = [other for other, _, _ in listed if use.value.lower() in {_text(o).lower() for o in other}]
                use = None if flagged else use
            if use is not None and (len(levels) > 1 and levels[0].casefold() in names.GMAIL):
                mailbox = names.first_name(use)
            found.append(OldFolder(mailbox, str(name), use, name in subscribed or not subscribed))
        if not found:
            raise SourceTrouble(f"{self._host} shows no folder" + (f" {self._login.only}" if self._login.only else ""))
        found.sort(key=lambda one: (_rank(one), one.name))
        return [self._counted(folder) for folder in found]

    def _counted(self, folder: OldFolder) -> OldFolder:
        status = self._do(lambda client: client.folder_status(folder.place, ["MESSAGES"]))
        return OldFolder(folder.name, folder.place, folder.use, folder.subscribed, int(status[b"MESSAGES"]))

    # ------------------------------------------------------------ messages

    def messages(self, folder: OldFolder, known: Known) -> Iterator[OldMessage | Unreadable]:
        """By UID, in windows."""
        self._selected = ""

        def select(client: Any) -> dict[bytes, Any]:
            chosen: dict[bytes, Any] = client.select_folder(folder.place, readonly=True)
            return chosen

        opened = self._do(select)
        self._selected = folder.place
        validity = int(opened.get(b"UIDVALIDITY", 0))
        uids = self._uids(int(opened.get(b"UIDNEXT", 0)), int(opened.get(b"EXISTS", 0)))
        for start in range(0, len(uids), WINDOW):
            window = list(uids[start : start + WINDOW])
            keys = {uid: f"{validity}.{uid}" for uid in window}
            there = set() if self._is_gmail else known(list(keys.values()))
            window = [uid for uid in window if keys[uid] not in there]
            if window:
                yield from self._window(folder, window, keys)

    def _uids(self, uidnext: int, exists: int) -> array[int]:
        found: array[int] = array("L")
        if not exists:
            return found
        if exists < SPREAD or not uidnext or uidnext > 40 * SPREAD:
            found.extend(sorted(self._do(lambda client: client.search("ALL"))))
            return found
        for first in range(1, uidnext, SPREAD):
            span = f"{first}:{first + SPREAD - 1}"
            found.extend(sorted(self._do(lambda client, span=span: client.search(["UID", span]))))  # type: ignore[misc]
        return found

    def _window(self, folder: OldFolder, uids: list[int], keys: dict[int, str]) -> Iterator[OldMessage | Unreadable]:
        asked = ["FLAGS", "INTERNALDATE", "RFC822.SIZE"]
        if self._is_gmail:
            asked += ["X-GM-MSGID", "X-GM-LABELS"]
        facts = self._do(lambda client: client.fetch(uids, asked))
        held: dict[int, bytes] = {}
        queue = [uid for uid in uids if uid in facts]
        for at, uid in enumerate(queue):
            size = int(facts[uid].get(b"RFC822.SIZE", 0))
            if size < LARGE and uid not in held:
                held = self._fetch_some(queue[at:], facts)
            yield self._message(folder, uid, facts[uid], keys[uid], held.pop(uid, None), size)

    def _fetch_some(self, queue: list[int], facts: dict[int, dict[bytes, Any]]) -> dict[int, bytes]:
        chosen: list[int] = []
        octets = 0
        for uid in queue:
            size = int(facts[uid].get(b"RFC822.SIZE", 0))
            if size >= LARGE:
                continue
            if chosen and octets + size > TOGETHER:
                break
            chosen.append(uid)
            octets += size
        answer = self._do(lambda client: client.fetch(chosen, ["BODY.PEEK[]"]))
        return {uid: data[b"BODY[]"] for uid, data in answer.items() if data.get(b"BODY[]") is not None}

    def _message(
        self, folder: OldFolder, uid: int, facts: dict[bytes, Any], key: str, octets: bytes | None, size: int
    ) -> OldMessage | Unreadable:
        label = f"{folder.place}: UID {uid}"
        if octets is None and size < LARGE:
            return Unreadable(label, "the old server does not hand it out")
        flags = {_text(flag) for flag in facts.get(b"FLAGS", ())}
        flags = {_flag(one) for one in flags if _flag(one)}
        key_folder = None
        if self._is_gmail and b"X-GM-MSGID" in facts:
            key, key_folder = str(facts[b"X-GM-MSGID"]), "gmail"
            flags |= _labels(facts.get(b"X-GM-LABELS", ()), folder)
        moment = facts.get(b"INTERNALDATE")
        date, zone = _moment(moment)

        def read() -> Iterable[bytes]:
            return [octets] if octets is not None else self._pieces(uid)

        return OldMessage(key, read, frozenset(flags), date, zone, key_folder=key_folder, label=label)

    def _pieces(self, uid: int) -> Iterator[bytes]:
        at = 0
        while True:
            asked = f"BODY.PEEK[]<{at}.{LARGE}>"
            answer = self._do(lambda client, asked=asked: client.fetch([uid], [asked]))  # type: ignore[misc]
            piece: bytes = next(
                (value for name, value in answer.get(uid, {}).items() if name.startswith(b"BODY[]") and value), b""
            )
            if not piece:
                if not at:
                    raise FileNotFoundError(2, "the old server does not hand it out")
                return
            yield piece
            at += len(piece)
            if len(piece) < LARGE:
                return


def _others(client: Any) -> list[str]:
    """What other people's and shared folders begin with."""
    if not client.has_capability("NAMESPACE"):
        return []
    space = client.namespace()
    return [_text(prefix) for part in (space.other, space.shared) for prefix, _ in part or () if prefix]


def _rank(folder: OldFolder) -> int:
    """INBOX first; "All Mail" last, where most of it has been met already; junk and trash before that."""
    if folder.name == INBOX:
        return 0
    ranks = {SpecialUse.SENT: 1, SpecialUse.DRAFTS: 1, SpecialUse.JUNK: 3, SpecialUse.TRASH: 3, SpecialUse.ALL: 4}
    return ranks.get(folder.use, 2) if folder.use is not None else 2


def _labels(found: Iterable[object], folder: OldFolder) -> set[str]:
    own = [label for one in found if not (label := _text(one)).startswith("\\") and label != folder.place]
    return labels.keywords(own)


def _flag(text: str) -> str:
    if text.startswith("\\"):
        return "\\" + text[1:].capitalize() if text.lower() != "\\recent" else ""
    return names.keyword_of(text)


def _moment(moment: object) -> tuple[float | None, int]:
    if not isinstance(moment, datetime):
        return None, 0
    offset = moment.utcoffset()
    return moment.timestamp(), int(offset.total_seconds() // 60) if offset is not None else 0


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _plain(error: object) -> str:
    text = os.fsdecode(str(error).encode("utf-8", "replace"))
    return "".join(c if c.isprintable() else " " for c in text)[:300]
