"""Names that pretend."""

from __future__ import annotations

from email.header import Header

from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.checks.author import author_of
from mailbox_appliance.checks.domains import registered
from mailbox_appliance.checks.impostor import check_impostor, persons_of
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.verdict import Action
from mailbox_appliance.mailauth.canonical import HeaderBlock
from tests.checks.scene import Scene, found, letter

OURS = frozenset({"miller.test", "home.example"})
PEOPLE = persons_of([Address("ben.miller", "miller.test"), Address("ann", "miller.test")], ["Ann Miller"])


def results(author: str, **fields: str) -> list[str]:
    block = HeaderBlock(letter(author, **fields))
    address = author_of(block)
    assert address is not None, author
    return [one.result for one in check_impostor(block, address, OURS, PEOPLE, registered)]


def named(name: str, address: str) -> str:
    return f"{Header(name, 'utf-8').encode()} <{address}>" if not name.isascii() else f'"{name}" <{address}>'


class ImpostorTests(SynchronousTestCase):
    """The table of the module, and honest letters."""

    def test_names(self) -> None:
        """Who is taken for one of us."""
        for author, wanted in (
            ("Eve Adams <eve@far.test>", []),
            ("eve@far.test", []),
            (named("Ann", "ann@far.test"), []),
            (named("Ann Miller", "ann@miller.test"), []),
            (named("eve@far.test", "eve@far.test"), []),
            (named("Ann Miller", "boss@far.test"), ["person"]),
            (named("MILLER, Ann", "boss@far.test"), ["person"]),
            (named("Ben Miller", "boss@far.test"), ["person"]),
            (named("Αnn Мiller", "boss@far.test"), ["mixed", "person"]),
            (named("A\u200bnn M1ller", "boss@far.test"), ["person"]),
            (named("ann@miller.test", "boss@far.test"), ["our address"]),
            (named("miller.test Mail Admin", "boss@far.test"), ["our name"]),
            (named("IT Support", "boss@far.test"), ["role"]),
            (named("IT Support", "boss@miller.test"), []),
            (named("PayPal Service", "boss@far.test"), ["brand"]),
            (named("PayPal Service", "service@mail.paypal.com"), []),
            (named("Sparkasse Köln", "x@sparkasse-koeln.de"), []),
            (named("PayPal", "x@paypal-secure.test"), ["brand domain"]),
            (named("Eve Adams", "x@paypa1.test"), ["brand domain"]),
            (named("Netflix Fans", "x@netflix-fans.test"), ["brand domain"]),
            (named("Eve Adams", "x@netflix-fans.test"), ["brand in domain"]),
            (named("service@bank.test", "boss@far.test"), ["address"]),
            (named("service@bank.test", "x@mail.bank.test"), []),
            ("x@rniller.test", ["domain"]),
            ("x@mi11er.test", ["domain"]),
            ("x@xn--mller-kva.test", []),
            ("x@mail.rniller.test", ["domain"]),
            ("x@miller.test.far.example", ["domain"]),
            ("x@sub.miller.test", []),
            (named("\u202ettest", "x@far.test"), ["hidden"]),
        ):
            self.assertEqual(results(author), wanted, author)

    def test_replies(self) -> None:
        """Answers that go astray, but for lists and for the same owner's hosts."""
        self.assertEqual(results("eve@far.test", Reply_To="x@other.test"), ["reply"])
        self.assertEqual(results("eve@far.test", Reply_To="x@other.test", List_Id="<l.test>"), [])
        self.assertEqual(results("eve@mail.far.co.uk", Reply_To="x@far.co.uk"), [])
        self.assertEqual(results("eve@far.co.uk", Reply_To="x@other.co.uk"), ["reply"])
        self.assertEqual(results("eve@far.test", Reply_To="nobody"), [])

    def test_whole_message(self) -> None:
        """The owner's list of people counts, and can be switched off."""
        message = letter('"Ann Miller" <crook@attacker.test>')
        self.assertEqual(found(Scene(people=("Ann Miller",)).examine(message), "impostor"), ["person"])
        called = Scene()
        called.directory.names = {Address("ann", "home.test"): "Ann Miller"}
        self.assertEqual(found(called.examine(message), "impostor"), ["person"])
        off = Scene(people=("Ann Miller",), switched_off=frozenset({"impostor"}))
        self.assertEqual(found(off.examine(message), "impostor"), [])
        verdict = Scene().examine(letter('"ann@home.test" <crook@attacker.test>', Subject="\u202egnp"))
        self.assertEqual((found(verdict, "impostor"), verdict.action), (["hidden", "our address"], Action.JUNK))
