"""The figures of the door in one place: how much is too much, and who stands near.

Every field of Limits has a test. Octets, counts and seconds; 0 means no limit where a size
may be unlimited.
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network

from mailbox_appliance.mail.client import IPAddress
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.smtp.devices import Device

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Room:
    """How long a peer may take. Only time counts in which we waited for it, never a pause or a look-up of ours."""

    commands: int = 0  # in a row that bring no message nearer (NOOP, RSET, HELP, VRFY, EHLO, MAIL put off)
    stay: float = 0.0  # seconds of waiting for commands until a message is accepted
    silence: float = 0.0  # seconds that content may stand still, or fall behind ``rate``
    rate: int = 0  # octets a second of content, on an average over ``silence``
    content_stay: float = 0.0  # seconds of waiting for content until a message is accepted, and
    content_rate: int = 0  # one more for so many octets of it


#                    commands  stay silence rate content_stay content_rate
STRANGERS = Room(20, 900.0, 90.0, 200, 600.0, 2000)
KNOWN = Room(100, 0.0, 300.0, 20)  # logged in, or the owner's own networks and devices
NEIGHBOURS = Room()  # the other half, and servers on this machine


@dataclass(frozen=True, slots=True)
class Limits:
    """What one session, one message and all of them together may use."""

    message_size: int = 50_000_000  # octets with CRLF; SIZE
    command_line: int = 2048
    auth_line: int = 12_288  # RFC 4954 §4
    recipients: int = 1000  # RFC 5321 §4.5.3.1.8 asks for 100 and more; 452 above
    header_block: int = 256 * 1024
    header_lines: int = 10_000  # reading a field costs time even when it is short
    received_fields: int = 50  # RFC 5321 §6.3: a loop
    errors: int = 20
    unknown_recipients: int = 100
    connections: int = 400
    reserve: int = 40  # of these only for 587 and 465, half of them for addresses that people have logged in from
    connections_per_address: int = 50  # IPv6: per /64
    arrivals: int = 300  # connections a minute from one network (/24, /64), log-ins of one account; more must wait
    longest_wait: float = 10.0  # for the greeting, or for the answer to AUTH, of whoever comes too fast
    idle: float = 300.0  # RFC 5321 §4.5.3.2.7
    strangers: Room = STRANGERS
    known: Room = KNOWN
    handshake: float = 60.0
    banner_wait: float = 0.05  # on 25: whoever talks within it did not wait for the greeting
    hold: int = 30 * 86_400  # seconds for which a submitted message may be held (FUTURERELEASE)
    linger: float = 20.0  # after the last word, for the peer to take it
    linger_at_stop: float = 2.0  # the same when the service stops: a restart waits for nobody's TLS farewell
    drain: float = 30.0
    in_memory: int = 256 * 1024  # octets of one message before it goes to a spool file
    memory_budget: int = 32 * 1024 * 1024  # the same over all sessions
    spool_piece: int = 128 * 1024  # octets written to the spool file at a time
    waiting_octets: int = 64 * 1024  # received while a command is being answered; then the peer must wait


@dataclass(frozen=True, slots=True)
class SmtpSettings:
    """What the owner decides. ``spool`` is the folder for large messages on their way in."""

    hostname: str
    spool: str
    authserv_id: str = ""  # "" = hostname
    lan: tuple[Network, ...] = ()
    devices: tuple[Device, ...] = ()  # before lan: a named device has its own rights and no others
    own_addresses: frozenset[IPAddress] = frozenset()  # our public ones, to recognize hairpin traffic
    forwarders: tuple[Network, ...] = ()  # may bring mail from our own domains back to us
    proxies: tuple[Network, ...] = ()  # must begin with the PROXY protocol
    xclient: tuple[Network, ...] = ()  # may say XCLIENT on 25
    trusted: tuple[Network, ...] = ()  # need not wait for the greeting; nothing else is granted to them
    submission_from: tuple[Network, ...] = ()  # who may reach 587 and 465 at all; () = everybody
    limits: Limits = Limits()

    @property
    def our_authserv_id(self) -> str:
        """The authserv-id of RFC 8601 §2.5 in lower case."""
        return (self.authserv_id or self.hostname).lower()


def is_in(address: IPAddress, networks: tuple[Network, ...]) -> bool:
    """Whether one of ``networks`` holds ``address``."""
    return any(address.version == network.version and address in network for network in networks)
