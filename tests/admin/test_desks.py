"""The other desks, over small stand-ins for the parts behind them."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from unittest import mock

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.admin import status
from mailbox_appliance.admin.certs import CertDesk
from mailbox_appliance.admin.configuring import ConfigDesk, ReloadDesk
from mailbox_appliance.admin.dispatch import Desk
from mailbox_appliance.admin.guarding import GuardingDesk
from mailbox_appliance.admin.lock import StateInUse, StateLock
from mailbox_appliance.admin.mailqueue import MailQueueDesk
from mailbox_appliance.admin.parts import Door
from mailbox_appliance.admin.result import Refused, Result
from mailbox_appliance.admin.routes import RouteDesk
from mailbox_appliance.admin.tracing import TraceDesk
from mailbox_appliance.admin.verbs import NOUNS, VERBS
from mailbox_appliance.admin.words import size_words, span_words
from mailbox_appliance.config.complaint import Complaint
from mailbox_appliance.config.local import local_config
from mailbox_appliance.config.model import Config, Relay
from mailbox_appliance.config.read import ConfigWrong
from mailbox_appliance.dns.servers import ServerState
from mailbox_appliance.guard.attempts import Aim, Trail
from mailbox_appliance.guard.sieges import Siege
from mailbox_appliance.journal.trail import TrailStep
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.message import Content
from mailbox_appliance.ports.certificates import CertificateState, CertificateTrouble
from mailbox_appliance.ports.queue import QueuedMessage, QueuedRecipient
from mailbox_appliance.ports.relay import Step
from tests.kit.fake_dns import FakeDns
from tests.kit.journal import RememberedJournal

ZONE = "1.2.0.192.in-addr.arpa. PTR adsl.far.test.\n"


def local() -> Config:
    return local_config("/nowhere")


ID, OTHER = "0k3aaaaaaaaaaa", "0k3bbbbbbbbbbb"


def message(trace: str, *recipients: QueuedRecipient, arrived: float = 0.0) -> QueuedMessage:
    return QueuedMessage(trace, "ann@example.org", arrived, 2048, "ann@example.org", recipients)


class FakeQueue:
    """Two messages; ``calls`` remembers what was asked."""

    def __init__(self, *messages: QueuedMessage) -> None:
        self.messages = messages
        self.calls: list[tuple[object, ...]] = []

    async def listing(self) -> tuple[QueuedMessage, ...]:
        return self.messages

    async def _touch(self, *call: object) -> int:
        self.calls.append(call)
        return 2

    async def retry(self, traces: tuple[str, ...]) -> int:
        return await self._touch("retry", traces)

    async def hold(self, traces: tuple[str, ...]) -> int:
        return await self._touch("hold", traces)

    async def release(self, traces: tuple[str, ...]) -> int:
        return await self._touch("release", traces)

    async def drop(self, traces: tuple[str, ...], bounce: bool = False) -> int:
        return await self._touch("drop", traces, bounce)

    async def flush(self, domain: str) -> int:
        return await self._touch("flush", domain)

    async def content(self, trace: str) -> Content | None:
        return Content(b"Subject: \x1b[31mred\n\n", b"hello\r\n\xff\n", 4)


class FakeRelay:
    def __init__(self, *steps: Step) -> None:
        self.steps = steps

    async def explain(self, address: Address) -> AsyncIterator[Step]:
        for step in self.steps:
            yield step


@dataclass(frozen=True)
class FakeKnocker:
    address: str
    failures: float = 3.0
    banned_until: float = 0.0
    bans: int = 0
    service: str = "imap"
    account: str = "ann"


class FakeGuard:
    def __init__(self, *knockers: FakeKnocker, trails: Sequence[Trail] = ()) -> None:
        self.knockers = list(knockers)
        self._trails = trails
        self.besieged: tuple[Siege, ...] = ()

    def trails(self) -> Sequence[Trail]:
        return self._trails

    def aims(self) -> tuple[Aim, ...]:
        return tuple(Aim(name, 12, 1, 1e9) for trail in self._trails for name in trail.accounts)

    def sieges(self) -> tuple[Siege, ...]:
        return self.besieged

    def kept(self) -> tuple[str, ...]:
        return ("198.51.100.7",)

    def account_of(self, typed: str) -> str:
        return "ann@example.org" if typed == "ann" else ""

    def listing(self) -> list[FakeKnocker]:
        return self.knockers

    def unban(self, text: str) -> bool:
        return any(one.address == text for one in self.knockers)


class FakeCertificates:
    def __init__(self, *states: CertificateState) -> None:
        self._states = states

    def for_server(self, *, strict: bool = True) -> None:
        return None

    def states(self) -> tuple[CertificateState, ...]:
        return self._states


class FakeDirectory:
    def __init__(self, domains: set[str], accounts: tuple[Address, ...]) -> None:
        self._domains, self._accounts = domains, accounts

    def domains(self) -> frozenset[str]:
        return frozenset(self._domains)

    async def accounts(self) -> tuple[Address, ...]:
        return self._accounts


class DeskCase(SynchronousTestCase):
    """Runs verbs."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_790_000_000)
        self.journal = RememberedJournal()

    def do(self, desk: object, words: str, **arguments: object) -> Result:
        noun, _, verb = words.partition(" ")
        return self.successResultOf(Deferred.fromCoroutine(Desk([desk], self.journal).run(noun, verb, arguments)))

    def refused(self, desk: object, words: str, **arguments: object) -> str:
        noun, _, verb = words.partition(" ")
        running = Deferred.fromCoroutine(Desk([desk], self.journal).run(noun, verb, arguments))
        return str(self.failureResultOf(running, Refused).value)


class QueueTests(DeskCase):
    """queue …"""

    def desk(self) -> MailQueueDesk:
        now = self.clock.seconds()
        waits = QueuedRecipient("bob@example.net", "waiting", now + 300, 2, "450 4.7.1 later")
        held = QueuedRecipient("eve@example.net", "held", 0, 0)
        self.queue = FakeQueue(message(ID, waits, arrived=now - 7300), message(OTHER, held, arrived=now))
        return MailQueueDesk(self.queue, self.clock)

    def test_list(self) -> None:
        """A row a recipient with the last reply; JSON has the figures."""
        result = self.do(self.desk(), "queue list")
        assert result.table is not None
        self.assertEqual(
            result.table.rows[0],
            (ID, "2 h", "2.0 KB", "ann@example.org", "bob@example.net", "waiting", "in 5 min", "2", "450 4.7.1 later"),
        )
        self.assertEqual(result.data[1]["recipients"][0]["state"], "held")
        empty = MailQueueDesk(FakeQueue(), self.clock)
        self.assertEqual(self.do(empty, "queue list").lines, ("the queue is empty",))

    def test_show(self) -> None:
        """Envelope, recipients and content; what could command a terminal is escaped."""
        lines = self.do(self.desk(), "queue show", id=ID.upper()).lines
        self.assertIn("    last reply: 450 4.7.1 later", lines)
        self.assertIn("Subject: \\x1b[31mred", lines)
        self.assertIn("hello", lines)
        self.assertTrue(all(line.isprintable() for line in lines))
        self.assertIn("is not in the queue", self.refused(self.desk(), "queue show", id="x"))

    def test_acts(self) -> None:
        """Each act reaches the queue with the ids named; an unknown id touches nothing."""
        rows: tuple[tuple[str, dict[str, object], tuple[object, ...]], ...] = (
            ("queue retry", {"ids": [ID]}, ("retry", (ID,))),
            ("queue retry", {"ids": [], "all": True}, ("retry", ())),
            ("queue flush", {}, ("retry", ())),
            ("queue flush", {"domain": "Bücher.example"}, ("flush", "xn--bcher-kva.example")),
            ("queue hold", {"ids": [ID, OTHER]}, ("hold", (ID, OTHER))),
            ("queue release", {"ids": [OTHER]}, ("release", (OTHER,))),
            ("queue drop", {"ids": [OTHER.upper()], "bounce": True}, ("drop", (OTHER,), True)),
        )
        for words, arguments, call in rows:
            self.assertEqual(self.do(self.desk(), words, **arguments).data, {"recipients": 2})
            self.assertEqual(self.queue.calls, [call])
        refused: tuple[tuple[str, dict[str, object]], ...] = (
            ("queue drop", {"ids": [ID, "0k3zzz"]}),
            ("queue hold", {"ids": []}),
            ("queue retry", {}),
            ("queue retry", {"ids": [ID], "all": True}),
        )
        for words, arguments in refused:
            self.refused(self.desk(), words, **arguments)
            self.assertEqual(self.queue.calls, [])


class RouteTests(DeskCase):
    """relay test"""

    def test_failure(self) -> None:
        """A bad step makes it exit 1, with the remedy below."""
        relay = FakeRelay(Step("found MX", True), Step("connected", False, "port 25 out is blocked\nask for it"))
        result = self.do(RouteDesk(relay), "relay test", address="bob@example.net")  # type: ignore[arg-type]
        self.assertEqual(
            result.lines,
            (
                "ok   found MX",
                "FAIL connected",
                "     port 25 out is blocked",
                "     ask for it",
                "mail to bob@example.net cannot leave now: see FAIL above",
            ),
        )
        self.assertEqual((result.code, result.data["good"]), (1, False))

    def test_success_and_local(self) -> None:
        """All steps good is 0; local mode says that nothing leaves."""
        good = self.do(RouteDesk(FakeRelay(Step("x", True))), "relay test", address="b@c.example")  # type: ignore[arg-type]
        self.assertEqual((good.code, good.lines[-1]), (0, "mail to b@c.example can leave"))
        self.assertIn("nothing leaves", self.do(RouteDesk(None), "relay test", address="b@c.example").lines[0])
        self.assertIn("has no @", self.refused(RouteDesk(None), "relay test", address="bob"))


class GuardTests(DeskCase):
    """guard …"""

    def test_list_and_unban(self) -> None:
        """Who is shut out until when; unban wants an address that is held against."""
        desk = GuardingDesk(
            FakeGuard(FakeKnocker("192.0.2.1", banned_until=1_790_000_060.0), FakeKnocker("2001:db8::/64")),
            self.clock,
            local,
        )
        result = self.do(desk, "guard list")
        self.assertEqual(result.data[0]["shut_out_until"], "2026-09-21T14:14:20Z")
        assert result.table is not None
        self.assertEqual(result.table.rows[1][1], "not yet")
        self.assertEqual(self.do(desk, "guard unban", address="192.0.2.1").lines, ("192.0.2.1 may come in again",))
        self.do(desk, "guard unban", address="2001:db8::/64")
        self.assertIn("nothing is held against", self.refused(desk, "guard unban", address="192.0.2.2"))
        self.assertIn("is not an IP address", self.refused(desk, "guard unban", address="ann"))
        self.assertEqual(
            self.do(GuardingDesk(FakeGuard(), self.clock, local), "guard list").lines, ("nobody is shut out",)
        )

    def test_siege(self) -> None:
        """An account at which strangers guess stands in the list, with what ends it."""
        guard = FakeGuard()
        guard.besieged = (Siege("ann@example.org", 1_790_000_060.0, 1, 1_790_000_000.0, "imap"),)
        desk = GuardingDesk(guard, self.clock, local)
        result = self.do(desk, "guard list")
        self.assertEqual((result.data[0]["address"], result.data[0]["account"]), ("strangers", "ann@example.org"))
        self.assertIn("mailappliance guard unban ann@example.org", result.lines[-1])
        self.assertNotIn("ann@", "\n".join(self.do(desk, "guard nft").lines))

    def test_log(self) -> None:
        """A line for each address, and whether it is shut out by now."""
        trails = (
            Trail(ip_address("192.0.2.1"), 12, 1e9, 1e9 + 60, ("imap", "smtp"), ("ann", "root")),
            Trail(ip_address("2001:db8::"), 1, 1e9, 1e9, ("imap",), ()),
        )
        desk = GuardingDesk(
            FakeGuard(FakeKnocker("192.0.2.1", banned_until=1_790_000_060.0), trails=trails),
            self.clock,
            local,
            FakeDns(ZONE),
        )
        data = self.do(desk, "guard log").data
        self.assertEqual(
            [(row["address"], row["failures"], row["tried"], row["shut_out"]) for row in data],
            [("192.0.2.1", 12, "ann, root", True), ("2001:db8::/64", 1, "", False)],
        )
        self.assertEqual([row["nobodys"] for row in data], ["root", ""])
        lines = self.do(desk, "guard log").lines
        self.assertRegex(lines[0], r"^ann: 12 wrong passwords from 1 address since 2001-09-09 ")
        self.assertEqual(lines[1:3], ("names that nobody has: 12 tries at 1 of them", ""))
        lines = lines[3:]
        self.assertEqual(lines[0], "192.0.2.1 (adsl.far.test)")
        self.assertRegex(
            lines[1], r"^  2001-09-09 ..:..:.. to (2001-09-09 )?..:..:.., 12 wrong passwords at imap, smtp$"
        )
        self.assertEqual(lines[2:4], ("  for ann", "  for names that nobody has: root"))
        self.assertRegex(lines[4], "^  shut out until 2026-09-21")
        self.assertEqual(lines[5], "2001:db8::/64")
        self.assertRegex(lines[6], "1 wrong password at imap$")
        self.assertLessEqual(max(map(len, lines)), 80)
        self.assertIn("192.0.2.1 timeout 60s", "\n".join(self.do(desk, "guard nft").lines))
        self.assertIn("nobody", self.do(GuardingDesk(FakeGuard(), self.clock, local), "guard log").lines[0])


class CertTests(DeskCase):
    """cert …"""

    def test_files(self) -> None:
        """Files are shown, and renewed by somebody else."""
        state = CertificateState(("a.example",), "CN=x", 1_780_000_000, 1_790_864_000, "files", "soon over")
        desk = CertDesk(FakeCertificates(state), None, self.clock)
        lines = self.do(desk, "cert show").lines
        self.assertEqual((lines[0], lines[-1]), ("names: a.example", "trouble: soon over"))
        self.assertIn("10 days left", lines[2])
        self.assertIn("mailappliance reload", self.refused(desk, "cert renew"))

    def test_trouble(self) -> None:
        """What the authority refuses is said with its remedy, as a refusal."""

        class Keeper:
            async def renew(self) -> str:
                raise CertificateTrouble("the name does not lead here", "correct its A record")

            async def rotate(self, *, now: bool = False) -> str:
                return await self.renew()

        desk = CertDesk(FakeCertificates(), Keeper(), self.clock)
        for verb in ("cert renew", "cert rotate"):
            self.assertEqual(self.refused(desk, verb), "the name does not lead here; correct its A record")


class ConfigTests(DeskCase):
    """config check, reload"""

    def test_check(self) -> None:
        """Every complaint, and exit code 1; a right file says so."""
        path = os.path.abspath(self.mktemp())
        with open(path, "w") as file:
            file.write("hostnam = 1\n")
        result = self.do(ConfigDesk(path), "config check")
        self.assertEqual(result.code, 1)
        self.assertEqual(result.lines[0], f"{path} (by --config):")
        self.assertEqual([one["key"] for one in result.data["complaints"]], ["hostnam", "hostname"])
        with open(path, "w") as file:
            file.write(f'hostname = "a.example"\nstate = "{path}.state"\n')
        self.assertEqual(self.do(ConfigDesk(path), "config check").code, 0)

    def test_sample(self) -> None:
        """The sample, whole."""
        self.assertIn('hostname = "mail.example.org"', self.do(ConfigDesk(), "config sample").lines)

    def test_reload(self) -> None:
        """What was taken over; a wrong file changes nothing and says why."""

        async def good() -> tuple[str, ...]:
            return ("limits changed",)

        async def bad() -> tuple[str, ...]:
            raise ConfigWrong("/x.toml", [Complaint("hostname", "is missing", "write it")])

        self.assertEqual(self.do(ReloadDesk(good), "reload").lines, ("limits changed",))
        self.assertEqual(
            self.refused(ReloadDesk(bad), "reload"), "nothing was changed:\n/x.toml: hostname is missing; write it"
        )


class TraceTests(DeskCase):
    """trace …"""

    def test_story(self) -> None:
        """Steps of a message stand together below its id, each with the sentence of its event."""
        steps = (
            TrailStep(1.0, ID, "admin.did", 5, 'command="account add" about="a\\x1bb"'),
            TrailStep(2.0, "", "journal.remarked", 4, "by=x"),
            TrailStep(3.0, ID, "nobody.knows", 6, ""),
        )

        class Trails:
            async def search(self, text: str) -> tuple[TrailStep, ...]:
                return steps if text == "ann@example.org" else ()

        result = self.do(TraceDesk(Trails()), "trace", what=" ann@example.org ")
        words = [line[22:] if line[:1] in " !" and line[2:6] == "1970" else line for line in result.lines]
        self.assertEqual(
            words,
            [
                f"message {ID}",
                " admin.did: The operator gave a command that changes something.",
                "      command account add; about a?b",
                " nobody.knows",
                "",
                " journal.remarked: A library we use has something to say.",
                "      by x",
            ],
        )
        self.assertEqual(result.data[0]["facts"]["command"], "account add")
        self.assertIn("nothing is known of x@y", self.refused(TraceDesk(Trails()), "trace", what="x@y"))


class StatusTests(DeskCase):
    """status"""

    def check(self, check: status.Check) -> status.Finding:
        async def run() -> status.Finding:
            return await check()

        return self.successResultOf(Deferred.fromCoroutine(run()))

    def test_lines(self) -> None:
        """Each line is ok or what to do; one thing to do is exit code 1."""

        async def good() -> status.Finding:
            return status.Finding("disk", "9 GB free")

        async def bad() -> status.Finding:
            return status.Finding("mail out", "no way", "set it\nor not")

        result = self.do(status.StatusDesk([good, bad]), "status")
        self.assertEqual(
            result.lines,
            ("disk:     ok: 9 GB free", "mail out: TO DO: no way", "          → set it", "          → or not"),
        )
        self.assertEqual((result.code, self.do(status.StatusDesk([good]), "status").code), (1, 0))

    def test_one_breaks(self) -> None:
        """The others are shown all the same, and the broken one is something to do."""

        async def good() -> status.Finding:
            return status.Finding("disk", "9 GB free")

        async def name_servers() -> status.Finding:
            raise OSError(5, "Input/output error")

        result = self.do(status.StatusDesk([name_servers, good]), "status")
        self.assertEqual(result.code, 1)
        self.assertRegex("\n".join(result.lines), r"TO DO: could not be asked: .*Input/output error\n(.*\n)+disk: +ok")

    def test_mail_in(self) -> None:
        """Shut doors, no domain, no account, all well."""
        doors = [Door("smtp", "tcp:25")]
        ann = (Address("ann", "a.example"),)
        rows: tuple[tuple[list[Door], set[str], tuple[Address, ...], str], ...] = (
            (
                [Door("smtp", "tcp:25", "in use")],
                {"a.example"},
                ann,
                "free that port or change it in [listen], then restart",
            ),
            ([Door("imap", "tcp:143")], {"a.example"}, ann, "set listen.smtp in the config"),
            (doors, set(), (), "mailappliance domain add example.org"),
            (doors, {"a.example"}, (), "mailappliance account add you@a.example"),
            (doors, {"a.example"}, ann, ""),
        )
        for shown, domains, accounts, remedy in rows:
            directory = FakeDirectory(domains, accounts)
            found = self.check(status.mail_in(lambda shown=shown: shown, directory))  # type: ignore[misc, arg-type]
            self.assertEqual(found.remedy, remedy)

    def test_mail_out(self) -> None:
        """Local mode and an empty queue are well; no route and mail that waits in vain are not."""
        now = self.clock.seconds()
        late = QueuedRecipient("bob@example.net", "waiting", now + 60, 3, "450 later")
        held = QueuedRecipient("bob@example.net", "held", 0, 3, "450 later")
        old = now - 7200
        rows = (
            (local_config("/x"), FakeQueue(), "local mode, nothing leaves this machine", ""),
            (
                Config("a.example", relay=Relay(direct=False)),
                FakeQueue(),
                "no way out is configured",
                "set relay.smarthost",
            ),
            (
                Config("a.example"),
                FakeQueue(message(ID, late, arrived=now)),
                "direct to each domain's mail host, 1 message",
                "",
            ),
            (Config("a.example"), FakeQueue(message(ID, held, arrived=old)), "1 recipient(s) held", ""),
            (
                Config("a.example"),
                FakeQueue(message(ID, late, arrived=old)),
                "for 2 h: 450 later",
                "mailappliance relay test bob",
            ),
        )
        for config, queue, words, remedy in rows:
            found = self.check(status.mail_out(queue, config, self.clock))
            self.assertIn(words, found.words)
            self.assertEqual(found.remedy[: len(remedy)], remedy)
            self.assertEqual(found.good, not remedy)

    def test_certificate(self) -> None:
        """None, ended, not yet, troubled, soon, well."""
        now = self.clock.seconds()
        day = 86400.0

        def state(begin: float, end: float, source: str, trouble: str = "") -> CertificateState:
            return CertificateState(("a.example",), "x", now + begin * day, now + end * day, source, trouble)

        rows: tuple[tuple[tuple[CertificateState, ...], str, str], ...] = (
            ((), "there is none", "mailappliance cert renew"),
            ((state(-9, -1, "acme"),), "a.example: ended 24 h ago", "mailappliance cert renew"),
            ((state(-9, -1, "files"),), "a.example: ended", "renew the files named in [tls]"),
            ((state(1, 90, "acme"),), "not valid yet", "set this machine's clock"),
            ((state(-1, 90, "acme", "port 80 is shut"),), "port 80 is shut", "mailappliance cert renew"),
            ((state(-1, 10, "files"),), "ends in 10 days", "renew the files"),
            ((state(-1, 10, "acme"),), "(acme), 10 days left", ""),
        )
        for states, words, remedy in rows:
            found = self.check(status.certificate(FakeCertificates(*states), self.clock))
            self.assertIn(words, found.words)
            self.assertEqual(found.remedy[: len(remedy)], remedy)
            self.assertEqual(found.good, not remedy)

    def test_disk(self) -> None:
        """Room, little room, none, read-only, gone."""
        real = os.statvfs("/")

        def about(free: int, flags: int = 0, inodes: int = 5) -> object:
            return mock.Mock(f_bavail=free, f_frsize=1, f_flag=flags, f_files=5, f_favail=inodes, spec=real)

        rows = (
            (about(9 << 30), "9.0 GB free"),
            (about(100 << 20), "has only 100 MB left"),
            (about(1 << 20), "is full (1.0 MB left)"),
            (about(9 << 30, os.ST_RDONLY), "Read-only file system"),
            (about(9 << 30, 0, 0), "no inodes"),
        )
        for answer, words in rows:
            with mock.patch("os.statvfs", return_value=answer):
                self.assertIn(words, self.check(status.disk("/x")).words)
        self.assertFalse(self.check(status.disk("/nowhere")).good)

    def test_name_servers(self) -> None:
        """Each one is asked now: all must answer, and who does not is named."""
        fine, silent = ServerState("192.0.2.1:53", True), ServerState("192.0.2.2:53", False, 0.0, "no answer in time")
        for states, good, words in (
            ((fine,), True, "192.0.2.1:53"),
            ((fine, silent), False, "192.0.2.2:53: no answer in time"),
            ((silent,), False, "no answer: 192.0.2.2:53"),
            ((), False, "none to ask"),
        ):

            async def probe(states: tuple[ServerState, ...] = states) -> tuple[ServerState, ...]:
                return states

            found = self.check(status.name_servers(probe))
            self.assertEqual((found.good, words in found.words), (good, True), found)
        self.assertTrue(self.check(status.name_servers(None)).good)

        async def good() -> tuple[ServerState, ...]:
            return (fine,)

        found = self.check(status.name_servers(good, lambda: 3))
        self.assertEqual((found.good, "3 message(s)" in found.words), (True, True), found)


class TableTests(SynchronousTestCase):
    """The table of verbs itself."""

    def test_rows(self) -> None:
        """No verb twice, each method belongs to its desk, each noun is explained, lists have --json."""
        names = [verb.name for verb in VERBS]
        self.assertEqual(len(names), len(set(names)))
        for verb in VERBS:
            self.assertIs(getattr(verb.desk, verb.run.__name__), verb.run, verb.name)
            self.assertTrue(verb.help.endswith("."), verb.name)
            self.assertFalse(verb.verb == "list" and not verb.lists, verb.name)
            self.assertFalse(verb.changes and verb.here, verb.name)
        self.assertEqual({verb.noun for verb in VERBS if verb.verb}, set(NOUNS))

    def test_words(self) -> None:
        """Sizes and spans as people say them."""
        for octets, words in (
            (0, "0 B"),
            (1023, "1023 B"),
            (1536, "1.5 KB"),
            (150 << 20, "150 MB"),
            (5 << 40, "5.0 TB"),
        ):
            self.assertEqual(size_words(octets), words)
        for seconds, words in ((-5, "0 s"), (59, "59 s"), (600, "10 min"), (7300, "2 h"), (400_000, "5 days")):
            self.assertEqual(span_words(seconds), words)


class LockTests(SynchronousTestCase):
    """STATE/lock"""

    def test_one_at_a_time(self) -> None:
        """The second is told who holds it; afterwards it may."""
        state = self.mktemp()
        os.mkdir(state)
        one, two = StateLock(state), StateLock(state)
        one.take()
        self.assertIn(f"process {os.getpid()}", str(self.assertRaises(StateInUse, two.take)))
        one.give_back()
        two.take()
        two.give_back()
