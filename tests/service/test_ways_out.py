"""How the config becomes ways out, and what reload and the queue's desk do with the relay of the hour."""

from __future__ import annotations

from typing import Any, cast

from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.assembly.changing import QueueDesk, WayOut
from mailbox_appliance.assembly.people import first_owner
from mailbox_appliance.assembly.settings import relay_settings, store_settings
from mailbox_appliance.config.model import Config
from mailbox_appliance.config.read import parse
from mailbox_appliance.journal.journal import Journal
from mailbox_appliance.mail.address import Address
from mailbox_appliance.ports.users import Known, LocalMailbox, Unknown
from mailbox_appliance.relay.carry import MailRelay
from mailbox_appliance.relay.memory import RelayMemory
from mailbox_appliance.relay.settings import Host, Proxy, Security
from tests.kit.journal import RememberedJournal
from tests.kit.post_office import PostOffice, now


def config(text: str = "") -> Config:
    found, complaints = parse(f'hostname = "mail.example.org"\n{text}')
    assert found is not None and not complaints, complaints
    return found


class SettingsTests(SynchronousTestCase):
    def test_plain(self) -> None:
        """Nothing said: direct, and our own name is a loop."""
        settings = relay_settings(config())
        self.assertEqual((settings.direct, settings.smarthost), (True, None))
        self.assertEqual(settings.own_names, {"mail.example.org"})

    def test_all(self) -> None:
        settings = relay_settings(
            config(
                '[relay]\nsmarthost = "isp.example:465"\ntls = "implicit"\nuser = "u"\npassword_file = "/p"\n'
                'direct = true\nfallback_after = 4\nsocks = "127.0.0.1:1080"\n'
                '[relay.domains."club.example"]\nhost = "store.lan:25"\ntls = "none"\n'
                '[relay.senders."a.example"]\nhost = "a.isp.example:587"\n'
            )
        )
        self.assertEqual(settings.smarthost, Host("isp.example", 465, Security.IMPLICIT, "u", "/p"))
        self.assertEqual((settings.direct, settings.fallback_after), (True, 4))
        self.assertEqual(settings.socks, Proxy("127.0.0.1", 1080))
        self.assertEqual(settings.routes, {"club.example": Host("store.lan", 25, Security.NONE)})
        self.assertEqual(settings.senders, {"a.example": Host("a.isp.example", 587)})


class _Relay:
    def __init__(self) -> None:
        self.done: list[str] = []

    def stop(self) -> None:
        self.done.append("stop")

    def forget(self) -> None:
        self.done.append("forget")


class WayOutTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.relays: list[_Relay] = []

        def make(config: Config) -> MailRelay:
            self.relays.append(_Relay())
            return cast(MailRelay, self.relays[-1])

        self.way = WayOut(make, RelayMemory(None, RememberedJournal()), config())

    def test_reload(self) -> None:
        """The old one closes its connections; what was learned stays."""
        memory = self.way.memory
        self.way.take_over(config())
        self.assertEqual([one.done for one in self.relays], [["stop"], []])
        self.assertIs(self.way.memory, memory)
        now(self.way.close())
        self.assertEqual(self.relays[1].done, ["stop"])

    def test_now_means_now(self) -> None:
        """``queue retry`` and ``queue flush`` forget which hosts were dead."""
        office = PostOffice(self.mktemp())
        self.addCleanup(office.close)
        journal = cast(Journal, office.journal)
        desk = QueueDesk(office.spool, office.dispatch, office.clock, journal, self.way)
        now(desk.retry(()))
        now(desk.flush("b.example"))
        self.assertEqual(self.relays[0].done, ["forget", "forget"])


class OwnerTests(SynchronousTestCase):
    def test_first_owner(self) -> None:
        """Whom the bare postmaster leads to; nobody before there is a domain."""
        ann = Address("ann", "a.example")
        for resolution, expected in ((Known((LocalMailbox(ann),), "role"), ann), (Unknown(), None)):

            class Directory:
                async def resolve(self, address: Address, resolution: Any = resolution) -> Any:
                    assert str(address.local) == "postmaster" and not address.domain
                    return resolution

            self.assertEqual(now(first_owner(cast(Any, Directory()))()), expected)


class StoreSettingsTests(SynchronousTestCase):
    """[store] as the station takes it."""

    def test_word_index(self) -> None:
        """On, unless the owner says otherwise."""
        self.assertTrue(store_settings(config()).word_index)
        self.assertFalse(store_settings(config("[store]\nword_index = false\n")).word_index)
