"""The first quarter of an hour of a new user: local mode, the printed account, and the clients people have."""

from __future__ import annotations

import imaplib
import json
import os
import pty
import re
import select
import shutil
import signal
import ssl
import subprocess
import tempfile
import time
from pathlib import Path

from twisted.trial.unittest import TestCase

from tests.live.appliance import BIN, environment, missing

NODE_MODULES = os.environ.get("MAILAPPLIANCE_NODE_MODULES", "")


def run(*command: str, cwd: Path | None = None, stdin: str = "", status: int = 0) -> str:
    """Run a peer; AssertionError with all it said when it ends otherwise than with ``status``, or not at all."""
    try:
        done = subprocess.run(
            command, input=stdin, capture_output=True, text=True, cwd=cwd, timeout=120, check=False,
            env={**environment(), "NODE_PATH": NODE_MODULES},
        )  # fmt: skip
    except subprocess.TimeoutExpired as late:
        said = [(part or b"")[-5000:] for part in (late.stdout, late.stderr)]
        words = "\n".join(part.decode("utf-8", "replace") if isinstance(part, bytes) else part for part in said)
        raise AssertionError(f"{command[0]} does not end:\n{words}") from None
    if done.returncode != status:
        raise AssertionError(
            f"{command[0]} ended with {done.returncode}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        )
    return done.stdout


def waits_for_answer(stacks: str) -> bool:
    """Does a thread of imaplib2's user stand in an IMAP command, so that the answer is ours to give?"""
    return (
        re.search(r'(imaplib2\.py", line \d+ in get_response|ssl\.py", line \d+ in do_handshake)', stacks) is not None
    )


class LocalModeTests(TestCase):
    """A local-mode appliance for each peer; its ports are the documented ones."""

    timeout = 240

    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="new user "))
        log = (self.folder / "log").open("wb")
        environ = {key: value for key, value in os.environ.items() if key != "MAILAPPLIANCE_CONFIG"}
        self.process = subprocess.Popen(
            [str(BIN / "twistd"), "-n", "mailappliance"],
            cwd=self.folder,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environ,
        )
        end = time.monotonic() + 30
        while not re.search(r"(?m) ready ", said := (self.folder / "log").read_text("utf-8", "replace")):
            if self.process.poll() is not None or time.monotonic() > end:
                raise AssertionError(said)
            time.sleep(0.02)
        self.facts = dict(re.findall(r"(?m)^(account|password|ca): (.*)$", said))
        self.facts["ca"] = str((self.folder / self.facts["ca"]).resolve())

    def tearDown(self) -> None:
        self.process.terminate()
        code = self.process.wait(40)
        said = (self.folder / "log").read_text("utf-8", "replace")
        shutil.rmtree(self.folder)
        if code != 0 or "Traceback" in said:
            raise AssertionError(f"exit status {code}\n{said[-4000:]}")

    def imap(self) -> imaplib.IMAP4_SSL:
        client = imaplib.IMAP4_SSL("localhost", 2993, ssl_context=ssl.create_default_context(cafile=self.facts["ca"]))
        client.login(self.facts["account"], self.facts["password"])
        return client

    def run_client(self, *command: str) -> str:
        """The same as ``run``; when it fails our journal stands beside what the program said."""
        try:
            return run(*command)
        except AssertionError as error:
            journal = (self.folder / "log").read_text("utf-8", "replace")
            raise AssertionError(f"{error}\n--- our journal\n{journal[-5000:]}") from None

    def run_offlineimap(self, *command: str) -> None:
        """Run it; when its threads wait for one another it gets a second chance, when one waits for us it does not.

        (It was seen once to stand still on a slow machine.) A Python with faulthandler that gets SIGILL says where each thread is.
        """
        environ = {**environment(), "PYTHONFAULTHANDLER": "1"}
        for chance in (1, 2):
            log = self.folder / f"offlineimap {chance}"
            with log.open("wb") as output:
                process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environ)
            try:
                status = process.wait(60)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGILL)
                process.wait(20)
                said = log.read_text("utf-8", "replace")
                journal = (self.folder / "log").read_text("utf-8", "replace")
                if chance == 2 or waits_for_answer(said):
                    raise AssertionError(
                        f"it stands still:\n{said[-9000:]}\n--- our journal\n{journal[-5000:]}"
                    ) from None
                print(f"offlineimap's threads waited for one another; once more:\n{said[-3000:]}")
                continue
            self.assertEqual(status, 0, log.read_text("utf-8", "replace")[-5000:])
            return

    def count(self, mailbox: str, subject: str) -> int:
        client = self.imap()
        try:
            status, _ = client.select(mailbox, readonly=True)
            if status != "OK":
                return 0
            _, data = client.search(None, "SUBJECT", f'"{subject}"')
            return len(data[0].split())
        finally:
            client.logout()

    def send(self, subject: str) -> None:
        run(
            "swaks", "--server", "127.0.0.1:2525", "--from", "stranger@example.org", "--to", self.facts["account"],
            "--header", f"Subject: {subject}", "--body", "hello", "--tls-optional",
        )  # fmt: skip

    def test_swaks_into_25(self) -> None:
        """Mail from a stranger to the printed account lies in INBOX; mail to anybody else is refused at RCPT."""
        if reason := missing("swaks"):
            self.skipTest(reason)
        self.send("by swaks")
        self.assertEqual(self.count("INBOX", "by swaks"), 1)
        for recipient, code in (("nobody@local.test", "550"), ("ann@example.com", "550")):
            done = subprocess.run(
                ["swaks", "--server", "127.0.0.1:2525", "--from", "stranger@example.org", "--to", recipient],
                capture_output=True, text=True, timeout=60, check=False,
            )  # fmt: skip
            self.assertRegex(done.stdout, rf"(?m)^<\*\* {code} ")

    def test_swaks_submission(self) -> None:
        """Submission by 587 with STARTTLS and by 465; mail to outside is kept in Captured and never leaves."""
        if reason := missing("swaks"):
            self.skipTest(reason)
        for port, tls in (("2587", "--tls"), ("2465", "--tls-on-connect")):
            for login in ("PLAIN", "LOGIN"):
                subject = f"submitted {port} {login}"
                run(
                    "swaks", "--server", f"127.0.0.1:{port}", tls, "--auth", login,
                    "--auth-user", self.facts["account"], "--auth-password", self.facts["password"],
                    "--from", self.facts["account"], "--to", "aunt@example.com,you@local.test",
                    "--header", f"Subject: {subject}", "--body", "hello aunt",
                )  # fmt: skip
                self.assertEqual((self.count("INBOX", subject), self.count("Captured", subject)), (1, 1))

    def test_imapclient(self) -> None:
        """IMAPClient reads, marks, copies and deletes."""
        try:
            from imapclient import IMAPClient
        except ImportError:
            self.skipTest("not installed: IMAPClient")
        self.send("for imapclient")
        context = ssl.create_default_context(cafile=self.facts["ca"])
        with IMAPClient("localhost", 2143, ssl=False) as client:
            client.starttls(context)
            client.login(self.facts["account"], self.facts["password"])
            self.assertIn(b"\\Sent", [flag for folder in client.list_folders() for flag in folder[0]])
            client.select_folder("INBOX")
            uids = client.search(["SUBJECT", "for imapclient"], charset="UTF-8")
            self.assertEqual(len(uids), 1)
            client.set_flags(uids, [b"\\Seen", b"$label1"])
            data = client.fetch(uids, ["FLAGS", "ENVELOPE", "BODYSTRUCTURE", "BODY.PEEK[]"])[uids[0]]
            self.assertLessEqual({b"\\Seen", b"$label1"}, set(data[b"FLAGS"]))
            self.assertEqual(data[b"ENVELOPE"].subject, b"for imapclient")
            self.assertTrue(data[b"BODY[]"].endswith(b"hello\r\n\r\n") or b"hello" in data[b"BODY[]"])
            client.idle()
            self.send("while idle")
            seen = client.idle_check(timeout=10)
            client.idle_done()
            self.assertTrue(any(b"EXISTS" in line for line in seen), seen)
            client.delete_messages(uids)
            client.expunge(uids)
            self.assertEqual(client.search(["SUBJECT", "for imapclient"]), [])

    def test_curl(self) -> None:
        """curl lists and fetches over imaps and imap with STARTTLS."""
        if reason := missing("curl"):
            self.skipTest(reason)
        self.send("for curl")
        login = ["--user", f"{self.facts['account']}:{self.facts['password']}", "--cacert", self.facts["ca"], "-s"]
        self.assertIn("INBOX", run("curl", *login, "imaps://localhost:2993/"))
        self.assertIn("Sent", run("curl", *login, "--ssl-reqd", "imap://localhost:2143/"))
        self.assertIn("hello", run("curl", *login, "imaps://localhost:2993/INBOX;MAILINDEX=1"))

    def test_mbsync(self) -> None:
        """mbsync syncs both ways, and its second run changes nothing."""
        if reason := missing("mbsync"):
            self.skipTest(reason)
        self.send("for mbsync")
        home = self.folder / "mbsync"
        (home / "near").mkdir(parents=True)
        (home / "mbsyncrc").write_text(f"""
IMAPAccount a
Host localhost
Port 2993
User {self.facts["account"]}
Pass {self.facts["password"]}
SSLType IMAPS
CertificateFile "{self.facts["ca"]}"

IMAPStore far
Account a

MaildirStore near
Path "{home}/near/"
Inbox "{home}/near/INBOX"
SubFolders Verbatim

Channel c
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
SyncState *
""")
        command = ("mbsync", "-c", str(home / "mbsyncrc"), "-a")
        run(*command)
        files = [path for path in home.glob("near/INBOX/*/*") if path.parent.name in ("new", "cur")]
        mine = [path for path in files if b"for mbsync" in path.read_bytes()]
        self.assertEqual(len(mine), 1)
        mine[0].rename(home / "near/INBOX/cur" / (mine[0].name.partition(":")[0] + ":2,FS"))
        (home / "near/INBOX/new/1.local").write_bytes(b"Subject: made near\n\nx\n")
        run(*command)
        self.assertEqual(self.count("INBOX", "made near"), 1)
        client = self.imap()
        client.select("INBOX", readonly=True)
        self.assertEqual(len(client.search(None, "FLAGGED", "SUBJECT", '"for mbsync"')[1][0].split()), 1)
        client.logout()
        before = sorted(str(path) for path in home.glob("near/**/*"))
        run(*command)
        self.assertEqual(sorted(str(path) for path in home.glob("near/**/*")), before)

    def test_offlineimap(self) -> None:
        """offlineimap3 syncs, and its second run copies nothing."""
        if reason := missing("offlineimap"):
            self.skipTest(reason)
        self.send("for offlineimap")
        home = self.folder / "offlineimap"
        home.mkdir()
        (home / "rc").write_text(f"""[general]
accounts = a
metadata = {home}/meta
ui = basic
[Account a]
localrepository = l
remoterepository = r
[Repository l]
type = Maildir
localfolders = {home}/mail
[Repository r]
type = IMAP
remotehost = localhost
remoteport = 2143
ssl = no
starttls = yes
sslcacertfile = {self.facts["ca"]}
remoteuser = {self.facts["account"]}
remotepass = {self.facts["password"]}
""")
        command = ("offlineimap", "-c", str(home / "rc"), "-o", "-1", "-d", "imap,thread")  # seen when it fails
        self.run_offlineimap(*command)
        files = [path.read_bytes() for path in home.glob("mail/INBOX/*/*")]
        self.assertEqual(sum(b"for offlineimap" in octets for octets in files), 1)
        before = sorted(str(path) for path in home.glob("mail/*/*/*"))
        self.run_offlineimap(*command)
        self.assertEqual(sorted(str(path) for path in home.glob("mail/*/*/*")), before)

    def test_nodemailer_and_imapflow(self) -> None:
        """nodemailer submits; imapflow searches, downloads, moves, appends and deletes with QRESYNC wanted."""
        if reason := missing("node") or ("" if NODE_MODULES else "MAILAPPLIANCE_NODE_MODULES names no folder"):
            self.skipTest(reason)
        here = Path(__file__).parent
        account = (self.facts["account"], self.facts["password"], self.facts["ca"])
        sent = json.loads(run("node", str(here / "nodemailer.mjs"), "2587", *account, "from node"))
        self.assertEqual(sent["accepted"], [self.facts["account"]])
        read = json.loads(run("node", str(here / "imapflow.mjs"), "2993", *account, "from node"))
        self.assertEqual((read["found"], read["subject"], read["moved"]), (1, "from node", 1))
        self.assertEqual((read["size"], read["sourceLength"]), (read["downloaded"], read["downloaded"]))
        self.assertEqual(read["type"], "multipart/mixed")
        self.assertEqual(read["box"], [["from node", ["$Custom", "\\Seen"]], ["appended", []]])
        self.assertEqual(read["left"], 0)
        self.assertIn(["Sent", "\\Sent"], read["folders"])

    def test_mutt(self) -> None:
        """mutt opens the mailbox over STARTTLS and saves a message to a file."""
        if reason := missing("mutt"):
            self.skipTest(reason)
        self.send("for mutt")
        home = Path(tempfile.mkdtemp(prefix="mutt-"))
        self.addCleanup(shutil.rmtree, home)
        (home / "rc").write_text(f"""
set imap_user="{self.facts["account"]}"
set imap_pass="{self.facts["password"]}"
set ssl_force_tls=yes
set certificate_file="{self.facts["ca"]}"
set folder="imap://localhost:2143/"
set spoolfile="+INBOX"
set confirmcreate=no
set confirmappend=no
set move=no
set delete=no
set record=""
push "<tag-pattern>~s 'for mutt'<enter><tag-prefix><copy-message>{home}/copied<enter><quit>"
""")
        near, far = pty.openpty()
        mutt = subprocess.Popen(
            ["mutt", "-F", str(home / "rc")], stdin=far, stdout=far, stderr=far, start_new_session=True,
            env={**environment(), "TERM": "xterm", "HOME": str(home)},
        )  # fmt: skip
        os.close(far)
        said = b""
        try:
            end = time.monotonic() + 40
            while mutt.poll() is None and time.monotonic() < end:
                if select.select([near], [], [], 0.2)[0]:
                    try:
                        said += os.read(near, 65536)
                    except OSError:
                        break
        finally:
            mutt.kill()
            mutt.wait(10)
            os.close(near)
        self.assertTrue((home / "copied").exists(), said[-2000:])
        self.assertIn("for mutt", (home / "copied").read_text())
