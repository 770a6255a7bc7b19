"""THE table of keys: what may stand in the file, how it is read, what it means.

The reader, the sample file and the check of docs/configuration.md are derived from it; a key that is not here is
unknown. ``default`` is TOML text and equals the default in model.py (a test holds the two together).
"""

from __future__ import annotations

from collections.abc import Callable

from mailbox_appliance.config import values
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.checks import CHECK_NAMES

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


_endpoints = values.several(values.endpoint)
_networks = values.several(values.network)

SECTION_TEXTS: dict[str, str] = {
    "": "The machine",
    "listen": "Where to listen. A missing key means the usual port on all addresses; an empty list switches off.",
    "networks": "Who is at home",
    "devices.*": "A scanner, a NAS: a device that sends by port 25 without a password, to a few recipients",
    "tls": "A certificate of your own from files. Without it one is ordered ([acme]) or self-made.",
    "acme": "Order certificates (Let's Encrypt or another ACME authority). The section's presence switches it on.",
    "relay": "How mail leaves for other places: through a smarthost, or direct to each domain's mail host",
    "relay.domains.*": "Where the mail for one domain goes, whatever else is set: an internal server, for example",
    "relay.senders.*": "A smarthost of its own for the mail from one of our domains",
    "dns": "Names",
    "limits": 'Limits; 0 means none. Sizes in octets or as "50MB", times in seconds or as "5m", "2h", "1d".',
    "store": "How mail is kept",
    "sendmail": "Mail of programs on this machine (cron, backups, web forms)",
    "checks": "Checks of mail from strangers",
    "scanners.*": "A program outside that is asked about strangers' mail, too: spamd, rspamd or a milter",
    "guard": "Who knocks too often is shut out for a while",
}


def _next_host(section: str, who: str) -> tuple[Key, ...]:
    """The four keys of a host of its own."""
    return (
        Key(f"{section}.host", values.host_and_port, "", "That host, given as host:port.", '"store.lan:25"'),
        Key(f"{section}.user", values.text, "", f"The user name at {who}.", '"ann"'),
        Key(
            f"{section}.password_file",
            values.path,
            "",
            f"A file whose first line is the password at {who}.",
            '"/etc/mailappliance/host.password"',
        ),
        Key(
            f"{section}.tls",
            values.choice("starttls", "implicit", "none"),
            '"starttls"',
            f"How to speak TLS with {who}: starttls, implicit or none.",
            '"none"',
        ),
    )


KEYS: tuple[Key, ...] = (
    Key(
        "hostname",
        values.full_host_name,
        "",
        "The full name of this machine, as its MX record and its certificate say it. The one key that must be there.",
        '"mail.example.org"',
    ),
    Key(
        "state",
        values.path,
        '"/var/lib/mailappliance"',
        "The folder that holds everything: mail, users, queue, certificates, journal.",
        '"/var/lib/mailappliance"',
    ),
    Key(
        "role",
        values.choice("all", "edge", "store"),
        '"all"',
        "What this machine does: all of it, or one half of a pair: the edge, which has the public address, or the "
        "store, which has the people and their mail.",
        '"all"',
    ),
    Key(
        "listen.smtp",
        _endpoints,
        '["tcp:25", "tcp6:25"]',
        "Mail from other servers (port 25).",
        '["tcp:25:interface=192.0.2.1"]',
    ),
    Key(
        "listen.submission",
        _endpoints,
        '["tcp:587", "tcp6:587"]',
        "Mail from your own people, TLS by STARTTLS (port 587).",
        '["tcp:587", "tcp6:587"]',
    ),
    Key(
        "listen.submissions",
        _endpoints,
        '["tcp:465", "tcp6:465"]',
        "Mail from your own people, TLS from the start (port 465).",
        '["tcp:465", "tcp6:465"]',
    ),
    Key(
        "listen.imap",
        _endpoints,
        '["tcp:143", "tcp6:143"]',
        "Reading mail, TLS by STARTTLS (port 143).",
        '["tcp:143", "tcp6:143"]',
    ),
    Key(
        "listen.imaps",
        _endpoints,
        '["tcp:993", "tcp6:993"]',
        "Reading mail, TLS from the start (port 993).",
        '["tcp:993", "tcp6:993"]',
    ),
    Key(
        "listen.http",
        _endpoints,
        '["tcp:80", "tcp6:80"]',
        "Answers the certificate authority's questions (port 80); an empty list where that port is somebody else's.",
        "[]",
    ),
    Key(
        "listen.https",
        _endpoints,
        "[]",
        "Web pages over TLS (port 443): the policy that tells other servers to send to us by TLS only (MTA-STS).",
        '["tcp:443", "tcp6:443"]',
    ),
    Key(
        "listen.lmtp",
        _endpoints,
        "[]",
        "Mail from another mail server on this machine (RFC 2033): a Unix socket or loopback only.",
        '["unix:/run/mailappliance/lmtp"]',
    ),
    Key(
        "listen.managesieve",
        _endpoints,
        "[]",
        "Editing mail rules (RFC 5804); not in this version.",
        "[]",
    ),
    Key(
        "listen.link",
        _endpoints,
        "[]",
        "Where an edge waits for its store (port 4025 on all addresses when nothing is said).",
        '["tcp:4025", "tcp6:4025"]',
    ),
    Key(
        "listen.submission_from",
        _networks,
        "[]",
        "Only these networks may use submission (587 and 465); an empty list means everybody with a password.",
        '["192.168.1.0/24"]',
    ),
    Key(
        "listen.submission_at",
        values.host_and_port,
        "",
        "At a store that can be reached from outside: where its edge finds its port 587. Mail then comes that way, and "
        "over the link only when it cannot.",
        '"home.example.org:587"',
    ),
    Key(
        "networks.lan",
        _networks,
        "[]",
        "Networks whose devices may send mail as your domains through port 25 without a password.",
        '["192.168.1.0/24", "fd00:1234::/64"]',
    ),
    Key(
        "networks.proxies",
        _networks,
        "[]",
        "Proxies in front of this machine: each connection from here must begin with the PROXY protocol (v1 or v2).",
        '["192.0.2.7"]',
    ),
    Key(
        "networks.xclient",
        _networks,
        "[]",
        "Mail servers that may say on port 25, by XCLIENT, from which address a message really came.",
        '["192.0.2.8"]',
    ),
    Key(
        "devices.*.address",
        _networks,
        "",
        "The device's address in your network, or several; whoever has that address is taken for the device.",
        '["192.168.1.20"]',
    ),
    Key(
        "devices.*.recipients",
        values.several(values.address_or_domain),
        "",
        'Whom it may write to: addresses, or whole domains as "@example.org". Everything else is refused to it.',
        '["ann@example.org", "@club.example"]',
    ),
    Key(
        "devices.*.send_as",
        values.mail_address,
        "",
        "The address of ours that its messages come from, whatever it says itself; without this it must say one.",
        '"scanner@example.org"',
    ),
    Key(
        "devices.*.per_day",
        values.count,
        "200",
        "How many recipients it may write to in a day; 0 means as many as it likes.",
        "200",
    ),
    Key(
        "tls.certificate",
        values.path,
        "",
        "The certificate with its chain, PEM; read again at reload.",
        '"/etc/mailappliance/fullchain.pem"',
    ),
    Key(
        "tls.key",
        values.path,
        "",
        "Its private key, PEM, without a passphrase.",
        '"/etc/mailappliance/privkey.pem"',
    ),
    Key(
        "tls.deployed_command",
        values.command,
        "",
        "A program and its arguments, run without a shell after a new certificate has come into use.",
        '"systemctl reload nginx"',
    ),
    Key(
        "tls.mta_sts",
        values.choice("enforce", "testing", "none"),
        '"testing"',
        "What the MTA-STS policy at listen.https tells other servers about mail to us: enforce (by TLS with a good "
        "certificate or not at all), testing (only report what would fail) or none (withdraw an earlier policy).",
        '"enforce"',
    ),
    Key(
        "acme.directory",
        values.secure_url,
        '"https://acme-v02.api.letsencrypt.org/directory"',
        "The authority's directory address.",
        '"https://acme-v02.api.letsencrypt.org/directory"',
    ),
    Key(
        "acme.email",
        values.mail_address,
        "",
        "Where the authority may write about trouble with your certificates.",
        '"ann@example.org"',
    ),
    Key(
        "acme.trust_anchor",
        values.path,
        "",
        "The CA (PEM) which vouches for the authority's own web server, where the system does not know it.",
        '"/etc/mailappliance/authority.pem"',
    ),
    Key(
        "acme.names",
        values.several(values.host_name),
        "[]",
        "The names to put into the certificate; an empty list means the hostname alone.",
        '["mail.example.org", "imap.example.org"]',
    ),
    Key(
        "acme.webroot",
        values.path,
        "",
        "Put the authority's tokens below this folder, for another web server on port 80 to serve.",
        '"/var/www/html"',
    ),
    Key(
        "relay.smarthost",
        values.host_and_port,
        "",
        "Send everything for other places through your provider's mail host, given as host:port.",
        '"smtp.provider.example:587"',
    ),
    Key("relay.user", values.text, "", "The user name at the smarthost.", '"ann@provider.example"'),
    Key(
        "relay.password_file",
        values.path,
        "",
        "A file whose first line is the password at the smarthost; nobody else may be able to read it.",
        '"/etc/mailappliance/smarthost.password"',
    ),
    Key(
        "relay.tls",
        values.choice("starttls", "implicit", "none"),
        '"starttls"',
        "How to speak TLS with the smarthost: starttls (587), implicit (465) or none.",
        '"starttls"',
    ),
    Key(
        "relay.trust_anchor",
        values.path,
        "",
        "Certificates (PEM) to trust beside the system's when mail leaves.",
        '"/etc/mailappliance/provider-ca.pem"',
    ),
    Key(
        "relay.direct",
        values.flag,
        "",
        "Deliver to each domain's mail host (MX). This is what happens when no smarthost is named.",
        "true",
    ),
    Key("relay.mx_port", values.port_number, "25", "The port of other domains' mail hosts.", "25"),
    Key(
        "relay.allow_loopback",
        values.flag,
        "false",
        "Deliver also to mail hosts on this very machine; for tests.",
        "false",
    ),
    Key(
        "relay.first_retry",
        values.positive_seconds,
        "300",
        "Seconds until the second attempt; later ones wait longer, up to 5 days in all.",
        "300",
    ),
    Key(
        "relay.fallback_after",
        values.count,
        "",
        "With direct = true and a smarthost: so many failed attempts send a message through the smarthost, and so "
        "does a provider that refuses our address; 0 means the latter alone.",
        "3",
    ),
    Key(
        "relay.socks",
        values.host_and_port,
        "",
        "Reach other mail hosts through this SOCKS5 proxy, given as host:port; hosts of the own network are reached "
        "without it.",
        '"127.0.0.1:1080"',
    ),
    Key("relay.socks_user", values.text, "", "The user name at the proxy.", '"ann"'),
    Key(
        "relay.socks_password_file",
        values.path,
        "",
        "A file whose first line is the password at the proxy.",
        '"/etc/mailappliance/socks.password"',
    ),
    Key(
        "relay.tls_reports",
        values.flag,
        "false",
        "Tell domains that ask for it once a day how TLS with their mail hosts went (RFC 8460).",
        "true",
    ),
    *_next_host("relay.domains.*", "the host"),
    *_next_host("relay.senders.*", "that smarthost"),
    Key(
        "dns.servers",
        values.several(values.name_server),
        "[]",
        "Name servers to ask; an empty list means those of /etc/resolv.conf.",
        '["127.0.0.1:53"]',
    ),
    Key(
        "dns.rotate_days",
        values.count,
        "365",
        "After so many days a domain gets new signing keys, for the owner to publish; 0 means never.",
        "180",
    ),
    Key("limits.message_size", values.size, '"50MB"', "The largest message taken, in and out.", '"50MB"'),
    Key(
        "limits.quota",
        values.size,
        "0",
        "How much mail an account may keep, unless its own quota says otherwise.",
        '"5GB"',
    ),
    Key(
        "limits.connections_per_address",
        values.count,
        "50",
        "How many connections one address may hold at a time.",
        "50",
    ),
    Key(
        "limits.outgoing_per_day",
        values.count,
        "0",
        "How many recipients outside an account may write to in a day.",
        "500",
    ),
    Key(
        "limits.new_recipients_per_day",
        values.count,
        "0",
        "How many of these may be addresses the account has never written to: a stolen password writes to strangers.",
        "100",
    ),
    Key("limits.smtp_idle", values.seconds, "300", "Close an SMTP connection that said nothing for so long.", "300"),
    Key(
        "limits.imap_messages",
        values.count,
        "0",
        "How many messages one IMAP command may take (at least 1000); only few mail programs know of such limits.",
        "10000",
    ),
    Key("limits.imap_idle", values.seconds, "1800", "Close an IMAP connection that said nothing for so long.", "1800"),
    Key(
        "store.flush",
        values.choice("fsync", "syncfs"),
        '"fsync"',
        "How messages are made durable: fsync flushes each file, syncfs the whole file system once for all that wait; "
        "faster under load, but it waits for other programs' data too.",
        '"syncfs"',
    ),
    Key(
        "store.word_index",
        values.flag,
        "true",
        "Keep an index of the words in each mailbox, a third of the text's size at most: SEARCH in bodies then answers "
        "at once. Without it every message is read.",
        "false",
    ),
    Key(
        "store.undelete_days",
        values.count,
        "14",
        "For so many days `mailappliance account undelete` brings expunged messages back; 0 removes them at once.",
        "30",
    ),
    Key(
        "store.undelete_size",
        values.size,
        '"1GB"',
        "So much of them is kept for each account, beyond its quota; the oldest go first, also when the disk is full.",
        '"5GB"',
    ),
    Key(
        "sendmail.drop",
        values.path,
        "",
        "Where `mailappliance sendmail` leaves messages (default: drop below the state folder, which only root and the "
        "service's user reach; a folder outside lets every user of the machine send).",
        '"/var/spool/mailappliance"',
    ),
    Key(
        "sendmail.trusted",
        values.several(values.text),
        "[]",
        "Users of this machine who may write as anybody of ours and without a daily limit, besides root.",
        '["www-data"]',
    ),
    Key(
        "checks.enabled",
        values.flag,
        "false",
        "Check strangers' mail (SPF, DKIM, DMARC, ARC, names, DNS lists) before it is taken. It needs name servers "
        "that answer: without them much mail is put off, so it stays off until you have seen that "
        "`mailappliance status` calls them good.",
        "true",
    ),
    Key(
        "checks.dnsbl",
        values.several(values.dns_list),
        "[]",
        'Lists of bad addresses in the DNS to ask about strangers, each as "zone" (6 points) or "zone=points"; with '
        "points below 0 a list of good ones.",
        '["bl.example.net", "wl.example.net=-2"]',
    ),
    Key(
        "checks.domain_lists",
        values.several(values.dns_list),
        "[]",
        "Lists of bad domains in the DNS, written like those of dnsbl: asked about the domains of From, Reply-To and "
        "the envelope, and about those that the text links to.",
        '["dbl.example.net", "uri.example.net=4"]',
    ),
    Key(
        "checks.forwarders",
        _networks,
        "[]",
        "Hosts that forward mail to you (a school, an old provider): what they bring may fail DMARC and SPF, for they "
        "are believed to have looked.",
        '["192.0.2.25", "198.51.100.0/28"]',
    ),
    Key(
        "checks.sealers",
        values.several(values.full_host_name),
        "[]",
        "Domains whose ARC seal you trust: where such a seal says that DMARC passed, a failure here is forgiven.",
        '["lists.example.net"]',
    ),
    Key(
        "checks.mailing_lists",
        values.several(values.full_host_name),
        "[]",
        "Domains of mailing lists: what they have signed, or what comes with their envelope and passes SPF, may carry "
        "any From.",
        '["lists.example.net"]',
    ),
    Key(
        "checks.people",
        values.several(values.text),
        "[]",
        "Names of people of the house: a stranger's address behind one of them is suspicious.",
        '["Ann Miller", "Ben Miller"]',
    ),
    Key(
        "checks.weights",
        values.weights,
        "{}",
        'Other figures for what checks find, by "check result" as docs/checks.md lists them.',
        '{ "spf fail" = 1.5, "fcrdns none" = 0 }',
    ),
    Key(
        "checks.switched_off",
        values.several(values.choice(*CHECK_NAMES)),
        "[]",
        "Checks that are not made at all, by the first word of the lines in docs/checks.md.",
        '["dnsbl"]',
    ),
    Key(
        "checks.greylist",
        values.flag,
        "false",
        "Ask a suspicious sender whom the recipient has never met to come again in a few minutes. It stops some junk "
        "and delays some letters; nobody is kept waiting within 15 minutes after he opened Rejects or made a "
        "throw-away address.",
        "true",
    ),
    Key(
        "checks.dmarc_reports",
        values.flag,
        "false",
        "Tell domains that ask for it once a day what came in their name and what was made of it (DMARC).",
        "true",
    ),
    Key(
        "scanners.*.kind",
        values.choice("spamd", "rspamd", "milter"),
        "",
        "Which language it speaks: SpamAssassin's spamd, rspamd (its HTTP worker), or any milter.",
        '"rspamd"',
    ),
    Key(
        "scanners.*.endpoint",
        values.host_and_port_or_path,
        "",
        "Where it listens: host:port, or the path of a Unix socket.",
        '"127.0.0.1:11333"',
    ),
    Key(
        "scanners.*.when_down",
        values.choice("accept", "defer"),
        '"accept"',
        "What becomes of mail while it does not answer: accept judges without it, defer puts mail off until it does.",
        '"defer"',
    ),
    Key(
        "scanners.*.weight",
        values.figure,
        "5.0",
        "How many points its own threshold is worth (at 5 the message goes to Junk); twice the threshold is worth "
        "twice as much, and no more.",
        "3.5",
    ),
    Key(
        "scanners.*.timeout",
        values.positive_seconds,
        "10.0",
        "How long it may take for one message.",
        '"30s"',
    ),
    Key(
        "guard.exempt",
        _networks,
        "[]",
        "Networks that are never shut out, however often a password from there was wrong.",
        '["192.168.1.0/24"]',
    ),
    Key(
        "guard.password_audit",
        values.seconds,
        '"10m"',
        "For so long the hashes of main passwords are guessed at each night, at the lowest priority, to find weak ones "
        "before others do; 0 switches it off.",
        '"1h"',
    ),
)

BY_PATH: dict[str, Key] = {key.path: key for key in KEYS}

# Keys whose part is not built yet: (path, what the value must not be, what to say). A row goes when its part comes.
NOT_YET: tuple[tuple[str, Callable[[object], bool], str], ...] = (
    ("listen.managesieve", bool, "write managesieve = [] or leave the key out"),
)
