"""Roundcube, the webmail program most people have: a real one, driven as a browser drives it, beside the real service."""

from __future__ import annotations

import http.cookiejar
import imaplib
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.live.appliance import Appliance, anything_goes, free_ports, missing, shared, wait_until

PASSWORD = "correct horse battery"
ANN, BEN = "ann@example.test", "ben@example.test"
# Debian's packages roundcube-core and roundcube-sqlite3.
PROGRAM = Path("/usr/share/roundcube")
PUBLIC = Path("/var/lib/roundcube/public_html")
DEFAULTS = Path("/etc/roundcube/defaults.inc.php")


def begun() -> Appliance:
    """Two people."""
    appliance = Appliance(hostname="localhost", extra='[guard]\nexempt = ["127.0.0.0/8"]').start()
    appliance.people("example.test", "ann", "ben", password=PASSWORD)
    return appliance


running = shared(begun)


class Webmail:
    """One Roundcube with a folder of its own, served by PHP's own web server; ``browser`` is one person's."""

    def __init__(self, appliance: Appliance) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="roundcube-"))
        (authority,) = appliance.state.rglob("ca.pem")
        trust = f"['ssl' => ['verify_peer' => true, 'verify_peer_name' => true, 'cafile' => '{authority}']]"
        settings = {
            "db_dsnw": f"'sqlite:///{self.folder}/roundcube.db?mode=0646'",
            "imap_host": f"'ssl://localhost:{appliance.ports['imaps']}'",
            "smtp_host": f"'ssl://localhost:{appliance.ports['submissions']}'",
            "imap_conn_options": trust,
            "smtp_conn_options": trust,
            "smtp_user": "'%u'",
            "smtp_pass": "'%p'",
            "des_key": "'rcmail-24ByteDESkey*Str0'",
            "log_dir": f"'{self.folder}/logs/'",
            "temp_dir": f"'{self.folder}/temp/'",
            "imap_debug": "true",
            "plugins": "[]",
            "skin": "'elastic'",
            "create_default_folders": "true",
        }
        for name in ("logs", "temp", "sessions"):
            (self.folder / name).mkdir()
        (self.folder / "defaults.inc.php").symlink_to(DEFAULTS)
        (self.folder / "mimetypes.php").symlink_to(DEFAULTS.with_name("mimetypes.php"))
        lines = [f"$config['{name}'] = {value};" for name, value in settings.items()]
        (self.folder / "config.inc.php").write_text("<?php\n$config = [];\n" + "\n".join(lines) + "\n")
        script = (PROGRAM / "SQL" / "sqlite.initial.sql").read_text("utf-8")
        subprocess.run(
            ["php", "-r", "$d = new PDO('sqlite:' . $argv[1]); $d->exec(stream_get_contents(STDIN));", "--",
             str(self.folder / "roundcube.db")],
            input=script, text=True, check=True, timeout=60, capture_output=True,
        )  # fmt: skip
        (self.port,) = free_ports(1)
        self.output = (self.folder / "php").open("wb")
        self.process = subprocess.Popen(
            ["php", "-d", f"session.save_path={self.folder}/sessions", "-S", f"127.0.0.1:{self.port}", "-t", str(PUBLIC)],
            stdout=self.output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            env={**os.environ, "ROUNDCUBE_CONFIG_DIR": str(self.folder)},
        )  # fmt: skip
        self.opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        )
        self.token = ""
        try:
            wait_until(self._answers, 20, "php's web server")
        except BaseException:
            self.stop()
            raise

    def _answers(self) -> bool:
        try:
            return "_token" in self.ask({"_task": "login"})
        except OSError:
            return False

    def stop(self) -> None:
        """End PHP and take its folder away."""
        self.process.terminate()
        self.process.wait(20)
        self.output.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def complaints(self) -> str:
        """What Roundcube wrote into its log of errors."""
        log = self.folder / "logs" / "errors.log"
        return log.read_text("utf-8", "replace") if log.exists() else ""

    def ask(self, query: dict[str, str], form: dict[str, str] | None = None) -> str:
        """A page, or the answer to what its script asks (``_remote``)."""
        if form is not None:
            form = {"_token": self.token, **form}
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/?{urllib.parse.urlencode(query)}",
            data=urllib.parse.urlencode(form).encode() if form is not None else None,
            headers={"X-Roundcube-Request": self.token, "Accept-Encoding": "identity"},
        )
        with self.opener.open(request, timeout=60) as answer:
            text: str = answer.read().decode("utf-8", "replace")
        found = re.search(r'name="_token" value="(\w+)"', text) or re.search(r'"request_token":"(\w+)"', text)
        self.token = found[1] if found else self.token
        return text

    def act(self, action: str, **form: str) -> str:
        """What a click does; the commands for the page that come back."""
        answer = self.ask({"_task": "mail", "_action": action, "_remote": "1"}, {"_remote": "1", **form})
        script: str = json.loads(answer)["exec"]
        return script

    def log_in(self, user: str) -> str:
        """The first page of one's mail."""
        return self.ask(
            {"_task": "login"},
            {"_task": "login", "_action": "login", "_timezone": "UTC", "_url": "", "_user": user, "_pass": PASSWORD},
        )

    def messages(self, mailbox: str) -> dict[str, str]:
        """UIDs and subjects as the list shows them."""
        answer = self.ask({"_task": "mail", "_action": "list", "_mbox": mailbox, "_remote": "1", "_refresh": "1"})
        rows = re.findall(r'add_message_row\("?(\d+)"?,(\{.*?\}),\{', json.loads(answer)["exec"])
        return {uid: json.loads(columns)["subject"] for uid, columns in rows}


class RoundcubeTests(SynchronousTestCase):
    """A person reads and writes mail in a browser."""

    def setUp(self) -> None:
        if reason := missing("php"):
            self.skipTest(reason)
        if not (PROGRAM / "index.php").exists() or not PUBLIC.exists():
            self.skipTest("not installed: roundcube")
        self.appliance = running()
        self.webmail = Webmail(self.appliance)
        self.addCleanup(self.webmail.stop)

    def imap(self, user: str) -> imaplib.IMAP4_SSL:
        client = imaplib.IMAP4_SSL("127.0.0.1", self.appliance.ports["imaps"], ssl_context=anything_goes())
        self.addCleanup(client.shutdown)
        client.login(user, PASSWORD)
        return client

    def append(self, user: str, subject: str, body: str) -> None:
        message = f"From: Carol <carol@example.net>\r\nTo: {user}\r\nSubject: {subject}\r\n\r\n{body}\r\n"
        self.imap(user).append("INBOX", "", imaplib.Time2Internaldate(time.time()), message.encode())

    def counted(self, user: str, mailbox: str, *keys: str) -> int:
        client = self.imap(user)
        client.select(f'"{mailbox}"', readonly=True)
        return len(client.search(None, *keys)[1][0].split())

    def test_a_day(self) -> None:
        """Log in, list, read, mark, search, move, write to a neighbour, delete for good: both sides agree each time."""
        self.append(ANN, "from carol", "hello from the garden")
        self.append(ANN, "to be gone", "away with it")
        page = self.webmail.log_in(ANN)
        self.assertIn('"task":"mail"', page, page[:2000])
        for folder in ("INBOX", "Drafts", "Sent", "Junk", "Trash"):
            self.assertIn(f'"{folder}"', page)
        listed = {subject: uid for uid, subject in self.webmail.messages("INBOX").items()}
        self.assertLessEqual({"from carol", "to be gone"}, set(listed))

        read = self.webmail.ask({"_task": "mail", "_action": "show", "_mbox": "INBOX", "_uid": listed["from carol"]})
        self.assertIn("hello from the garden", read)
        self.assertEqual(self.counted(ANN, "INBOX", "SEEN", "SUBJECT", '"from carol"'), 1)
        self.webmail.act("mark", _mbox="INBOX", _uid=listed["from carol"], _flag="flagged")
        self.assertEqual(self.counted(ANN, "INBOX", "FLAGGED", "SUBJECT", '"from carol"'), 1)
        found = self.webmail.ask({
            "_task": "mail", "_action": "search", "_mbox": "INBOX", "_q": "garden", "_headers": "subject,text",
            "_scope": "base", "_remote": "1",
        })  # fmt: skip
        self.assertIn("from carol", found)
        self.assertNotIn("to be gone", found)

        self.webmail.act("move", _mbox="INBOX", _uid=listed["to be gone"], _target_mbox="Trash")
        self.assertEqual(list(self.webmail.messages("Trash").values()), ["to be gone"])
        self.assertNotIn("to be gone", self.webmail.messages("INBOX").values())
        (uid,) = self.webmail.messages("Trash")
        self.webmail.act("delete", _mbox="Trash", _uid=uid)
        self.assertEqual(self.webmail.messages("Trash"), {})
        self.assertEqual(self.counted(ANN, "Trash", "ALL"), 0)

        self.send(BEN, "from the browser", "good day, neighbour")
        self.assertEqual(
            self.counted(BEN, "INBOX", "SUBJECT", '"from the browser"', "BODY", '"good day, neighbour"'), 1
        )
        self.assertEqual(list(self.webmail.messages("Sent").values()), ["from the browser"])
        self.assertEqual(self.webmail.complaints(), "")
        self.assertEqual(self.appliance.tracebacks(), [])

    def send(self, to: str, subject: str, text: str) -> None:
        """Compose and send; a copy lies in Sent."""
        page = self.webmail.ask({"_task": "mail", "_action": "compose"})
        compose = re.search(r'name="_id" value="(\w+)"', page)
        identity = re.search(r'<option value="(\d+)"[^>]*>[^<]*ann@example', page)
        assert compose is not None and identity is not None, page[:4000]
        said = self.webmail.ask(
            {"_task": "mail", "_action": "send", "_framed": "1", "_lang": "en"},
            {
                "_task": "mail", "_action": "send", "_id": compose[1], "_attachments": "", "_from": identity[1],
                "_to": to, "_subject": subject, "_message": text, "_is_html": "0", "_store_target": "Sent",
                "_framed": "1",
            },
        )  # fmt: skip
        self.assertIn("sent_successfully", said, said[-3000:] + self.webmail.complaints())

    def test_wrong_password(self) -> None:
        """A wrong password is a message to a person, and no fault of the program's."""
        self.webmail.ask({"_task": "login"})
        with self.assertRaises(urllib.error.HTTPError) as raised:
            self.webmail.ask(
                {"_task": "login"},
                {"_task": "login", "_action": "login", "_timezone": "UTC", "_user": ANN, "_pass": "not this one"},
            )
        self.assertEqual(raised.exception.code, 401)
