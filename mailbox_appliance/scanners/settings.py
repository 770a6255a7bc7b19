"""Which programs are asked, where they listen, how much their word weighs, and what happens when they do not answer."""

from __future__ import annotations

from mailbox_appliance.mail.values import dataclass

KINDS = ("spamd", "rspamd", "milter")


@dataclass(frozen=True, slots=True)
class ScannerSettings:
    """``weight`` is the figure at which the scanner's own threshold counts; ``defer``: nothing passes unasked.

    ``path`` is a Unix socket, or "" where ``host`` and ``port`` say where it listens.
    """

    name: str
    kind: str
    host: str = ""
    port: int = 0
    path: str = ""
    defer: bool = False
    weight: float = 5.0
    timeout: float = 10.0  # seconds for one message, the wait for one's turn included
    hostname: str = "localhost"  # ours

    @property
    def where(self) -> str:
        """For the owner."""
        return self.path or f"{self.host}:{self.port}"
