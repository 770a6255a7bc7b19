"""What a row of the table is: one key, how it is read and explained."""

from __future__ import annotations

from collections.abc import Callable

from mailbox_appliance.mail.values import dataclass

EXAMPLE_DOMAIN = "example.org"
EXAMPLE_DEVICE = "scanner"
EXAMPLE_SCANNER = "rspamd"


@dataclass(frozen=True, slots=True)
class Key:
    """``path`` such as "relay.smarthost"; ``default`` is "" where the key has none; ``example`` is TOML text.

    A ``*`` in the path stands for a name which the owner chooses: one table for each domain.
    """

    path: str
    read: Callable[[object], object]
    default: str
    explanation: str
    example: str

    @property
    def section(self) -> str:
        """The table it stands in; "" at the top."""
        return self.path.rpartition(".")[0]

    @property
    def heading(self) -> str:
        """The line above it in a file: "[relay]", '[relay.domains."example.org"]'."""
        if self.section == "devices.*":
            return f"[devices.{EXAMPLE_DEVICE}]"
        if self.section == "scanners.*":
            return f"[scanners.{EXAMPLE_SCANNER}]"
        return f"[{self.section.replace('*', chr(34) + EXAMPLE_DOMAIN + chr(34))}]"

    @property
    def name(self) -> str:
        """The key without its section."""
        return self.path.rpartition(".")[2]
