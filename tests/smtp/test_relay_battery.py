"""Seventy ways to ask for relaying in disguise; from outside none of them may work."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.smtp.stage import House, talk

VICTIM = "victim@elsewhere.test"
FORMS = [
    "<victim@elsewhere.test>",
    "<VICTIM@ELSEWHERE.TEST>",
    "<victim@elsewhere.test.>",
    "<victim@[192.0.2.77]>",
    "<victim@[IPv6:2001:db8::77]>",
    "<victim@[198.51.100.1]>",
    "<victim@localhost>",
    "<victim@mx.example.org>",
    "<victim@[127.0.0.1]>",
    '<"victim"@elsewhere.test>',
    '<"victim@elsewhere.test"@example.org>',
    '<"victim@elsewhere.test">',
    "<victim%elsewhere.test@example.org>",
    "<victim%elsewhere.test@mx.example.org>",
    "<victim%elsewhere.test@[198.51.100.1]>",
    "<victim%elsewhere.test%example.org@example.org>",
    "<victim%elsewhere.test>",
    '<"victim%elsewhere.test"@example.org>',
    '<"victim%elsewhere.test">',
    "<elsewhere.test!victim@example.org>",
    "<elsewhere.test!victim>",
    "<elsewhere.test!victim@[198.51.100.1]>",
    '<"elsewhere.test!victim"@example.org>',
    "<example.org!elsewhere.test!victim>",
    "<example.org!victim@elsewhere.test>",
    "<@example.org:victim@elsewhere.test>",
    "<@mx.example.org:victim@elsewhere.test>",
    "<@[198.51.100.1]:victim@elsewhere.test>",
    "<@localhost:victim@elsewhere.test>",
    "<@example.org,@example.net:victim@elsewhere.test>",
    "<@example.org:victim%elsewhere.test@example.org>",
    "<@elsewhere.test:victim@elsewhere.test>",
    "<@example.org@elsewhere.test:victim>",
    "<@:victim@elsewhere.test>",
    "<victim@elsewhere.test@example.org>",
    "<victim@example.org@elsewhere.test>",
    "<victim@elsewhere.test,ann@example.org>",
    "<ann@example.org,victim@elsewhere.test>",
    "<ann@example.org><victim@elsewhere.test>",
    "<ann@example.org> <victim@elsewhere.test>",
    "<ann@example.org>victim@elsewhere.test",
    "victim@elsewhere.test",
    "<victim@elsewhere.test",
    "victim@elsewhere.test>",
    "<<victim@elsewhere.test>>",
    "<victim @elsewhere.test>",
    "<victim@ elsewhere.test>",
    "< victim@elsewhere.test>",
    "<victim@elsewhere.test >",
    "<victim@elsewhere.test\t>",
    "<victim\\@elsewhere.test@example.org>",
    '<"victim\\@elsewhere.test"@example.org>',
    '<"victim@elsewhere.test\\"@example.org>',
    "<victim(comment)@elsewhere.test>",
    "<(example.org)victim@elsewhere.test>",
    "<victim@elsewhere.test(@example.org)>",
    "<victim@elsewhere.test;ann@example.org>",
    "<victim:ann@example.org>",
    "<victim@elsewhere.test#example.org>",
    "<victim@elsewhere.test/example.org>",
    "<victim@elsewhere.test\\example.org>",
    "<victim@elsewhere.test?example.org>",
    "<victim@elsewhere.test\x00@example.org>",
    "<victim@elsewhere.test\x00.example.org>",
    "<victim@example.org.elsewhere.test>",
    "<victim@sub.example.org>",
    "<victim@xn--elsewhere.test>",
    "<victim@elsewhere\u3002test>",
    "<victim@elsewhere\uff0etest>",
    "<victim\uff20elsewhere.test>",
    "<victim@elsewhere.test> ORCPT=rfc822;ann@example.org",
    "<mailto:victim@elsewhere.test>",
    "<|/bin/mail victim@elsewhere.test>",
    "</etc/passwd>",
    "<:include:/etc/passwd>",
    '<"|/bin/sh"@example.org>',
    '<"/var/mail/ann"@example.org>',
    '<":include:/etc/passwd"@example.org>',
]


class BatteryTests(SynchronousTestCase):
    """Never an open relay."""

    def test_every_form(self) -> None:
        """Each form, with four senders, with and without SMTPUTF8, is refused with 5xx and never kept."""
        self.assertGreaterEqual(len(FORMS), 60)
        for sender in ("<x@y.test>", "<>", "<victim@elsewhere.test>", "<@example.org:x@y.test>"):
            for parameter in ("", " SMTPUTF8"):
                house = House(errors=1000, unknown_recipients=1000)
                peer = house.peer()
                talk(peer, "EHLO a.test")
                self.assertTrue(talk(peer, f"MAIL FROM:{sender}{parameter}").startswith("250"))
                for form in FORMS:
                    said = talk(peer, f"RCPT TO:{form}")
                    self.assertTrue(said.startswith("5") and said.count("\r\n") == 1, f"{form}: {said}")
                self.assertTrue(talk(peer, "DATA").startswith("554"))
                house.close()

    def test_our_domain_as_sender(self) -> None:
        """From outside as one of us: refused at MAIL in every spelling of the domain."""
        house = House(errors=1000)
        peer = house.peer()
        talk(peer, "EHLO a.test")
        for sender in (
            "<ann@example.org>",
            "<ann@EXAMPLE.ORG>",
            "<ann@example.org.>",
            '<"ann"@example.org>',
            "<nobody@example.net>",
            "<@y.test:ann@example.org>",
        ):
            self.assertTrue(talk(peer, f"MAIL FROM:{sender}").startswith("550 5.7.1"), sender)
        house.close()
