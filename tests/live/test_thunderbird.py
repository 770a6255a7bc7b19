"""Thunderbird as a person uses it: set up, read, mark, tag, delete, search, send, and be told of new mail while idle."""

from __future__ import annotations

import email
import email.message
import email.policy
import imaplib
import shutil
import smtplib
import tempfile
from pathlib import Path

from twisted.trial.unittest import TestCase

from tests.live.appliance import Appliance, anything_goes, missing, wait_until
from tests.live.thunderbird import Thunderbird

PASSWORD = "correct horse battery"

_SUBJECTS = "await listen(done => inbox().getNewMessages(null, done)); return [...inbox().messages].map(m => m.mime2DecodedSubject);"

_ARRIVED = "await wait('mail told by IDLE: ' + args[0], () => named(args[0]));"

# A new tab shows the message; it counts as read once its text is there.
_READ = """
const header = await wait("the header", () => named(args[0]));
MailUtils.displayMessages([header]);
const tabs = Services.wm.getMostRecentWindow("mail:3pane").document.getElementById("tabmail");
const text = await wait("the text", () => {
  const body = tabs.currentAboutMessage.getMessagePaneBrowser().contentDocument.body.textContent;
  return body.includes("needle") && body;
});
await wait("the mark", () => header.isRead);
tabs.closeTab(tabs.currentTabInfo);
return text;
"""

_MARK = """
inbox().markMessagesFlagged([named("mail 0")], true);
inbox().markMessagesRead([named("mail 1")], true);
inbox().addKeywordsToMessages([named("mail 2")], "$label1");
"""

_MARKED = """
await listen(done => inbox().getNewMessages(null, done));
await wait("the marks of another client", () => named(args[0]).isFlagged && named(args[0]).isRead);
"""

_DELETE = """
const header = named(args[0]);
await listen(done => inbox().deleteMessages([header], null, false, false, done, true));
await wait("the message to go", () => !named(args[0]));
"""

_SEARCH = """
const session = Cc["@mozilla.org/messenger/searchSession;1"].createInstance(Ci.nsIMsgSearchSession);
session.addScopeTerm(Ci.nsMsgSearchScope.onlineMail, inbox());
const term = session.createTerm();
const value = term.value;
term.attrib = value.attrib = Ci.nsMsgSearchAttrib.Body;
term.op = Ci.nsMsgSearchOp.Contains;
value.str = args[0];
term.value = value;
session.appendTerm(term);
const found = [];
await within("the search", new Promise(done => {
  session.registerListener({
    onSearchHit(header) { found.push(header.mime2DecodedSubject); }, onSearchDone: done, onNewSearch() {},
  });
  session.search(null);
}));
return found;
"""

# A folder of another place than INBOX: its only message.
_ONLY = """
const path = args[0].split("/");
const box = await wait("the folder", () => path.reduce((above, name) => above?.subFolders.find(f => f.name == name), root()));
await listen(done => box.getNewMessages(null, done)).catch(error => error);
box.updateFolder(null);
const header = await wait("the message", () => [...box.messages][0]);
return header.mime2DecodedSubject;
"""

_TAKE_BACK = """
const out = folder("Outbox");
const header = named(args[0], out);
await listen(done => out.deleteMessages([header], null, false, false, done, true));
await wait("it to go", () => !named(args[0], out));
"""

_MAKE = "folder('Addresses').createSubfolder(args[0], null);"

_UNMAKE = """
Services.prefs.setBoolPref("mailnews.confirm.moveFoldersToTrash", false);
const box = folder("Addresses");
box.subFolders.find(f => f.name == args[0]).deleteSelf(null);
await wait("it to go", () => !box.subFolders.find(f => f.name == args[0]));
"""

_EXPAND = """
const server = MailServices.accounts.defaultAccount.incomingServer;
server.performExpand(Services.wm.getMostRecentWindow("mail:3pane").msgWindow);
"""


class ThunderbirdTests(TestCase):
    """A person at the desk, with a fresh profile."""

    timeout = 300

    def setUp(self) -> None:
        if reason := missing("thunderbird", "Xvfb"):
            self.skipTest(reason)
        self.folder = Path(tempfile.mkdtemp(prefix="thunderbird-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.appliance = Appliance(self.folder / "appliance", hostname="localhost")
        self.appliance.start()
        self.addCleanup(self.close)
        self.appliance.people("example.test", "ann", "bob")

    def close(self) -> None:
        self.assertEqual(self.appliance.stop(), 0)
        self.assertEqual(self.appliance.tracebacks(), [])

    def bird(self, *, starttls: bool) -> Thunderbird:
        """Thunderbird with Ann's account; nothing but our own authority vouches for the server."""
        bird = Thunderbird(self.folder)
        bird.__enter__()
        self.addCleanup(bird.__exit__)
        (authority,) = self.appliance.state.rglob("ca.pem")
        bird.trust(authority)
        ports = self.appliance.ports
        imap, smtp = ("imap", "submission") if starttls else ("imaps", "submissions")
        bird.add_account(
            "ann@example.test", "Ann", PASSWORD, imap=ports[imap], smtp=ports[smtp], starttls=starttls
        )  # fmt: skip
        return bird

    def deliver(self, subject: str) -> None:
        text = (
            f"From: Zoë <z@sender.example>\r\nTo: ann@example.test\r\nSubject: {subject}\r\n\r\nneedle in {subject}\r\n"
        )
        with smtplib.SMTP("127.0.0.1", self.appliance.ports["smtp"], local_hostname="sender.example") as client:
            client.sendmail("z@sender.example", ["ann@example.test"], text.encode(), ["BODY=8BITMIME"])

    def log_in(self, name: str) -> imaplib.IMAP4:
        """Another client of the same person."""
        client = imaplib.IMAP4("127.0.0.1", self.appliance.ports["imap"])
        client.starttls(anything_goes())
        client.login(f"{name}@example.test", PASSWORD)
        self.addCleanup(client.logout)
        return client

    def fetched(self, client: imaplib.IMAP4, mailbox: str, subject: str) -> email.message.EmailMessage:
        """The one message whose decoded subject has ``subject``."""
        client.select(mailbox, readonly=True)
        numbers = client.uid("SEARCH", "CHARSET", "UTF-8", "SUBJECT", f'"{subject}"'.encode())[1][0].split()  # type: ignore[arg-type]
        self.assertEqual(len(numbers), 1, f"{subject} in {mailbox}")
        octets = client.uid("FETCH", numbers[0].decode(), "(BODY.PEEK[])")[1][0][1]
        message = email.message_from_bytes(octets, policy=email.policy.default)
        assert isinstance(message, email.message.EmailMessage)
        return message

    def send(self, bird: Thunderbird, service: str) -> None:
        """Ann writes to Bob with an attachment: it is submitted by ``service``, arrives, and lies in Sent."""
        attachment = self.folder / "Bild.bin"
        attachment.write_bytes(bytes(range(256)) * 400)
        subject, body = f"Grüße by {service}", "Grüße von Ann"
        bird.send("bob@example.test", subject, body, attachment)
        self.assertRegex(
            self.appliance.log(), rf"(?m) smtp\.accepted .*\bservice={service} .*\baccount=ann@example\.test .*tls="
        )
        arrived = self.fetched(self.log_in("bob"), "INBOX", subject)
        kept = self.fetched(self.log_in("ann"), "Sent", subject)
        for message in (arrived, kept):
            self.assertEqual((message["From"], message["To"], message["Subject"]), ("Ann <ann@example.test>", "bob@example.test", subject))  # fmt: skip
            text = message.get_body(("plain",))
            assert text is not None
            self.assertEqual(text.get_content().strip(), body)
            (part,) = message.iter_attachments()
            self.assertEqual((part.get_filename(), part.get_content()), (attachment.name, attachment.read_bytes()))
        self.assertEqual(arrived["Message-ID"], kept["Message-ID"])

    def test_a_day(self) -> None:
        """STARTTLS: mail is read, flags, tags, Trash and search reach the server, and another client's flags come back."""
        for number in range(5):
            self.deliver(f"mail {number}")
        bird = self.bird(starttls=True)
        self.assertLessEqual({f"mail {n}" for n in range(5)}, set(bird.run(_SUBJECTS)))

        self.deliver("while idle")
        bird.run(_ARRIVED, "while idle")
        self.assertIn("needle in mail 3", bird.run(_READ, "mail 3"))
        bird.run(_MARK)
        bird.run(_DELETE, "mail 4")

        other = self.log_in("ann")

        def count(mailbox: str, *key: str) -> int:
            other.select(mailbox, readonly=True)
            return len(other.search(None, *key)[1][0].split())

        for mailbox, key, wanted in (
            ("INBOX", ("FLAGGED", "SUBJECT", '"mail 0"'), 1),
            ("INBOX", ("SEEN", "SUBJECT", '"mail 1"'), 1),
            ("INBOX", ("KEYWORD", "$label1", "SUBJECT", '"mail 2"'), 1),
            ("INBOX", ("SEEN", "SUBJECT", '"mail 3"'), 1),
            ("INBOX", ("SUBJECT", '"mail 4"'), 0),
            ("Trash", ("SUBJECT", '"mail 4"'), 1),
            ("INBOX", ("SEEN", "SUBJECT", '"while idle"'), 0),
        ):
            wait_until(lambda m=mailbox, k=key, w=wanted: count(m, *k) == w, 20, f"{key} in {mailbox}")

        other.select("INBOX")
        (number,) = other.search(None, "SUBJECT", '"while idle"')[1][0].split()
        other.store(number.decode(), "+FLAGS", "(\\Flagged \\Seen)")
        bird.run(_MARKED, "while idle")
        self.assertEqual(bird.run(_SEARCH, "needle in mail 2"), ["mail 2"])
        self.send(bird, "submission")
        self.assertNotRegex(self.appliance.log(), r"(?m) smtp\.logged_in .*service=submissions ")

    def test_implicit_tls(self) -> None:
        """TLS from the first octet: new mail shows by itself, and sending works."""
        bird = self.bird(starttls=False)
        self.deliver("in TLS")
        bird.run(_ARRIVED, "in TLS")
        self.send(bird, "submissions")
        self.assertRegex(self.appliance.log(), r"(?m) imap\.login account=ann@example\.test .*service=imaps .*tls=")

    def test_folders_of_our_making(self) -> None:
        """A mail is taken back in Outbox, an address is made and ended as a folder, another one's mailbox is read."""
        self.appliance.cli("account", "undo", "ann@example.test", "600")
        bob = self.log_in("bob")
        bob.create("Bills")
        bob.append("Bills", None, None, b"From: bob@example.test\r\nSubject: water\r\n\r\n12.50\r\n")
        bob.setacl("Bills", "ann@example.test", "lrsi")
        bird = self.bird(starttls=False)

        bird.send("bob@example.test", "regretted", "needle")
        self.assertEqual(bird.run(_ONLY, "Outbox"), "regretted")
        bird.run(_TAKE_BACK, "regretted")
        # Thunderbird tells the server of what it shows as done some seconds later.
        wait_until(lambda: self.appliance.cli("queue", "list", "--json").strip() == "[]", 120, "it to be taken back")

        bird.run(_MAKE, "shop")
        address = bird.run(_ONLY, "Addresses/shop")
        self.assertRegex(address, r"^shop-[0-9a-z]{6}@example\.test$")
        self.assertIn(address, self.appliance.cli("throwaway", "list"))
        bird.run(_UNMAKE, "shop")
        self.assertNotIn(address, self.appliance.cli("throwaway", "list"))

        ann = self.log_in("ann")
        ann.subscribe('"Other Users.bob.Bills"')
        bird.run(_EXPAND)
        self.assertEqual(bird.run(_ONLY, "Other Users/bob/Bills"), "water")
