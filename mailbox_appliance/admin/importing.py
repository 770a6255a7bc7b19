"""import maildir|mbox|imap: what the owner types, done by the command line's own process, which reads the old mail.

What is read is handed to whoever keeps the mail (``FilingDesk``), in batches, so that the service goes on meanwhile and
its rules of UIDs, quota and locks hold. This process yields to others (nice) and its memory does not grow.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from mailbox_appliance.admin.filing import ROOM
from mailbox_appliance.admin.result import Refused, Result, listing, refusing
from mailbox_appliance.admin.verb import Arguments
from mailbox_appliance.admin.words import address_argument, text_argument
from mailbox_appliance.importing.filing import FilingRefused, Ready, Wanted
from mailbox_appliance.importing.found import Source, SourceTrouble
from mailbox_appliance.importing.ledger import Item, Ledger
from mailbox_appliance.importing.run import Import, Screen, Summary
from mailbox_appliance.mail.mailbox import SpecialUse

NICE = 10
Ask = Callable[[str, str, Mapping[str, Any]], Result]


class DeskFiling:
    """importing.filing.Filing: asks the FilingDesk, wherever it is."""

    def __init__(self, ask: Ask, account: str) -> None:
        self._ask = ask
        self._account = account

    def _do(self, verb: str, **arguments: Any) -> Any:
        try:
            return self._ask("import", verb, {"address": self._account, **arguments}).data
        except Refused as refused:
            raise FilingRefused(str(refused)) from None

    def ready(self, wanted: Sequence[Wanted]) -> Sequence[Ready]:
        said = [[one.name, one.use.value if one.use else "", one.subscribed] for one in wanted]
        return [Ready(*found) for found in self._do("ready", wanted=said)]

    def take(self, file: str, items: Sequence[Item]) -> tuple[Mapping[str, int], Mapping[int, str]]:
        said = [[one.mailbox, one.offset, one.octets, one.lines, list(one.flags), one.date, one.zone] for one in items]
        answer = self._do("take", file=os.path.basename(file), items=said)
        return answer["uidnext"], {int(at): str(why) for at, why in answer["refused"].items()}

    def seek(self, mailbox: str, uidnext: int, items: Sequence[Item]) -> Sequence[bool]:
        said = [[one.digest, one.octets + one.lines] for one in items]
        return [bool(there) for there in self._do("seek", mailbox=mailbox, uidnext=uidnext, items=said)]

    def adopt(self, mailbox: str, staged: str, use: SpecialUse | None) -> int:
        return int(self._do("adopt", mailbox=mailbox, staged=staged, use=use.value if use else ""))


class Outside(Protocol):
    """What the command line gives: where STATE is, whom to ask, whom to tell."""

    def state(self) -> str:
        """STATE. Raises Refused, ConfigWrong."""

    def ask(self, noun: str, verb: str, arguments: Mapping[str, Any]) -> Result:
        """Have the keeper do it. Raises Refused."""

    def screen(self, remark: Callable[[str, str], None]) -> Any:
        """A context manager that is a Screen inside; remarks are passed on to ``remark`` as well."""

    def close(self) -> None:
        """Nobody is asked any more."""


class ImportDesk:
    """import maildir|mbox|imap"""

    def __init__(self, outside: Outside) -> None:
        self._outside = outside

    async def maildir(self, arguments: Arguments) -> Result:
        """A Maildir, Dovecot's with its UIDs."""
        from mailbox_appliance.importing.maildir import MaildirSource

        return self._run(MaildirSource(text_argument(arguments, "path")), arguments, takes_over=True)

    async def mbox(self, arguments: Arguments) -> Result:
        """An mbox file or a folder of them."""
        from mailbox_appliance.importing.mbox import MboxSource

        return self._run(MboxSource(text_argument(arguments, "path")), arguments)

    async def imap(self, arguments: Arguments) -> Result:
        """Another server's account."""
        from mailbox_appliance.importing.imap import ImapSource, Login

        login = Login(
            text_argument(arguments, "host"),
            text_argument(arguments, "user"),
            _password(arguments),
            str(arguments.get("tls") or "implicit"),
            str(arguments.get("trust_anchor") or ""),
            str(arguments.get("only") or ""),
        )
        with refusing(SourceTrouble):
            source = ImapSource(login)
        return self._run(source, arguments)

    def _run(self, source: Source, arguments: Arguments, *, takes_over: bool = False) -> Result:
        try:
            if arguments.get("dry_run"):
                return _plan(source, str(arguments.get("folder") or ""))
            return self._import(source, arguments, takes_over)
        except (SourceTrouble, FilingRefused) as trouble:
            raise Refused(str(trouble)) from None
        except OSError as error:
            raise Refused(
                f"{error.filename or 'the old mail'}: {error.strerror or error}; run the import again"
            ) from None
        finally:
            source.close()
            self._outside.close()

    def _import(self, source: Source, arguments: Arguments, takes_over: bool) -> Result:
        account = str(address_argument(arguments)).lower()
        state = self._outside.state()
        os.nice(NICE)
        owner = _owner(state)
        home = os.path.join(state, "mail", account.partition("@")[2], account.partition("@")[0])
        if os.path.realpath(str(arguments.get("path") or "")).startswith(os.path.realpath(home) + os.sep):
            raise Refused("this Maildir lies in its place already: mail programs go on with it as it is")
        filing = DeskFiling(self._outside.ask, account)
        filing.ready([])  # is there such an account?
        room = os.path.join(state, ROOM)
        _make_room(room, owner)
        report = os.path.join(room, f"{account}.report")
        with _reporting(report, owner) as remark, self._outside.screen(remark) as screen:
            ledger = Ledger(room, account, source.name, owner)
            try:
                summary = self._go(source, filing, ledger, room, screen, arguments, home if takes_over else "", owner)
            finally:
                ledger.close()
        words = _words(summary)
        self._outside.ask("import", "end", {"address": account, "words": f"{source.name.split()[0]}: {words[0]}"})
        if summary.refused:
            words.append(f"each of them is named in {report}")
        data = {
            "filed": summary.filed, "adopted": summary.adopted, "there": summary.there, "refused": summary.refused,
            "mailboxes": summary.folders,
        }  # fmt: skip
        return Result(tuple(words), data=data)

    def _go(
        self,
        source: Source,
        filing: DeskFiling,
        ledger: Ledger,
        room: str,
        screen: Screen,
        arguments: Arguments,
        home: str,
        owner: tuple[int, int] | None,
    ) -> Summary:
        from mailbox_appliance.importing.adopt import TakingOver

        under = str(arguments.get("folder") or "")
        run = Import(source, filing, ledger, room, screen, under=under, owner=owner)
        return run.run(TakingOver(home, owner) if home else None)


def _password(arguments: Arguments) -> str:
    path = arguments.get("password_file")
    if path:
        try:
            with open(str(path), encoding="utf-8") as file:
                return file.readline().rstrip("\r\n")
        except UnicodeDecodeError:
            raise Refused(f"--password-file {path}: it is not UTF-8 text") from None
        except OSError as error:
            raise Refused(f"--password-file {path}: {error.strerror}") from None
    password = arguments.get("password")
    if not isinstance(password, str) or not password:
        raise Refused("the password of the old account is missing: type it, or give --password-file")
    return password


def _plan(source: Source, under: str) -> Result:
    rows = [
        {
            "old_folder": os.path.basename(one.place) if os.sep in one.place else one.place,
            "mailbox": f"{under}.{one.name}" if under else one.name,
            "use": one.use.value if one.use and not under else "",
            "amount": one.total,
        }
        for one in source.folders()
    ]
    return listing(("old_folder", "mailbox", "use", "amount"), rows, "there is nothing to import")


def _owner(state: str) -> tuple[int, int] | None:
    """Whom files are given to: as root, the owner of STATE."""
    if os.geteuid() != 0:
        return None
    found = os.stat(state)
    return found.st_uid, found.st_gid


def _make_room(room: str, owner: tuple[int, int] | None) -> None:
    os.makedirs(room, 0o700, exist_ok=True)
    if owner is not None:
        os.chown(room, *owner)
    for name in os.listdir(room):
        # What a killed import has left; the number is its process's.
        pid = name.removeprefix("batch-")
        if name.startswith("batch-") and not (pid.isdecimal() and os.path.exists(f"/proc/{pid}")):
            os.unlink(os.path.join(room, name))


@contextmanager
def _reporting(path: str, owner: tuple[int, int] | None) -> Iterator[Callable[[str, str], None]]:
    fd = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8", errors="replace") as file:
        if owner is not None:
            os.fchown(fd, *owner)

        def remark(where: str, text: str) -> None:
            plain = "".join(c if c.isprintable() else "?" for c in f"{where}: {text}")
            file.write(plain[:1000] + "\n")

        yield remark


def _words(summary: Summary) -> list[str]:
    total = summary.filed + summary.adopted
    words = [f"{total} message(s) were imported" + (", with their UIDs" if summary.adopted == total and total else "")]
    if summary.adopted and summary.filed:
        words.append(f"{summary.adopted} of them with their UIDs")
    words += [f"  {number} in {mailbox}" for mailbox, number in sorted(summary.folders.items()) if number]
    if summary.there:
        words.append(f"{summary.there} were there already")
    if summary.refused:
        words.append(f"{summary.refused} could not be imported")
    return words
