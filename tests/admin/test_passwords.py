"""`account link` on paper and for the camera, and where people are told of their page."""

from __future__ import annotations

import segno
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.admin.clientsettings import ClientSettings
from mailbox_appliance.admin.passwords import LinkDesk, drawn
from mailbox_appliance.config.read import parse
from tests.users.household import Household, now

LINK = "https://mail.example.org/password/aK3RTyAnIA0ed1xlvJXCDNdT9pZUeT9Pc2FubnPSKQQ"


class LinkTests(SynchronousTestCase):
    def test_drawn(self) -> None:
        """The code that is drawn is the code of the link, with a light margin; it fits a small terminal."""
        lines = drawn(LINK)
        dark = {"█": (0, 0), "▀": (0, 1), "▄": (1, 0), " ": (1, 1)}
        rows = []
        for line in lines:
            rows += [[dark[sign][half] for sign in line] for half in (0, 1)]
        wanted = [list(row) for row in segno.make(LINK, error="l", micro=False).matrix_iter(border=2)]
        self.assertEqual(rows[: len(wanted)], wanted)
        self.assertLessEqual(max(map(len, lines)), 80)
        self.assertLessEqual(len(lines), 22)

    def test_link(self) -> None:
        """Only when it is asked for."""
        users = Household().fill(["example.org"], ["ann@example.org"]).users
        desk = LinkDesk(users.links, lambda: "https://mail.example.org")
        plain = now(desk.link({"address": "ann@example.org"}))
        code = now(desk.link({"address": "ann@example.org", "qr": True}))
        self.assertNotIn("█", "".join(plain.lines))
        self.assertEqual(code.lines[-10:], drawn(code.data["link"])[-10:])

    def test_the_page(self) -> None:
        """Who is welcomed reads where to choose another password, if that can be done."""
        for text, page in (
            ("", ""),
            ('[listen]\nhttps = ["tcp:443"]', "https://mail.example.org/password"),
            ('[listen]\nhttps = ["tcp:8443"]', "https://mail.example.org:8443/password"),
        ):
            config, complaints = parse(f'hostname = "mail.example.org"\n{text}\n')
            assert config is not None, complaints
            settings = ClientSettings(config)
            self.assertEqual(settings.password_page(), page)
            lines = "\n".join(settings.lines("ann@example.org", for_owner=False))
            self.assertEqual("another password: " in lines, bool(page))
            self.assertNotIn("mailappliance", lines)
