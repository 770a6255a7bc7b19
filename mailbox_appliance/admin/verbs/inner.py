"""Verbs between our own programs, which no person types."""

from __future__ import annotations

from mailbox_appliance.admin.filing import FilingDesk
from mailbox_appliance.admin.passwords import PasswordDesk
from mailbox_appliance.admin.verb import Argument, Verb

# What our own processes ask of one another; nobody types these.
INNER: tuple[Verb, ...] = (
    Verb("import", "ready", FilingDesk, FilingDesk.ready, "Make mailboxes for an import."),
    Verb("import", "take", FilingDesk, FilingDesk.take, "File a batch of an import."),
    Verb("import", "seek", FilingDesk, FilingDesk.seek, "Look for messages of a batch that broke off."),
    Verb("import", "adopt", FilingDesk, FilingDesk.adopt, "Put a folder in the place of an empty mailbox."),
    Verb("password", "work", PasswordDesk, PasswordDesk.work, "The hashes to guess at."),
    Verb("password", "tried", PasswordDesk, PasswordDesk.tried, "How far guessing has come."),
    Verb("password", "found", PasswordDesk, PasswordDesk.found, "A password was guessed; which is not said."),
    Verb("password", "end", PasswordDesk, PasswordDesk.end, "A pass of guessing has ended."),
    Verb(
        "import",
        "end",
        FilingDesk,
        FilingDesk.end,
        "An import has ended.",
        (Argument("address", "into which account"), Argument("words", "what came of it")),
        changes=True,
    ),
)
