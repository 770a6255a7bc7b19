"""Thunderbird as a person uses it: read, mark, tag, move to Trash, search, send, and be told of new mail while idle."""

from __future__ import annotations

import base64
import imaplib
import re
import shutil
import smtplib
import tempfile
from pathlib import Path

from twisted.trial.unittest import TestCase

from tests.live.appliance import Appliance, anything_goes, missing, wait_until
from tests.live.thunderbird import Thunderbird

PASSWORD = "correct horse battery"

ACCOUNT = """
const [imapPort, smtpPort, certificate] = args;
const db = Cc["@mozilla.org/security/x509certdb;1"].getService(Ci.nsIX509CertDB);
db.addCertFromBase64(certificate, "C,,");
for (const [origin, realm] of [["imap://localhost", "imap://localhost"], ["smtp://localhost", "smtp://localhost"]]) {
  const login = Cc["@mozilla.org/login-manager/loginInfo;1"].createInstance(Ci.nsILoginInfo);
  login.init(origin, null, realm, "ann@example.test", "correct horse battery", "", "");
  await Services.logins.addLoginAsync(login);
}
const server = MailServices.accounts.createIncomingServer("ann@example.test", "localhost", "imap");
server.port = imapPort; server.socketType = 2; server.authMethod = 3;
const identity = MailServices.accounts.createIdentity();
identity.email = "ann@example.test"; identity.fullName = "Ann";
const out = MailServices.outgoingServer.createServer("smtp");
const smtp = out.QueryInterface(Ci.nsISmtpServer);
smtp.hostname = "localhost"; smtp.port = smtpPort; out.socketType = 2; out.authMethod = 3;
out.username = "ann@example.test";
identity.smtpServerKey = out.key;
const account = MailServices.accounts.createAccount();
account.addIdentity(identity); account.incomingServer = server;
MailServices.accounts.defaultAccount = account;
for (const key of ["fccFolderURI", "fccFolder"]) { try { identity[key] = server.rootFolder.URI + "/Sent"; } catch (e) {} }
identity.doFcc = true; identity.composeHtml = false;
MailServices.outgoingServer.defaultServer = out;
return account.key;
"""

# Wait until a condition over the inbox's database holds; returns what it returned.
LIB = """
const root = () => MailServices.accounts.defaultAccount.incomingServer.rootFolder;
const folder = name => root().getChildNamed(name);
const wait = async (what, test) => {
  for (let i = 0; i < 300; i++) {
    try { const value = test(); if (value) return value; } catch (e) {}
    await new Promise(r => setTimeout(r, 100));
  }
  throw new Error("waited in vain for " + what);
};
const listen = start => new Promise((good, bad) => start({
  QueryInterface: ChromeUtils.generateQI(["nsIUrlListener", "nsIMsgCopyServiceListener"]),
  OnStartRunningUrl() {}, OnStopRunningUrl(url, status) { status ? bad(new Error("status " + status)) : good(); },
  onStartCopy() {}, onProgress() {}, setMessageKey() {}, getMessageId() {}, onStopCopy(status) { status ? bad(new Error("status " + status)) : good(); },
}));
const update = box => listen(l => box.getNewMessages(null, l));
const messages = box => [...box.messages];
const named = (box, subject) => messages(box).find(m => m.mime2DecodedSubject == subject);
"""


class ThunderbirdTests(TestCase):
    """One session of a person at the desk."""

    timeout = 300

    def setUp(self) -> None:
        if reason := missing("thunderbird", "Xvfb"):
            self.skipTest(reason)

    def test_a_day(self) -> None:
        """Folders are found, mail shows up by itself, flags, tags, Trash, search and Sent arrive on the server."""
        folder = Path(tempfile.mkdtemp(prefix="thunderbird-"))
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        with Appliance(folder / "appliance", hostname="localhost") as appliance:
            appliance.people("example.test", "ann", "bob")

            def deliver(subject: str) -> None:
                with smtplib.SMTP("127.0.0.1", appliance.ports["smtp"], local_hostname="sender.example") as client:
                    text = f"From: Zoë <z@sender.example>\r\nTo: ann@example.test\r\nSubject: {subject}\r\n\r\nneedle {subject}\r\n"
                    client.sendmail("z@sender.example", ["ann@example.test"], text.encode(), ["BODY=8BITMIME"])

            for number in range(5):
                deliver(f"mail {number}")
            authority = next(iter(sorted(appliance.state.rglob("*ca*.pem"))))
            certificate = "".join(re.findall(r"(?m)^[A-Za-z0-9+/=]+$", authority.read_text().split("END")[0]))
            base64.b64decode(certificate)
            with Thunderbird(folder) as bird:
                bird.run(ACCOUNT, appliance.ports["imap"], appliance.ports["submission"], certificate)
                names = bird.run(
                    LIB
                    + """
                    await update(root().getFolderWithFlags(Ci.nsMsgFolderFlags.Inbox));
                    await wait("folders", () => folder("Trash") && folder("Sent") && folder("Archive"));
                    return root().subFolders.map(f => f.name);
                """
                )
                for name in ("Sent", "Drafts", "Trash", "Junk", "Archive"):
                    self.assertIn(name, " ".join(names))
                subjects = bird.run(
                    LIB
                    + """
                    const inbox = root().getFolderWithFlags(Ci.nsMsgFolderFlags.Inbox);
                    await update(inbox);
                    await wait("five messages", () => messages(inbox).length >= 5);
                    return messages(inbox).map(m => m.mime2DecodedSubject);
                """
                )
                self.assertLessEqual({f"mail {n}" for n in range(5)}, set(subjects))

                deliver("while idle")
                bird.run(
                    LIB
                    + """
                    const inbox = root().getFolderWithFlags(Ci.nsMsgFolderFlags.Inbox);
                    await wait("new mail told by IDLE", () => named(inbox, "while idle"));
                """
                )
                bird.run(
                    LIB
                    + """
                    const inbox = root().getFolderWithFlags(Ci.nsMsgFolderFlags.Inbox);
                    named(inbox, "mail 0").markFlagged(true);
                    inbox.markMessagesFlagged([named(inbox, "mail 0")], true);
                    inbox.markMessagesRead([named(inbox, "mail 1")], true);
                    inbox.addKeywordsToMessages([named(inbox, "mail 2")], "$label1");
                    await listen(l => MailServices.copy.copyMessages(inbox, [named(inbox, "mail 4")], folder("Trash"), true, l, null, true));
                    await wait("the move", () => !named(inbox, "mail 4"));
                """
                )

                client = imaplib.IMAP4("127.0.0.1", appliance.ports["imap"])
                client.starttls(anything_goes())
                client.login("ann@example.test", PASSWORD)

                def count(mailbox: str, *key: str) -> int:
                    client.select(mailbox, readonly=True)
                    return len(client.search(None, *key)[1][0].split())

                for mailbox, key in (
                    ("INBOX", ("FLAGGED", "SUBJECT", '"mail 0"')),
                    ("INBOX", ("SEEN", "SUBJECT", '"mail 1"')),
                    ("INBOX", ("KEYWORD", "$label1", "SUBJECT", '"mail 2"')),
                    ("Trash", ("SUBJECT", '"mail 4"')),
                ):
                    wait_until(lambda m=mailbox, k=key: count(m, *k) == 1, 20, f"{key} in {mailbox}")
                wait_until(lambda: count("INBOX", "SUBJECT", '"mail 4"') == count("INBOX", "DELETED"), 20, "the move")

                bird.run(
                    LIB
                    + """
                    const fields = Cc["@mozilla.org/messengercompose/composefields;1"].createInstance(Ci.nsIMsgCompFields);
                    fields.from = "Ann <ann@example.test>"; fields.to = "bob@example.test"; fields.subject = "by Thunderbird";
                    fields.body = "Grüße von Ann";
                    const params = Cc["@mozilla.org/messengercompose/composeparams;1"].createInstance(Ci.nsIMsgComposeParams);
                    params.type = Ci.nsIMsgCompType.New; params.format = Ci.nsIMsgCompFormat.PlainText;
                    params.composeFields = fields; params.identity = MailServices.accounts.defaultAccount.defaultIdentity;
                    MailServices.compose.OpenComposeWindowWithParams(null, params);
                    const win = await wait("the compose window", () => {
                        const w = Services.wm.getMostRecentWindow("msgcompose");
                        return w && w.gMsgCompose && w.gMsgCompose.editor && w.document.readyState == "complete" && w.ComposeStartup && w;
                    });
                    await new Promise(r => setTimeout(r, 1500));
                    win.goDoCommand("cmd_sendNow");
                    await wait("the window to close", () => !Services.wm.getMostRecentWindow("msgcompose"));
                """
                )
                wait_until(lambda: count("Sent", "SUBJECT", '"by Thunderbird"') == 1, 30, "the copy in Sent")
                other = imaplib.IMAP4("127.0.0.1", appliance.ports["imap"])
                other.starttls(anything_goes())
                other.login("bob@example.test", PASSWORD)
                other.select("INBOX")
                self.assertEqual(len(other.search(None, "SUBJECT", '"by Thunderbird"')[1][0].split()), 1)
                other.logout()
                client.logout()
            self.assertEqual(appliance.tracebacks(), [])
