"""What letters want, and how they are made."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.checks.lures import check_lures, lures
from mailbox_appliance.checks.readable import Link, check_text, names_a_key, read_texts
from mailbox_appliance.checks.verdict import WEIGHTS
from mailbox_appliance.mail.verdict import Action
from tests.checks.scene import Scene, found, letter, signed

LURES = {
    "extortion": (
        "I have hacked your device and recorded you through your webcam. Send 900 USD in bitcoin or all contacts see it.",
        "Ich habe Zugriff auf Ihr Gerät; habe Zugriff auf Ihre Kamera. Zahlen Sie in Bitcoin, sonst sehen es Ihre Kontakte.",
    ),
    "fortune": (
        "I am Barrister James. My late client left 12.5 million US dollars. Send your bank details, strictly confidential.",
        "Ich bin eine Witwe mit Krebs und will 4,5 Millionen Euro spenden. Kontaktieren Sie meinen Anwalt.",
    ),
    "gift cards": (
        "Hi Ann, are you available? I am in a meeting. I need you to buy some gift cards for me.",
        "Bist du da? Ich bin in einer Besprechung. Kannst du Geschenkkarten kaufen?",
    ),
    "call back": (
        "Your subscription of Norton 360 has been renewed for $399.99. To cancel call +1 (888) 555-0132 within 24 hours.",
    ),
    "mailbox": (
        "Your mailbox is almost full and will be closed. Verify your account to keep using it.",
        "Ihr Postfach ist voll und wird gesperrt. Bitte bestätigen Sie Ihre Daten.",
    ),
    "parcel fee": (
        "Ihr Paket konnte nicht zugestellt werden. Bitte zahlen Sie 1,99 EUR Zollgebühr.",
        "Your parcel is on hold. Pay the customs fee.",
    ),
    "prize": ("Congratulations! You have been selected for a gift card. Claim now.",),
    "easy money": ("Earn 5000 EUR per week from home with bitcoin trading, guaranteed!",),
    "pills": ("Buy viagra without prescription",),
}
HONEST = (
    "Dear parents, we want to buy a gift card as a surprise for Mrs Schmidt. 5 EUR each please.",
    "Dear Ann, thanks to you we raised 1.2 million for cancer research. Donate by bank transfer or contact our team.",
    "Your Microsoft 365 subscription was renewed and charged to PayPal. To cancel call +1 (888) 555-0132.",
    "The parties settled for 2 million dollars, says the widow of the deceased owner; the newspaper has the story.",
    "Your mailbox at the provider has 90 % of its storage used.",
    "Your login code is 482913. It is valid for 10 minutes. Do not share it with anybody.",
    "Dear Ann, your account statement is attached. Total 1,250.00 EUR. Questions? Call +1 (888) 555-0100.",
    "Please help: children need your help now. Donate 25 EUR today, every donation counts.",
    "Liebe Eltern, bitte überweisen Sie 120 € für die Klassenfahrt bis Freitag.",
    "You asked to withdraw 0.05 BTC to 1BoatSLRHtKNngkdXEeobR76b53LETtpyT. Confirm the withdrawal.",
    "Someone asked to reset the password of your account. The link expires in 24 hours. Click here to reset it.",
    "Your parcel is on its way. Total: 39.90 EUR. Track it here.",
    "Happy birthday! A gift card for the book shop is on the table, buy whatever you like.",
    "The lottery of our sports club: tickets cost 2 EUR, the first prize is a ham.",
    "Your subscription will renew on 1 March for 9.99 EUR. You can cancel it in your account.",
    "They say that ransomware wants bitcoin and that malware is sent to all contacts. Make backups.",
    "",
)


class LureTests(SynchronousTestCase):
    """The table, and honest letters."""

    def test_each(self) -> None:
        """Every lure is found in a letter of its kind, and has a figure."""
        self.assertEqual({lure.name for lure in lures()}, set(LURES))
        self.assertTrue(all(len(lure.groups) >= 2 and lure.reason for lure in lures()))
        for name, letters in LURES.items():
            self.assertIn(f"lure {name}", WEIGHTS)
            for text in letters:
                self.assertEqual([one.result for one in check_lures(text, WEIGHTS)], [name], text)

    def test_honest(self) -> None:
        """What banks, schools, shops and friends write is none."""
        for text in HONEST:
            self.assertEqual(check_lures(text, WEIGHTS), [], text)

    def test_firms(self) -> None:
        """A firm whose name is borrowed may write of its own parcels, payments and mailboxes."""
        (text,) = LURES["call back"]
        self.assertEqual(check_lures(text, WEIGHTS, of_firm=True), [])
        self.assertEqual(len(check_lures(LURES["extortion"][0], WEIGHTS, of_firm=True)), 1)

    def test_weights_choose(self) -> None:
        """Of several the heaviest counts."""
        text = LURES["prize"][0] + " " + LURES["extortion"][0]
        self.assertEqual([one.result for one in check_lures(text, WEIGHTS)], ["extortion"])
        self.assertEqual([one.result for one in check_lures(text, {"lure prize": 50.0})], ["prize"])


class ReadableTests(SynchronousTestCase):
    """HTML as a reader sees it."""

    def test_text(self) -> None:
        """Without markup, styles, scripts, comments and unseen signs."""
        html = "<style>p{}</style><p>Pass\u200bword&nbsp;of <!-- x --><b>Ann</b></p><script>evil()</script>"
        self.assertEqual(read_texts([("html", html)]).text, "Password of Ann")
        self.assertEqual(read_texts([("plain", "a\n b\u00adc")]).text, "a bc")
        self.assertEqual(read_texts([("calendar", "SUMMARY:You wo\r\n n\\, really")]).text, "SUMMARY:You won, really")
        self.assertEqual(read_texts([("html", "seen <style> the rest")]).text, "seen")

    def test_links(self) -> None:
        """Anchors with their words, forms, addresses that stand in the text."""
        html = (
            '<a class="x" href="https://a.test/?x=1&amp;y=2"><b>Click</b> here</a> <A HREF=\'https://b.test/\'>b</A>'
            '<form action="https://c.test/p"></form> see https://d.test/e.'
        )
        links = read_texts([("html", html)]).links
        self.assertEqual(
            links,
            (
                Link("https://a.test/?x=1&y=2", "Click here"),
                Link("https://b.test/", "b"),
                Link("https://c.test/p"),
                Link("https://d.test/e"),
            ),
        )

    def made(self, *texts: tuple[str, str]) -> str:
        return "".join(one.result for one in check_text(read_texts(texts)))

    def test_how_it_is_made(self) -> None:
        """Each kind, and honest letters beside it."""
        salt = "garden weather kitchen monday bicycle " * 12
        for html, wanted in (
            ("<p>Hello Ann, how are you today?</p>", ""),
            ('<form action="x"><input type=password name=p></form>', "password"),
            ("<p>Pass\u200bword ex\u200bpires to\u200bday, An\u200bn</p>", "torn"),
            ("<p>\u200b \u200c&zwnj;&nbsp;&zwnj; Our best offers of the week</p>", ""),  # before a newsletter
            (f'<p>Buy now</p><div style="display:none">{salt}</div>', "padded"),
            (f'<p>Buy now</p><font style="font-size:1px; color:#ffffff">{salt}</font>', "padded"),
            (f'<p style="background:#000;color:#fff">{salt}</p>', ""),
            (
                f'<p>{salt}</p><div style="display:none">A line for the list of messages, and no more than that</div>',
                "",
            ),
            ('<img src="cid:qr">', "picture"),
            ('<img src="cid:logo"> Dear Ann, here is the picture of our new kitchen.', ""),
            ("<script>x()</script> Hello Ann and all of the others", "script"),
            ('<script type="application/ld+json">{}</script> Your flight to Rome is booked.', ""),
        ):
            self.assertEqual(self.made(("html", html)), wanted, html[:60])
        self.assertEqual(self.made(("plain", "x"), ("calendar", "METHOD:REQUEST\nSUMMARY:Party")), "invitation")
        self.assertEqual(self.made(("calendar", "METHOD:PUBLISH\nSUMMARY:Party")), "")

    def test_keys(self) -> None:
        """A password stands there, or is only spoken of."""
        self.assertTrue(names_a_key("The password is 1234"))
        self.assertFalse(names_a_key("It is locked with your birthday. Do not tell your password to anybody."))

    @given(st.text(alphabet="<>a=\"' /-!stylecrp:;#\u200b\n&", max_size=400))
    def test_anything(self, html: str) -> None:
        """Whatever stands there, nothing breaks."""
        check_text(read_texts([("html", html), ("calendar", html), ("plain", html)]))


class WholeTests(SynchronousTestCase):
    """Through all checks, from a spammer with everything valid."""

    def judge(self, author: str, body: str, kind: str = "text/html; charset=utf-8", **settings: object) -> object:
        message = signed(letter(author, body, Content_Type=kind, MIME_Version="1.0"), "attacker.test")
        return Scene(**settings).examine(message)  # type: ignore[arg-type]

    def test_phishing(self) -> None:
        """DMARC passes, and it is Junk all the same; what is switched off is not looked for."""
        html = '<p>Your account has been limited.</p><a href="https://paypal.com.verify.test/">Verify now</a>\n'
        verdict = self.judge("PayPal <crook@attacker.test>", html)
        self.assertEqual((found(verdict, "link"), found(verdict, "impostor")), (["brand"], ["brand"]))  # type: ignore[arg-type]
        self.assertEqual(verdict.action, Action.JUNK)  # type: ignore[attr-defined]
        off = frozenset({"link", "lure", "text", "attachment", "impostor"})
        verdict = self.judge("PayPal <crook@attacker.test>", html, switched_off=off)
        self.assertEqual(verdict.action, Action.ACCEPT)  # type: ignore[attr-defined]

    def test_in_an_attached_letter(self) -> None:
        """A letter within a letter is read, too."""
        inner = "From: a@b.test\nContent-Type: text/html\n\n<input type=password>\n"
        body = f"--b\nContent-Type: text/plain\n\nsee below\n--b\nContent-Type: message/rfc822\n\n{inner}--b--\n"
        verdict = self.judge("crook@attacker.test", body, "multipart/mixed; boundary=b")
        self.assertEqual(found(verdict, "text"), ["password"])  # type: ignore[arg-type]
