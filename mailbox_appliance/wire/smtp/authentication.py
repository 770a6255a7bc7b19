"""AUTH in SMTP's framing: base64 in 334 replies and response lines (RFC 4954 §4), around wire/mechanisms."""

from __future__ import annotations

from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.ports.users import ScramKeys
from mailbox_appliance.wire import mechanisms, sasl
from mailbox_appliance.wire.scram import Bindings
from mailbox_appliance.wire.smtp import answers
from mailbox_appliance.wire.smtp.events import KeysWanted, LogIn, LogInConfirmed
from mailbox_appliance.wire.smtp.grammar import AuthArguments

Step = LogIn | KeysWanted | LogInConfirmed | Reply


class Authentication:
    """One AUTH command. A step is an event for the session, a 334 (go on), or a refusal (over)."""

    def __init__(self) -> None:
        self._mechanism = ""
        self._exchange: sasl.Exchange = sasl.Plain()
        self._confirming = False

    def begin(self, arguments: AuthArguments, offered: tuple[str, ...], bindings: Bindings) -> Step:
        """The command itself. ``offered``: the mechanisms that EHLO named."""
        exchange = mechanisms.exchange(arguments.mechanism, offered, bindings)
        if exchange is None:
            return answers.MECHANISM
        self._mechanism = arguments.mechanism
        self._exchange = exchange
        self._confirming = False
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
            response = sasl.decode_response(line)
            if self._confirming:
                return answers.AUTH_MALFORMED if response else LogInConfirmed()
            return self._step(self._exchange.respond(response))
        except sasl.SaslError as error:
            return self._refusal(error)

    def keys(self, keys: ScramKeys) -> Step:
        """The answer to KeysWanted."""
        return self._step(self._exchange.keys(keys))

    def prove(self, outcome: sasl.Challenge) -> Reply:
        """The log-in is good: what we prove in our turn; an empty response confirms it (RFC 4954 §4)."""
        self._confirming = True
        return Reply(334, "", outcome.encoded.decode("ascii"))

    def _step(self, step: sasl.Step) -> Step:
        if isinstance(step, sasl.Challenge):
            return Reply(334, "", step.encoded.decode("ascii"))
        if isinstance(step, sasl.KeysWanted):
            return KeysWanted(step.username)
        return LogIn(self._mechanism, step)

    @staticmethod
    def _refusal(error: sasl.SaslError) -> Reply:
        return answers.AUTH_CANCELLED if error.cancelled else answers.AUTH_MALFORMED
