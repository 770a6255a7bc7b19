"""What a verb is: a row of the table in verbs.py, from which help, docs check and dispatch are derived."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from mailbox_appliance.admin.result import Result
from mailbox_appliance.mail.values import dataclass

Arguments = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Argument:
    """``kind``: "word" (one), "words" (one or more), "any" (none or more), "option" (--name VALUE), "flag" (--name),
    "password" (asked for, or a line on standard input: never on the command line), "files" (one or more, read by the
    command line and sent to the service, which may not be allowed to read them), "secret" (a password that exists:
    asked for once, or a line on standard input)."""

    name: str
    help: str
    kind: str = "word"
    required: bool = True

    @property
    def usage(self) -> str:
        """As it stands in a usage line."""
        upper = self.name.upper().replace("_", "-")
        option = "--" + self.name.replace("_", "-")
        shown = {
            "word": upper if self.required else f"[{upper}]",
            "words": f"{upper}...",
            "any": f"[{upper}...]",
            "option": f"[{option} {upper}]",
            "flag": f"[{option}]",
            "files": "FILE...",
            "password": "",
            "secret": "",
        }
        return shown[self.kind]


@dataclass(frozen=True, slots=True)
class Verb:
    """``run`` is a method of a desk of class ``desk``. ``verb`` is "" where the noun says it all (``status``).

    ``lists`` gives it --json; ``changes`` makes the journal tell who did it; ``here`` means that the command line
    does it itself, without the service or its databases.
    """

    noun: str
    verb: str
    desk: type
    run: Callable[..., Awaitable[Result]]
    help: str
    arguments: tuple[Argument, ...] = ()
    lists: bool = False
    changes: bool = False
    here: bool = False

    @property
    def name(self) -> str:
        """As it is typed: "account add"."""
        return f"{self.noun} {self.verb}".strip()

    @property
    def usage(self) -> str:
        """The whole usage line behind ``mailappliance``."""
        pieces = [self.name, *(argument.usage for argument in self.arguments), "[--json]" if self.lists else ""]
        return " ".join(piece for piece in pieces if piece)
