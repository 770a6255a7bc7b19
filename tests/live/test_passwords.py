"""Weak passwords on a real appliance: guessed in seconds, seen at a log-in, kept from sending, changed by their people."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import time
import urllib.parse
import urllib.request
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.users.hashing import HashSettings, make_hash
from tests.kit.peer import Peer
from tests.live.appliance import BIN, PROTOCOLS, Appliance, anything_goes, free_ports, wait_until

WEAK = "Annika123!"  # Annika's, so it is made of her own name
COMMON = "sunshine"
GOOD = "kupfer lampe regen"
OUTSIDE = "127.0.5.7"
HOME = "127.0.6.7"
SECRETS = (WEAK, COMMON, GOOD, "tuba gurke wagen")
EXTRA = '[networks]\nlan = ["127.0.6.0/24"]\n[relay]\ndirect = false\n[guard]\nexempt = ["127.0.0.0/8"]\n'


class PasswordTests(SynchronousTestCase):
    """One appliance for each test, with three people."""

    def setUp(self) -> None:
        names = (*PROTOCOLS, "https")
        self.appliance = Appliance(extra=EXTRA, listen=dict(zip(names, free_ports(len(names)), strict=True)))
        self.appliance.start()
        self.addCleanup(self.appliance.__exit__)
        self.addCleanup(self.nothing_told)
        self.appliance.people("example.test", "cleo", "bob", "annika", password=GOOD)

    def nothing_told(self) -> None:
        """Neither a fault nor a secret has left a trace."""
        self.assertEqual(self.appliance.tracebacks(), [])
        self.assertNotIn("journal.broken", self.appliance.log())
        kept = b"".join(
            path.read_bytes() for path in (*self.appliance.state.glob("*.db*"), *self.appliance.state.glob("journal/*"))
        )
        for secret in SECRETS:
            self.assertNotIn(secret, self.appliance.log())
            self.assertNotIn(secret.encode(), kept)

    def weaken(self) -> None:
        """Give two of them weak passwords, as an older version would have taken them; the service is restarted."""
        self.appliance.stop()
        with sqlite3.connect(self.appliance.state / "users.db") as database:
            for name, password in (("annika", WEAK), ("bob", COMMON)):
                hash = make_hash(password.encode(), HashSettings())
                database.execute("UPDATE accounts SET hash = ? WHERE local = ?", (hash, name))
            database.execute("DELETE FROM password_audits")
        database.close()
        self.appliance.start()

    def mail_from(self, name: str, password: str, source: str) -> str:
        """What submission says to MAIL."""
        with Peer(self.appliance.ports["submissions"], tls=True, source=source) as peer:
            peer.hello()
            self.assertRegex(peer.auth_plain(f"{name}@example.test", password), "^235 ")
            return peer.say(f"MAIL FROM:<{name}@example.test>")

    def states(self) -> dict[str, str]:
        return {
            one["account"].partition("@")[0]: one["password"]
            for one in json.loads(self.appliance.cli("account", "list", "--json"))
        }

    def letters(self, name: str) -> str:
        """All that lies in somebody's INBOX."""
        box = self.appliance.maildir(f"{name}@example.test")
        return "".join(path.read_text("utf-8", "replace") for path in box.glob("[nc][eu][wr]/*"))

    def test_refused_when_set(self) -> None:
        """By the running service, and without it; the reason is told, nothing else."""
        said = self.appliance.cli("account", "password", "annika@example.test", stdin=WEAK + "\n", status=1)
        self.assertIn("names that everybody can find out", said)
        self.appliance.stop()
        said = self.appliance.cli("account", "password", "annika@example.test", stdin=COMMON + "\n", status=1)
        self.assertIn("tried first", said)
        self.appliance.cli("account", "password", "annika@example.test", stdin="tuba gurke wagen\n")
        self.assertEqual(len(self.appliance.cli("password", "suggest", "3").split()), 3)
        self.appliance.start()

    def test_audit(self) -> None:
        """Both weak ones are guessed, the good one is not; no process shows a secret; the next audit goes on."""
        self.weaken()
        began = time.monotonic()
        audit = subprocess.Popen(
            [str(BIN / "mailappliance"), "--config", str(self.appliance.config), "password", "audit", "--minutes", "1", "--json"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.addCleanup(audit.kill)
        seen = ""
        while self.appliance.log().count("users.password_weak") < 2:
            seen += processes()
            time.sleep(0.2)
            self.assertLess(time.monotonic() - began, 60)
        self.assertIn("users.strength.child", seen)
        for secret in (*SECRETS, "argon2id"):
            self.assertNotIn(secret, seen)
        out, err = audit.communicate(timeout=120)
        said = json.loads(out)
        self.assertEqual({one["account"] for one in said["weak"]}, {"annika@example.test", "bob@example.test"})
        for secret in SECRETS:
            self.assertNotIn(secret, out + err)
        tried = self.tried()
        self.assertGreater(tried["cleo"], 100)
        self.appliance.cli("password", "audit", "cleo@example.test", "--minutes", "1")
        self.assertGreater(self.tried()["cleo"], tried["cleo"])
        self.assertIn("users.password_weak account=bob@example.test", self.appliance.log())
        wait_until(
            lambda: "is weak" in self.letters("bob") and "bob@example.test" in self.letters("cleo"), what="the letters"
        )
        self.assertIn("sending from home only", self.appliance.cli("status", status=None))

    def tried(self) -> dict[str, int]:
        with sqlite3.connect(self.appliance.state / "users.db") as database:
            rows = database.execute("SELECT local, tried FROM accounts JOIN password_audits ON account = id").fetchall()
        database.close()
        return dict(rows)

    def test_at_a_log_in(self) -> None:
        """The first log-in gets in and is looked at after; then nothing leaves from outside, but from home it does."""
        self.weaken()
        self.assertRegex(self.mail_from("bob", COMMON, OUTSIDE), "^250 ")
        wait_until(lambda: self.states()["bob"] == "weak", what="the judgement")
        self.assertRegex(self.mail_from("bob", COMMON, OUTSIDE), "^550 5.7.1 Your password is guessed easily")
        self.assertRegex(self.mail_from("bob", COMMON, HOME), "^250 ")
        self.mail_from("cleo", GOOD, OUTSIDE)
        wait_until(lambda: self.states()["cleo"] == "good", what="the other judgement")
        self.assertRegex(self.mail_from("cleo", GOOD, OUTSIDE), "^250 ")
        self.appliance.cli("password", "allow", "bob@example.test")
        self.assertRegex(self.mail_from("bob", COMMON, OUTSIDE), "^250 ")
        self.appliance.cli("password", "allow", "bob@example.test", "--no")
        self.assertRegex(self.mail_from("bob", COMMON, OUTSIDE), "^550 ")
        wait_until(lambda: "/password" in self.letters("bob"), what="the letter")

    def test_the_page(self) -> None:
        """A link from the owner, and the current password; a weak one changes from home only."""
        said = self.appliance.cli("account", "link", "bob@example.test")
        url = re.search(r"https://\S+", said)
        assert url is not None
        path = urllib.parse.urlsplit(url[0]).path
        self.assertNotIn(path.rpartition("/")[2], self.appliance.log())
        self.assertIn("bob@example.test", self.page(path))
        new = {"new": "tuba gurke wagen", "again": "tuba gurke wagen"}
        self.assertIn("tried first", self.page(path, new="password1", again="password1"))
        self.assertIn("has been changed", self.page(path, **new))
        self.assertIn("not good any more", self.page(path, **new))
        self.assertRegex(self.mail_from("bob", new["new"], OUTSIDE), "^250 ")
        wait_until(lambda: "was changed on the web page" in self.letters("bob"), what="the letter")
        user = {"user": "cleo@example.test"}
        self.assertIn("Wrong mail address or password", self.page("/password", **user, old="wrong", **new))
        self.assertIn("has been changed", self.page("/password", **user, old=GOOD, **new))
        self.weaken()
        self.mail_from("annika", WEAK, OUTSIDE)
        wait_until(lambda: self.states()["annika"] == "weak", what="the judgement")
        self.assertIn("from the network at home", self.page("/password", user="annika", old=WEAK, **new))

    def page(self, path: str, **fields: str) -> str:
        """GET, or POST when there are fields; from 127.0.0.1, which is not at home."""
        url = f"https://127.0.0.1:{self.appliance.ports['https']}{path}"
        body = urllib.parse.urlencode(fields).encode() if fields else None
        with urllib.request.urlopen(url, body, timeout=60, context=anything_goes()) as answer:
            return str(answer.read().decode())


def processes() -> str:
    """Command lines and environments of all processes."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ"):
            try:
                found.append((folder / name).read_bytes().decode("utf-8", "replace"))
            except OSError:
                continue
    return "\n".join(found)
