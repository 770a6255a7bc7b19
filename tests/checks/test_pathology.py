"""Messages and records made to keep us busy: each ends with a verdict, few questions, and nothing broken."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.checks.settings import dns_lists
from mailbox_appliance.mail.verdict import Action
from tests.checks.scene import ATTACKER_IP, VICTIM_IP, Scene, found, letter, sealed, signed

HONEST = {"ip": VICTIM_IP, "helo": "mx.victim.test", "sender": "eve@victim.test"}
HUGE = {"ip": ATTACKER_IP, "helo": "h.test", "sender": "a" * 60 + "@huge.test"}
BASE = letter("eve@victim.test")
GOOD = signed(BASE, "victim.test")
FIELD = GOOD[: -len(BASE)]


def text_record(text: str, name: str = "huge.test") -> str:
    strings = " ".join(f'"{text[at : at + 250]}"' for at in range(0, len(text), 250))
    return f"{name}. TXT {strings}\n"


class PathologyTests(SynchronousTestCase):
    """Bounded, whatever it is."""

    def test_messages(self) -> None:
        """Headers and bodies."""
        for name, message, dkim in (
            ("a thousand signatures", FIELD * 1000 + BASE, "pass"),
            ("a field of blanks", b"a: " + b" " * 250_000 + b"\n" + GOOD, "pass"),
            ("a field of folds", b"a: " + b"\n " * 120_000 + b"x\n" + GOOD, "pass"),
            ("countless fields", b"a:\n" * 80_000 + GOOD, "none"),
            ("countless names in h=", FIELD.replace(b"h=from", b"h=" + b"a:" * 15_000 + b"from") + BASE, "permerror"),
            ("countless tags", b"DKIM-Signature: " + b"a=b;" * 8000 + b"\n" + BASE, "permerror"),
            ("empty tags", (b"DKIM-Signature: " + b";" * 25_000 + b"\n") * 10 + BASE, "permerror"),
            ("blanks in b=", FIELD.replace(b"\tb=", b"\tb=" + b"\n " * 15_000) + BASE, "pass"),
            ("countless seals", b"ARC-Seal: i=1; a=rsa-sha256; b=AAAA; cv=none; d=x.test; s=s\n" * 1000 + GOOD, "pass"),
            ("a body of blanks", signed(letter("eve@victim.test", " " * 250_000), "victim.test"), "pass"),
            ("a body of line ends", signed(letter("eve@victim.test", "\n" * 250_000), "victim.test"), "pass"),
            ("a body of both", signed(letter("eve@victim.test", " \n" * 120_000), "victim.test"), "pass"),
        ):
            scene = Scene()
            verdict = scene.examine(message, **HONEST)
            self.assertEqual(found(verdict, "dkim"), [dkim], name)
            self.assertLess(len(scene.dns.questions), 20, name)

    def test_parts(self) -> None:
        """Ten thousand parts, files, links, and parts within parts."""
        head = "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n"
        part = "--b\nContent-Type: application/zip\nContent-Disposition: attachment; filename=a.zip\n\nPK\x03\x04\n"
        inner = "".join(f"--b{n}\nContent-Type: multipart/mixed; boundary=b{n + 1}\n\n" for n in range(10_000))
        for name, body in (
            ("parts", "--b\n\n" + part * 10_000 + "--b--\n"),
            ("empty parts", "--b\n" * 60_000),
            ("parts within parts", "--b\nContent-Type: multipart/mixed; boundary=b0\n\n" + inner),
            ("links", "".join(f"http://h{n}.x{n}.test/ " for n in range(10_000))),
            ("archives", "--b\nContent-Type: application/zip\n\n" + "PK\x03\x04" * 60_000),
        ):
            message = letter("eve@victim.test").replace(b"\n\n", b"\n" + head.encode() + b"\n", 1) + body.encode()
            scene = Scene(domain_lists=dns_lists(("dbl.test",)))
            scene.examine(message, **HONEST)
            self.assertLess(len(scene.dns.questions), 40, name)

    def test_authors(self) -> None:
        """From fields that a careless reader goes through again and again."""
        for value in (
            '"\\' * 1000,
            "(" * 2000,
            "<" * 2000,
            '"\\' * 100_000,
            "a@" * 1000,
            "(a" * 900 + ")" * 900,
        ):
            self.assertEqual(Scene().examine(letter(value + " <eve@victim.test>"), **HONEST).action, Action.REJECT)

    def test_long_chain(self) -> None:
        """Fifty sets are the most; one more is nobody's."""
        message = BASE
        for number in range(51):
            added = sealed(message, "attacker.test", "attacker.test; dmarc=pass", "pass" if number else "none")
            if number == 50:
                self.assertEqual(added, message)
            message = added
        self.assertEqual(found(Scene().examine(message), "arc"), ["pass"])

    def test_records(self) -> None:
        """Huge records of every kind."""
        includes = text_record("v=spf1 " + " ".join(f"include:i{n}.huge.test" for n in range(9)) + " -all")
        includes += "".join(
            text_record("v=spf1 " + "ip4:10.0.0.1 " * 130 + "?all", f"i{n}.huge.test") for n in range(9)
        )
        for zone, spf in (
            (text_record("v=spf1 " + "ip4:10.0.0.1 " * 300 + "-all"), "fail"),
            (text_record("v=spf1 " + "ip4:10.0.0.1 " * 4000 + "-all"), "permerror"),
            (includes, "fail"),
            (text_record("v=spf1 " + " ".join("a:x." + "1" * 500 for _ in range(7))), "permerror"),
            (text_record("v=spf1 " + " ".join("a:" + "%{l}" * 120 + ".x" for _ in range(8))), None),
            (
                text_record("v=spf1 include:a.huge.test")
                + "a.huge.test. CNAME b.huge.test.\nb.huge.test. CNAME a.huge.test.\n",
                "temperror",
            ),
            ("".join(text_record("x" * 250, "huge.test") for _ in range(200)) + text_record("v=spf1 -all"), "fail"),
        ):
            scene = Scene(zone)
            verdict = scene.examine(BASE, **HUGE)
            if spf is not None:
                self.assertEqual(found(verdict, "spf"), [spf])
            self.assertLess(len(scene.dns.questions), 40)
        scene = Scene(text_record("v=DMARC1;" + "p=reject;" * 6000, "_dmarc.huge.test"))
        self.assertEqual(found(scene.examine(letter("e@huge.test"), **HUGE), "dmarc"), ["stranger"])
        scene = Scene(text_record("p=" + "A" * 60_000, "k9._domainkey.huge.test"))
        message = FIELD.replace(b"d=victim.test", b"d=huge.test").replace(b"s=k1", b"s=k9") + BASE
        self.assertEqual(found(scene.examine(message, **HONEST), "dkim"), ["permerror"])

    def test_many_names_of_one_address(self) -> None:
        """An address with a hundred names is asked for five."""
        zone = "".join(f"99.113.0.203.in-addr.arpa. PTR n{n}.huge.test.\n" for n in range(100))
        scene = Scene(zone)
        verdict = scene.examine(BASE, ip="203.0.113.99", helo="h.test", sender="")
        self.assertEqual(found(verdict, "fcrdns"), ["fail"])
        self.assertLess(len(scene.dns.questions), 16)
