"""AUTH in SMTP's framing: base64 in 334 replies and response lines (RFC 4954 §4), around wire/sasl."""

from __future__ import annotations

from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.wire import sasl
from mailbox_appliance.wire.smtp import answers
from mailbox_appliance.wire.smtp.events import LogIn
from mailbox_appliance.wire.smtp.grammar import AuthArguments

Step = LogIn | Reply


class Authentication:
    """One AUTH command. A step is a LogIn (done), a 334 (go on), or a refusal (over)."""

    def __init__(self) -> None:
        self._mechanism = ""
        self._exchange: sasl.Exchange = sasl.Plain()

    def begin(self, arguments: AuthArguments) -> Step:
        """The command itself."""
        make = sasl.MECHANISMS.get(arguments.mechanism)
        if make is None:
            return answers.MECHANISM
        self._mechanism = arguments.mechanism
        self._exchange = make()
        try:
            initial = None
            if arguments.initial is not None:
                initial = sasl.decode_response(arguments.initial.encode("ascii"), initial=True)
            return self._step(self._exchange.begin(initial))
        except sasl.SaslError as error:
            return self._refusal(error)

    def respond(self, line: bytes) -> Step:
        """A response line."""
        try:
            return self._step(self._exchange.respond(sasl.decode_response(line)))
        except sasl.SaslError as error:
            return self._refusal(error)

    def _step(self, step: sasl.Challenge | sasl.Credentials) -> Step:
        if isinstance(step, sasl.Challenge):
            return Reply(334, "", step.encoded.decode("ascii"))
        return LogIn(self._mechanism, step)

    @staticmethod
    def _refusal(error: sasl.SaslError) -> Reply:
        return answers.AUTH_CANCELLED if error.cancelled else answers.AUTH_MALFORMED
