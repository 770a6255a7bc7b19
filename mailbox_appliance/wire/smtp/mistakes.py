"""What is no SMTP, and the reply it deserves."""

from __future__ import annotations

from mailbox_appliance.mail.reply import Reply


class GrammarError(ValueError):
    """What was said is no SMTP; ``reply`` is the answer it deserves."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply))
        self.reply = reply


def mistake(code: int, enhanced: str, text: str) -> GrammarError:
    """The error to raise for it."""
    return GrammarError(Reply(code, enhanced, text))
