"""What is junk: ``spam train`` teaches the filter from files, ``spam why`` explains a verdict."""

from __future__ import annotations

import base64
import binascii
import sqlite3
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from mailbox_appliance.admin.judgements import JUDGED, JUDGED_FOR, finding, told
from mailbox_appliance.admin.result import Refused, Result
from mailbox_appliance.admin.verb import Arguments
from mailbox_appliance.admin.words import address_argument, moment_words, text_argument
from mailbox_appliance.database import DatabaseTrouble
from mailbox_appliance.journal.lines import parse_facts
from mailbox_appliance.mail.address import Address, AddressError
from mailbox_appliance.mail.authfields import seen_words
from mailbox_appliance.mail.header import header_end
from mailbox_appliance.mail.mbox import messages_of
from mailbox_appliance.mail.message import Content
from mailbox_appliance.mail.search import InHeader
from mailbox_appliance.ports.junk import JunkFilter
from mailbox_appliance.ports.store import Bystander, Mailstore, StoreError, Stores
from mailbox_appliance.ports.users import Directory
from mailbox_appliance.ports.workers import Busy


class TrainDesk:
    """Lessons from files. ``breathe`` is awaited between two of them."""

    def __init__(
        self, junk: JunkFilter, directory: Directory, hostname: Callable[[], str], breathe: Callable[[], Any]
    ) -> None:
        self._filter = junk
        self._directory = directory
        self._hostname = hostname
        self._breathe = breathe

    async def train(self, arguments: Arguments) -> Result:
        """Learn each message of each file."""
        account = address_argument(arguments).folded()
        if account not in await self._directory.accounts():
            raise Refused(f"there is no account {account}")
        junk, ham = bool(arguments.get("junk")), bool(arguments.get("ham"))
        if junk is ham:
            raise Refused("say what the files are: --junk or --ham, one of the two")
        learnt = 0
        for name, octets in files_of(arguments.get("files")):
            messages = messages_of(octets)
            if not messages:
                raise Refused(f"{name} holds no message; {learnt} were learnt before it")
            for message in messages:
                try:
                    await self._filter.learn(account, message, junk, seen_words(message, self._hostname()))
                except (OSError, DatabaseTrouble, sqlite3.Error, Busy) as error:
                    raise Refused(f"{name} could not be learnt: {error}; {learnt} were learnt before it") from error
                learnt += 1
                await self._breathe()
        words = "junk" if junk else "wanted mail"
        data = {"account": str(account), "learnt": learnt, "junk": junk}
        return Result((f"learnt {learnt} message(s) as {words} for {account}",), data=data)


class Trails(Protocol):
    """Filled by the journal."""

    def search(self, text: str) -> Awaitable[tuple[Any, ...]]:
        """The steps that ``text`` names, oldest first."""


_NOTHING = (
    "nothing has judged {text}: it is unknown, it came from our own people, or checks are off and nobody has taught"
)
_KEPT = ("delivery.kept", "delivery.rested")
_ELSEWHERE = ("INBOX", "Junk")
_LOOKED_AT = 5_000  # the newest messages of a mailbox
_READ = 1 << 17


class WhyDesk:
    """Figures from the journal, words from the message itself: the journal holds none of those."""

    def __init__(self, trails: Trails, stores: Stores, junk: JunkFilter, hostname: Callable[[], str]) -> None:
        self._trails = trails
        self._stores = stores
        self._filter = junk
        self._hostname = hostname

    async def why(self, arguments: Arguments) -> Result:
        """Tell what is known of the message, or of the newest that ``id`` (an address, a Message-ID) names."""
        text = text_argument(arguments, "id")
        found = await self._trails.search(text)
        judged = list(dict.fromkeys(step.trace for step in reversed(found) if step.name in (JUDGED, JUDGED_FOR)))
        if not judged:
            raise Refused(_NOTHING.format(text=text))
        trace = judged[0]
        steps = [step for step in found if step.trace == trace]
        lines: list[str] = []
        if trace != text:
            more = f"; others: {', '.join(judged[1:6])}" if judged[1:] else ""
            lines = [
                f"the newest of {len(judged)} that {text} names is {trace}, of {moment_words(steps[0].time)}{more}"
            ]
        data: list[dict[str, Any]] = []
        for step in steps:
            if step.name in (JUDGED, JUDGED_FOR):
                one = finding(step.facts)
                data.append(one | {"id": trace})
                lines += [*([""] if lines else []), *told(one)]
        for step in steps:
            if step.name in _KEPT:
                facts = parse_facts(step.facts)
                tokens = await self._tokens(trace, facts.get("account", ""), facts.get("mailbox", ""))
                if tokens is not None:
                    lines += ["", *tokens[0]]
                    data.append(tokens[1])
        return Result((*lines, *_remedies(data)), data=data)

    async def _tokens(self, trace: str, account: str, mailbox: str) -> tuple[list[str], dict[str, Any]] | None:
        """The strongest tokens of the copy that ``account`` has; None where it is not found."""
        try:
            person = Address.parse(account)
            store = await self._stores.of(person)
        except (AddressError, StoreError):
            return None
        for name in dict.fromkeys((mailbox, *_ELSEWHERE)):
            octets = await self._octets(store, name, trace)
            if octets is None:
                continue
            end = header_end(octets)
            content = Content(octets[:end], octets[end:], octets.count(b"\n"))
            judged = await self._filter.judge(person, content, seen_words(octets, self._hostname()), explain=True)
            kind = "junk" if judged.is_junk else "wanted mail"
            lines = [f"{person}'s junk filter now takes the copy in {name} for {kind} ({judged.probability:.2f}):"]
            lines += [f"  {token.weight:+6.2f}  {token.text}" for token in judged.tokens]
            rows = [{"token": token.text, "weight": token.weight} for token in judged.tokens]
            return lines, {
                "account": account, "mailbox": name, "probability": judged.probability, "score": judged.score,
                "lessons": judged.lessons, "tokens": rows,
            }  # fmt: skip
        return None

    async def _octets(self, store: Mailstore, name: str, trace: str) -> bytes | None:
        watcher = Bystander()
        try:
            box = await store.open(name, watcher, read_only=True)
        except StoreError:
            return None
        try:
            uids = list(box.uids)[-_LOOKED_AT:]
            found = await box.search(InHeader("received", trace), uids, 0)
            async for batch in box.files(list(found)[:1]):
                for file in batch:
                    try:
                        return (await file.read(0, min(file.size, _READ))).replace(b"\r\n", b"\n")
                    finally:
                        file.close()
        except StoreError:
            return None
        finally:
            box.release(watcher)
        return None


def _remedies(data: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """The command that makes it otherwise the next time, for each whose copy was judged."""
    author = next((one["author"] for one in data if one.get("author")), "")
    lines = []
    for one in data:
        account = one.get("whose", "")
        if not author or "@" not in account:
            continue
        verb = "block" if one["verdict"] == "accept" else "allow"
        if (verb, one["verdict"]) == ("allow", "defer") or "sender " in one["reason"]:
            continue
        lines.append(f"  mailappliance sender {verb} {account} {author}")
    return ("", "to have it otherwise the next time:", *lines) if lines else ()


def files_of(given: object) -> Sequence[tuple[str, bytes]]:
    """What the command line has read: name and octets. Raises Refused."""
    found = []
    for one in given if isinstance(given, list) else ():
        if not isinstance(one, Mapping):
            raise Refused("the files did not come over whole")
        try:
            found.append((str(one["name"]), base64.b64decode(one["octets"], validate=True)))
        except (KeyError, TypeError, binascii.Error):
            raise Refused("the files did not come over whole") from None
    if not found:
        raise Refused("no file was given")
    return found
