"""The owner's file: what is wrong with it is said at once, with the key and the remedy."""

from __future__ import annotations

import ipaddress
import os
import pathlib

from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.config.local import ACCOUNT, DOMAIN, load_or_local, local_config
from mailbox_appliance.config.model import Config, Endpoint, HostPort, Listen, NextHost, tcp
from mailbox_appliance.config.read import ConfigWrong, find, load, parse

HOST = 'hostname = "mail.example.org"\n'

# file, then every complaint about it
WRONG: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("", ('hostname is missing; write hostname = "mail.example.org" above the first [section]',)),
    (
        'hostname = "mail"',
        ("hostname 'mail' is not a full name; write it with its domain, such as \"mail.example.org\"",),
    ),
    (
        'hostname = "192.0.2.1"',
        ("hostname '192.0.2.1' is an address, not a name; write a name, such as \"mail.example.org\"",),
    ),
    ('hostname = "a b.example"', ("hostname 'a b.example' is not a host name; write a name, such as \"mail.example.org\"",)),
    ("hostname = 5", ('hostname 5 is not text; put it in quotes: "…"',)),
    (HOST + 'hostnam = "x"', ("hostnam is not a key; did you mean hostname?",)),
    (HOST + 'smtp = ["tcp:25"]', ("smtp is not a key; smtp stands below [listen]",)),
    (HOST + '[listen]\nstate = "/x"', ("listen.state is not a key; state stands above the first [section]",)),
    (HOST + '[relay]\nsmart_host = "a.example:1"', ("relay.smart_host is not a key; did you mean relay.smarthost?",)),
    (HOST + "[limit]\nqota = 1", ("[limit] is not a section; did you mean [limits]?",)),
    (HOST + "xyzzy = 1", ("xyzzy is not a key; remove it; `mailappliance config sample` shows every key",)),
    (HOST + "listen = 5", ("listen is a section, not a key; write [listen] on a line of its own",)),
    (HOST + 'role = "edge"', ()),
    (
        HOST + '[listen]\nsubmission_at = "home.example.org:587"',
        ('listen.submission_at is for a store; write role = "store", or leave the key out',),
    ),
    (HOST + '[listen]\nlink = ["tcp:4025"]', ('listen.link is for an edge; write role = "edge", or leave the key out',)),
    (
        HOST + 'role = "edge"\n[listen]\nlmtp = ["unix:/run/x"]',
        ("listen.lmtp has nobody to deliver to at an edge; leave the key out",),
    ),
    (HOST + 'role = "both"', ('role \'both\' is not a choice here; write one of "all", "edge", "store"',)),
    (
        HOST + '[listen]\nmanagesieve = ["tcp:4190"]',
        (
            "listen.managesieve asks for something this version does not have; write managesieve = [] or leave the key out",
        ),
    ),
    (HOST + '[listen]\nsmtp = "tcp:25"', ("listen.smtp 'tcp:25' is not a list; put it in square brackets: [\"tcp:25\"]",)),
    (
        HOST + '[listen]\nsmtp = ["tcp:70000"]',
        (
            "listen.smtp '70000' is not a port; "
            'write "tcp:25", "tcp:25:interface=127.0.0.1", "tcp6:25" or "unix:/run/mail.socket"',
        ),
    ),
    (
        HOST + '[listen]\nimaps = ["ssl:993"]',
        (
            "listen.imaps 'ssl' must be plain; the service adds TLS itself; "
            'write "tcp:25", "tcp:25:interface=127.0.0.1", "tcp6:25" or "unix:/run/mail.socket"',
        ),
    ),
    (
        HOST + '[listen]\nsmtp = ["tcp:25:interfaces=127.0.0.1"]',
        ("listen.smtp 'tcp:25:interfaces=127.0.0.1' has an unknown option 'interfaces'; tcp endpoints know backlog, interface",),
    ),
    (
        HOST + '[listen]\nsmtp = ["tcp:25:interface=eth0"]',
        ("listen.smtp interface 'eth0' is not an IP address; write the address to listen on",),
    ),
    (HOST + '[listen]\nsmtp = ["tcp:25", "tcp:25"]', ("listen.smtp 'tcp:25' is the same door as 'tcp:25'; write it once",)),
    (
        HOST + '[listen]\nimaps = ["tcp:587:interface=127.0.0.1"]\nsubmission = ["tcp:587"]',
        (
            "listen.imaps 'tcp:587:interface=127.0.0.1' is the same door as 'tcp:587'; "
            "give it another port or interface than listen.submission",
        ),
    ),
    (
        HOST + '[listen]\nlmtp = ["tcp:24"]',
        (
            "listen.lmtp 'tcp:24' is open to other machines; "
            'write a Unix socket ("unix:/run/mailappliance/lmtp") or add :interface=127.0.0.1',
        ),
    ),
    (
        HOST + '[networks]\nlan = ["192.168.1.7/24"]',
        (
            "networks.lan '192.168.1.7/24' names a host and a network at once (192.168.1.7/24 has host bits set); "
            'write "192.168.1.0/24"',
        ),
    ),
    (
        HOST + '[guard]\nexempt = ["home"]',
        (
            "guard.exempt 'home' is not a network; "
            'write a network such as "192.168.1.0/24" or an address such as "192.168.1.7"',
        ),
    ),
    (
        HOST + '[limits]\nmessage_size = "50 megs"\nquota = -1\nconnections_per_address = "many"\nsmtp_idle = "soon"',
        (
            "limits.message_size '50 megs' is not a size; write a number with KB, MB or GB, such as \"50MB\"; 0 for no limit",
            "limits.quota -1 is less than nothing; write 0 for no limit",
            "limits.connections_per_address 'many' is not a whole number; write digits without quotes; 0 for no limit",
            "limits.smtp_idle 'soon' is not a time span; write seconds as a number, such as 300, or \"5m\", \"2h\", \"1d\"",
        ),
    ),
    (
        HOST + '[relay]\nsmarthost = "mail.isp.example"',
        (
            "relay.smarthost 'mail.isp.example' names no port; "
            'write host:port, such as "mail.isp.example:587" (IPv6: "[2001:db8::1]:587")',
        ),
    ),
    (
        HOST + '[relay]\nsmarthost = "mail.isp.example:587"\ndirect = true',
        (
            "relay.direct and relay.smarthost exclude each other; "
            "remove smarthost to deliver direct, or remove direct to send through it, or set fallback_after to have the "
            "smarthost where direct delivery fails",
        ),
    ),
    (
        HOST + '[relay]\nsmarthost = "mail.isp.example:587"\nfallback_after = 3',
        (
            "relay.fallback_after has nothing to fall back from or to; "
            "name relay.smarthost and write direct = true, or remove it",
        ),
    ),
    (
        HOST + '[relay]\nsocks = "127.0.0.1:1080"\nsocks_user = "ann"',
        ("relay.socks_password_file is missing beside relay.socks_user; name both, or neither",),
    ),
    (
        HOST + '[relay.domains."club.example"]\nuser = "x"\nport = 25',
        (
            "relay.domains.club.example.port is not a key; the keys here are host, user, password_file, tls",
            'relay.domains."club.example".host is missing; write host = "mail.example.org:587"',
            'relay.domains."club.example".password_file is missing beside user; name both, or neither',
        ),
    ),
    (
        HOST + "[relay.senders]\nclub = 1",
        (
            'relay.senders.club is a section, not a key; write [relay.senders."example.org"] on a line of its own, '
            "and the keys below",
        ),
    ),
    (
        HOST + '[relay.senders.club.example]\nhost = "a.example:25"',
        ('relay.senders.club.example is not a key; put the domain in quotes: [relay.senders."example.org"]',),
    ),
    (
        HOST + '[devices.scanner]\nper_day = 3\n[devices."a b"]\n[devices]\nx = 1',
        (
            "devices.\"a b\" 'a b' is no name here; use up to 40 letters, digits, - and _",
            "devices.x is a section, not a key; write [devices.scanner] on a line of its own, and the keys below",
            'devices.scanner.address is missing; write address = ["192.168.1.20"]',
            'devices.scanner.recipients is missing; write recipients = ["ann@example.org"]; '
            '"@example.org" means all of a domain',
        ),
    ),
    (
        HOST + '[relay.domains."a b"]\nhost = "a.example:25"',
        ("relay.domains.\"a b\" 'a b' is not a host name; write a name, such as \"mail.example.org\"",),
    ),
    (
        HOST + '[relay]\nsmarthost = "mail.isp.example:587"\nuser = "ann"',
        ("relay.password_file is missing beside relay.user; name the file whose first line is the password",),
    ),
    (HOST + '[relay]\ndirect = "yes"', ("relay.direct 'yes' is neither true nor false; write true or false, without quotes",)),
    (HOST + '[relay]\ntls = "ssl"', ('relay.tls \'ssl\' is not a choice here; write one of "starttls", "implicit", "none"',)),
    (HOST + "[relay]\nmx_port = 0", ("relay.mx_port 0 is not a port; write a number from 1 to 65535, without quotes",)),
    (HOST + "[relay]\nfirst_retry = 0", ("relay.first_retry no time at all is not enough; write at least 1",)),
    (
        HOST + '[dns]\nservers = ["dns.example"]',
        (
            "dns.servers 'dns.example' is not the address of a name server; "
            'write an address, such as "192.168.1.1" or "127.0.0.1:5353"',
        ),
    ),
    (
        HOST + "[tls]\ndeployed_command = \"echo 'x\"",
        ("tls.deployed_command \"echo 'x\" cannot be split into words: No closing quotation; close the quotes",),
    ),
    (
        HOST + '[tls]\ndeployed_command = " "',
        ("tls.deployed_command the command is empty; name a program, or leave the key out",),
    ),
    (
        HOST + '[tls]\ndeployed_command = "a && b"',
        (
            "tls.deployed_command 'a && b' is run without a shell, to which && would belong; "
            "write \"sh -c '…'\" around it, or name a script",
        ),
    ),
    (
        HOST + '[tls]\ncertificate = "/x.pem"',
        ("tls.key is missing beside tls.certificate; name both files, or neither",),
    ),
    (
        HOST + '[acme]\ndirectory = "http://acme.example/dir"',
        ("acme.directory 'http://acme.example/dir' is not an https address; write it whole: \"https://…\"",),
    ),
    (
        HOST + '[acme]\nemail = "ann"',
        ("acme.email 'ann' has no @: write the whole address, such as ann@example.org; "
         'write an address, such as "ann@example.org"',),
    ),
    (HOST + "[listen]\nmanagesieve = ['tcp:4190']", (
        "listen.managesieve asks for something this version does not have; write managesieve = [] or leave the key out",
    )),
)  # fmt: skip


class ComplaintsTests(SynchronousTestCase):
    """Each wrong file, and exactly what is said of it."""

    def test_table(self) -> None:
        """Every complaint names the key path, what is wrong and the remedy; there are no others."""
        for text, complaints in WRONG:
            _, found = parse(text)
            self.assertEqual(tuple(map(str, found)), complaints, text)

    def test_all_at_once(self) -> None:
        """Mistakes of every kind in one file are all said together."""
        _, found = parse('hostnam = "x"\n[relay]\nmx_port = "a"\nuser = "u"\n[limits]\nquota = []\n')
        self.assertEqual(
            [one.key for one in found],
            ["hostnam", "relay.mx_port", "limits.quota", "hostname", "relay.password_file", "relay.user"],
        )

    def test_not_toml(self) -> None:
        """A slip in the syntax names its line."""
        config, found = parse('hostname = "a.example\n')
        self.assertIsNone(config)
        self.assertIn("line 1", str(found[0]))

    def test_deep_nesting_is_a_complaint(self) -> None:
        """A file of brackets does not break the reader."""
        config, found = parse("a = " + "[" * 5000)
        self.assertIsNone(config)
        self.assertEqual(len(found), 1)


class ReadingTests(SynchronousTestCase):
    """What a right file becomes."""

    def read(self, text: str, path: str = "/etc/mailappliance/m.toml") -> Config:
        config, complaints = parse(text, path)
        self.assertEqual(complaints, [])
        assert config is not None
        return config

    def test_hosts_by_domain(self) -> None:
        """Tables with a domain in their heading; relative paths are made whole there too."""
        relay = self.read(
            HOST + '[relay]\nsmarthost = "isp.example:587"\ndirect = true\nfallback_after = 2\n'
            '[relay.domains."Club.Example"]\nhost = "store.lan:25"\ntls = "none"\n'
            '[relay.senders."bücher.example"]\nhost = "b.example:465"\nuser = "u"\npassword_file = "pw"\n'
        ).relay
        self.assertEqual((relay.route, relay.fallback_after), ("direct", 2))
        self.assertEqual(relay.domains, {"club.example": NextHost(HostPort("store.lan", 25), tls="none")})
        (sender,) = relay.senders.values()
        self.assertEqual(list(relay.senders), ["xn--bcher-kva.example"])
        self.assertTrue(os.path.isabs(sender.password_file), sender)

    def test_devices(self) -> None:
        """Tables with a name that the owner chooses."""
        config = self.read(
            HOST + '[devices.Scanner]\naddress = ["192.168.1.20"]\nrecipients = ["Ann@Example.org", "@Club.example"]\n'
            '[devices.nas]\naddress = ["192.168.1.21", "fd00::/64"]\nrecipients = ["@example.org"]\nper_day = 0\n'
            'send_as = "nas@example.org"\n'
        )
        self.assertEqual(list(config.devices), ["scanner", "nas"])
        scanner, nas = config.devices.values()
        self.assertEqual(scanner.recipients, ("ann@example.org", "@club.example"))
        self.assertEqual((scanner.per_day, nas.per_day, nas.send_as, len(nas.address)), (200, 0, "nas@example.org", 2))

    def test_hostname_alone(self) -> None:
        """Only the host name is needed; the rest are the defaults of model.py."""
        config = self.read(HOST)
        expected = Config("mail.example.org", path="/etc/mailappliance/m.toml", stated=frozenset({"hostname"}))
        self.assertEqual(config, expected)
        self.assertEqual(config.relay.route, "direct")
        self.assertEqual(config.certificate_names, ("mail.example.org",))

    def test_every_key(self) -> None:
        """Values arrive as the parts want them."""
        config = self.read(
            """
hostname = "Mail.Bücher.example"
state = "state"
[listen]
smtp = ["tcp:2525:interface=127.0.0.1", "tcp6:2525:interface=\\\\:\\\\:1"]
http = []
lmtp = ["unix:/run/lmtp:mode=660"]
submission_from = ["10.0.0.0/8"]
[networks]
lan = ["192.168.1.7", "fd00::/64"]
[tls]
deployed_command = ["touch", "a b"]
[acme]
directory = "https://localhost:14000/dir"
names = ["a.example", "b.example"]
[relay]
smarthost = "[2001:db8::1]:465"
tls = "implicit"
first_retry = "2m"
[dns]
servers = ["127.0.0.1:5353", "::1"]
[limits]
message_size = "1.5KB"
quota = "5 GB"
imap_idle = "1h"
smtp_idle = 0.5
"""
        )
        self.assertEqual(config.hostname, "mail.xn--bcher-kva.example")
        self.assertEqual(config.state, "/etc/mailappliance/state")
        self.assertEqual(
            config.listen,
            Listen(
                smtp=(
                    tcp(2525, "127.0.0.1"),
                    Endpoint("tcp6:2525:interface=\\:\\:1", "tcp6", 2525, "::1"),
                ),
                http=(),
                lmtp=(Endpoint("unix:/run/lmtp:mode=660", "unix", path="/run/lmtp", mode=0o660),),
                submission_from=(ipaddress.ip_network("10.0.0.0/8"),),
            ),
        )
        self.assertEqual([str(one) for one in config.networks.lan], ["192.168.1.7/32", "fd00::/64"])
        self.assertEqual(config.tls.deployed_command, "touch 'a b'")
        self.assertTrue(config.acme.wanted)
        self.assertEqual(config.certificate_names, ("a.example", "b.example"))
        self.assertEqual(config.relay.smarthost, HostPort("2001:db8::1", 465))
        self.assertEqual(str(config.relay.smarthost), "[2001:db8::1]:465")
        self.assertEqual(config.relay.first_retry, 120.0)
        self.assertEqual(config.dns.servers, (HostPort("127.0.0.1", 5353), HostPort("::1", 53)))
        self.assertEqual((config.limits.message_size, config.limits.quota), (1536, 5 << 30))
        self.assertEqual((config.limits.imap_idle, config.limits.smtp_idle), (3600.0, 0.5))

    def test_one_port_for_both_families(self) -> None:
        """tcp and tcp6 of one port are two doors; so are any number of free ports (0)."""
        self.read(HOST + '[listen]\nsmtp = ["tcp6:25", "tcp:25"]\nimap = ["tcp:0", "tcp:0"]')

    def test_no_way_out(self) -> None:
        """direct = false without a smarthost is a choice: nothing leaves."""
        self.assertEqual(self.read(HOST + "[relay]\ndirect = false").relay.route, "none")


class FindingTests(SynchronousTestCase):
    """Where the file is looked for."""

    def test_order(self) -> None:
        """--config, then the environment, then the usual place, then local mode."""
        usual = self.mktemp()
        environment = {"MAILAPPLIANCE_CONFIG": "/b.toml"}
        found = [find("/a.toml", environment, usual), find(None, environment, usual)]
        self.assertEqual([one and one.path for one in found], ["/a.toml", "/b.toml"])
        self.assertIsNone(find(None, {}, usual))
        pathlib.Path(usual).write_text(HOST)
        there = find(None, {}, usual)
        self.assertEqual(there and there.because, "its usual place")

    def test_named_but_absent(self) -> None:
        """A named file that is not there is no reason for local mode."""
        wrong = self.assertRaises(ConfigWrong, load_or_local, "/nowhere/x.toml", {})
        self.assertEqual(
            str(wrong), "/nowhere/x.toml: cannot be read: No such file or directory; name the file with --config"
        )

    def test_not_utf8(self) -> None:
        """A file in another encoding is refused with the line."""
        path = os.path.abspath(self.mktemp())
        pathlib.Path(path).write_bytes(b'hostname = "a.example"\n# \xe9\n')
        self.assertIn("line 2 is not UTF-8", str(self.assertRaises(ConfigWrong, load, path)))

    def test_local_mode(self) -> None:
        """Local mode is open to this machine only, on ports that need no root, and lets nothing out."""
        config = local_config("/somewhere")
        self.assertTrue(config.local)
        self.assertEqual(config.state, "/somewhere/local-state")
        self.assertEqual(config.relay.route, "none")
        self.assertEqual((DOMAIN, ACCOUNT), ("local.test", "you@local.test"))
        ports = {name: [one.port for one in ends] for name, ends in config.listen.endpoints().items() if ends}
        self.assertEqual(
            ports,
            {
                "smtp": [2525],
                "submission": [2587],
                "submissions": [2465],
                "imap": [2143],
                "imaps": [2993],
                "http": [2080],
            },
        )
        self.assertTrue(all(one.is_loopback for ends in config.listen.endpoints().values() for one in ends))
