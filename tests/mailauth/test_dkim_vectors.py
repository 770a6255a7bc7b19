"""DKIM against the public vectors: RFC 6376 and 8463 examples, dkimpy's messages, canonicalization."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.mailauth.canonical import RELAXED, SIMPLE, BodyHash, HeaderBlock, canonical_fields
from tests.mailauth.proof import Book, split, vectors, verify


class RfcVectorTests(SynchronousTestCase):
    """Messages with their keys before them."""

    def run_file(self, name: str, now: float) -> list[str]:
        octets = (vectors("dkim") / "rfc" / name).read_bytes().replace(b"\r\n", b"\n")
        keys, _, message = octets.partition(b"\n\n")
        records = dict(line.decode().split(" ", 1) for line in keys.splitlines())
        return [result.result for result in verify(message, Book(records), now)]

    def test_rfc8463(self) -> None:
        """Both signatures of RFC 8463 appendix A hold."""
        self.assertEqual(self.run_file("001.txt", 1528637909.0), ["pass", "pass"])

    def test_rfc6376(self) -> None:
        """A simple/simple signature in alphabetical order holds."""
        self.assertEqual(self.run_file("002.txt", 1615825284.0), ["pass"])

    def test_list_mail(self) -> None:
        """The list's own signature holds, twice; the author's third one has no key any more."""
        results = self.run_file("003.txt", 1667592145.0)
        self.assertEqual(results[:2], ["pass", "pass"])
        self.assertNotIn("pass", results[2:])


class DkimpyVectorTests(SynchronousTestCase):
    """The data of dkimpy's own tests."""

    def read(self, name: str) -> bytes:
        return (vectors("dkim") / "dkimpy" / name).read_bytes()

    def result(self, name: str, records: dict[str, str], now: float = 1_600_000_000.0) -> list[tuple[str, str]]:
        return [(one.result, one.reason) for one in verify(self.read(name), Book(records), now)]

    def football(self) -> dict[str, str]:
        return {
            "brisbane._domainkey.football.example.com": "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
            "test._domainkey.football.example.com": self.read("test.txt").decode(),
        }

    def test_rfc6376_messages(self) -> None:
        """Signed by Ed25519 and RSA, one of them alone, and broken when a tag was taken out."""
        both = [result for result, _ in self.result("rfc6376.signed.msg", self.football())]
        self.assertEqual(both, ["pass", "pass"])
        alone = [result for result, _ in self.result("rfc6376.signed.rsa.msg", self.football())]
        self.assertEqual(alone, ["pass"])
        broken = [result for result, _ in self.result("rfc6376.signed.no_t.msg", self.football())]
        self.assertEqual(broken, ["fail"])

    def test_exim(self) -> None:
        """Exim's Ed25519 message with a folded d=."""
        records = {"sed._domainkey.test.ex": self.read("eximtest.dns").decode()}
        self.assertEqual([result for result, _ in self.result("ed25519test2.msg", records)], ["pass"])

    def test_ugly_folding(self) -> None:
        """Degenerate folding is legal: the field is read and the body matches, but this is another's key."""
        records = {"20120113._domainkey.gmail.com": self.read("test2.txt").decode()}
        ((result, reason),) = self.result("test2.message", records)
        self.assertEqual((result, "key is another" in reason), ("fail", True), reason)

    def test_bad_domain(self) -> None:
        """A d= with a parenthesis is no domain, whatever key it finds."""
        records = {"test._domainkey.legitimate.com(.attacker.com": self.read("test.txt").decode()}
        ((result, reason),) = self.result("test.message.baddomain", records)
        self.assertEqual((result, reason), ("permerror", "d= is not a domain name"))

    def test_bad_key_records(self) -> None:
        """Records of unknown kind, of a wrong version, with half a key, and for TLS reports do not verify."""
        for name in ("badk.txt", "badversion.txt", "test_bad.txt", "test_tlsrpt.txt"):
            records = dict(self.football(), **{"test._domainkey.football.example.com": self.read(name).decode()})
            results = [result for result, _ in self.result("rfc6376.signed.rsa.msg", records)]
            self.assertEqual(results, ["permerror"], name)

    def test_unsigned(self) -> None:
        """No signature, no result."""
        for name in ("test.message", "rfc6376.msg", "rfc6376.w1258.msg", "test_nofrom.message", "test_extra.message"):
            self.assertEqual(self.result(name, {}), [], name)


class CanonicalizationVectorTests(SynchronousTestCase):
    """21 messages, each in both forms."""

    def test_all(self) -> None:
        """Header and body come out octet for octet."""
        folder = vectors("dkim") / "canonicalization"
        seen = 0
        for path in sorted(folder.glob("email.*")):
            header, body = split(path.read_bytes())
            for form in (RELAXED, SIMPLE):
                expected = folder / f"{form}.expected{path.suffix}"
                if not expected.exists():
                    continue
                pieces: list[bytes] = []
                hashed = BodyHash(form, pieces.append)
                hashed.update(body)
                hashed.finish()
                got = canonical_fields(HeaderBlock(header).fields, form) + b"\r\n" + b"".join(pieces)
                self.assertEqual(got, expected.read_bytes(), f"{path.name} {form}")
                seen += 1
        self.assertGreaterEqual(seen, 40)
