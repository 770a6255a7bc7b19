"""Which SASL mechanisms a connection is offered, and the exchange that each one begins.

Mail programs that know SCRAM prefer it, and SCRAM takes app passwords only: so PLAIN and LOGIN stand first, and SCRAM
is offered where it can succeed. With -PLUS the password's proof is bound to this TLS connection (RFC 5802 §6): whoever
stands in the middle cannot use it.
"""

from __future__ import annotations

from mailbox_appliance.wire import scram
from mailbox_appliance.wire.sasl import MECHANISMS, Exchange
from mailbox_appliance.wire.scram import Bindings, Scram, no_bindings

PASSWORDS = tuple(MECHANISMS)


def mechanisms(*, scram_too: bool, bindable: bool) -> tuple[str, ...]:
    """What to offer. ``bindable``: the TLS connection gives channel-binding data."""
    if not scram_too:
        return PASSWORDS
    return (*PASSWORDS, scram.NAME, scram.PLUS) if bindable else (*PASSWORDS, scram.NAME)


def exchange(name: str, offered: tuple[str, ...], bindings: Bindings = no_bindings) -> Exchange | None:
    """The exchange called ``name`` (upper case), or None. SCRAM is understood even where it was not offered."""
    if name in (scram.NAME, scram.PLUS):
        return Scram(plus=name == scram.PLUS, offers_plus=scram.PLUS in offered, bindings=bindings)
    make = MECHANISMS.get(name)
    return None if make is None else make()
