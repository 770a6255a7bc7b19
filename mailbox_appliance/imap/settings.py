"""Figures of the IMAP station: limits, times, and which client must not be shown which capability."""

from __future__ import annotations

from mailbox_appliance.imap.troubles import Trouble
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.wire.imap.server import Limits

BEFORE_LOGIN = Limits(line=65_536, literal=8_192, command=65_536)
AFTER_LOGIN = Limits(line=65_536, literal=262_144, command=1_048_576)


@dataclass(frozen=True, slots=True)
class ImapSettings:
    """Seconds and octets. ``spool`` is a folder on the file system of the Maildirs for large APPENDs.

    ``hidden`` capabilities are offered to nobody; ``troubles`` name clients by their ID (RFC 2971).
    """

    hostname: str = "localhost"
    spool: str = ""
    message_size: int = 50 * 1024 * 1024  # APPENDLIMIT (RFC 7889); 0 = none
    messages_per_command: int = 0  # MESSAGELIMIT (RFC 9738); 0 = none
    connections: int = 400
    connections_per_address: int = 50  # IPv6: per /64
    reserved: int = 100  # of ``connections``: for those who have logged in; half of it for addresses they came from
    sessions_per_account: int = 100
    login_timeout: float = 180.0  # from the greeting to the log-in, whatever is said meanwhile
    handshake_timeout: float = 60.0
    linger: float = 20.0  # after BYE, for the peer to take it and close in its turn
    idle_timeout: float = 1800.0  # RFC 3501 §5.4: at least 30 minutes
    bad_commands: int = 20
    failed_logins: int = 5
    before_login: Limits = BEFORE_LOGIN
    after_login: Limits = AFTER_LOGIN
    in_memory: int = 262_144  # an appended message up to this size is never spooled
    hidden: frozenset[str] = frozenset()
    troubles: tuple[Trouble, ...] = ()
