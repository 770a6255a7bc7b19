"""What a source of old mail yields: folders, and in them messages, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from mailbox_appliance.mail.mailbox import SpecialUse
from mailbox_appliance.mail.values import dataclass


class SourceTrouble(Exception):
    """The source cannot be read any further; str() says why and what to do."""


@dataclass(frozen=True, slots=True)
class OldFolder:
    """A folder of the source. ``name`` is the mailbox it goes to ("." between levels), unless ``use`` finds another.

    ``total`` is how much there is to do, in the unit of ``OldMessage.cost``; ``place`` is the source's own word for it.
    """

    name: str
    place: str
    use: SpecialUse | None = None
    subscribed: bool = True
    total: int = 0


@dataclass(frozen=True, slots=True)
class OldMessage:
    """One message. ``key`` names it in its folder for ever; "" when only its octets can.

    ``octets`` begins to read it, with any line ends. ``mailbox`` overrules the folder's (labels of a Gmail archive).
    ``strip`` are names of header fields, in lower case, that belong to the source's format.
    ``date`` None: it is looked for in the header. ``key_folder`` "" makes the key count in all folders.
    """

    key: str
    octets: Callable[[], Iterable[bytes]]
    flags: frozenset[str] = frozenset()
    date: float | None = None
    zone: int = 0
    cost: int = 1
    mailbox: str | None = None
    use: SpecialUse | None = None
    strip: frozenset[bytes] = frozenset()
    key_folder: str | None = None
    label: str = ""  # how the report names it


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A message that cannot be had, or a remark about one."""

    label: str
    why: str
    cost: int = 1


Known = Callable[[Sequence[str]], set[str]]  # which of these keys are filed already


class Source(Protocol):
    """Old mail somewhere. Every method may raise SourceTrouble or OSError."""

    @property
    def name(self) -> str:
        """The same for the same mail at every run."""

    def folders(self) -> Sequence[OldFolder]:
        """In the order in which they are to be read."""

    def messages(self, folder: OldFolder, known: Known) -> Iterator[OldMessage | Unreadable]:
        """Those that are not known yet, as far as that can be told without reading them."""

    def close(self) -> None:
        """Let go."""
