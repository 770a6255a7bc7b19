"""Real scanners beside a whole appliance: SpamAssassin's spamd, rspamd, opendkim and a filter made with libmilter."""

from __future__ import annotations

import os
import shutil
import smtplib
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.live.appliance import CHECKOUT, Appliance, wait_until

GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
ZONE = 'honest.test. A 127.0.0.1\nhonest.test. TXT "v=spf1 ip4:127.0.0.1 -all"\n'
FILTER = r"""
#include <libmilter/mfapi.h>
#include <stdlib.h>
#include <string.h>

struct facts { int reject, later, discard, hold; };

static sfsistat from(SMFICTX *ctx, char **args) {
    struct facts *facts = calloc(1, sizeof *facts);
    smfi_setpriv(ctx, facts);
    return SMFIS_CONTINUE;
}
static sfsistat field(SMFICTX *ctx, char *name, char *value) {
    struct facts *facts = smfi_getpriv(ctx);
    if (strcasecmp(name, "Subject") == 0) {
        facts->reject = strstr(value, "refuse") != NULL;
        facts->later = strstr(value, "later") != NULL;
        facts->discard = strstr(value, "discard") != NULL;
        facts->hold = strstr(value, "hold") != NULL;
    }
    return SMFIS_CONTINUE;
}
static sfsistat end(SMFICTX *ctx) {
    struct facts *facts = smfi_getpriv(ctx);
    smfi_addheader(ctx, "X-Filter", "seen");
    if (facts->hold) smfi_quarantine(ctx, "looks odd");
    if (facts->reject) {
        smfi_setreply(ctx, "550", "5.7.1", "the filter says no");
        return SMFIS_REJECT;
    }
    return facts->later ? SMFIS_TEMPFAIL : facts->discard ? SMFIS_DISCARD : SMFIS_CONTINUE;
}
static sfsistat leave(SMFICTX *ctx) {
    free(smfi_getpriv(ctx));
    smfi_setpriv(ctx, NULL);
    return SMFIS_CONTINUE;
}
static struct smfiDesc about = {
    "filter", SMFI_VERSION, SMFIF_ADDHDRS | SMFIF_QUARANTINE, NULL, NULL, from, NULL, field, NULL, NULL, end, NULL, leave,
    NULL, NULL, NULL
};
int main(int count, char **args) {
    smfi_setconn(args[1]);
    return smfi_register(about) == MI_SUCCESS ? smfi_main() : 1;
}
"""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class ScannersTests(SynchronousTestCase):
    """Each one judges strangers' mail for an appliance."""

    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="scanners-"))
        self.folder.chmod(0o755)
        self.addCleanup(shutil.rmtree, self.folder, True)

    def run_beside(self, *command: str) -> subprocess.Popen[bytes]:
        """A program that runs until the test ends."""
        log = (self.folder / "log").open("ab")
        self.addCleanup(log.close)
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder)

        def stop() -> None:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

        self.addCleanup(stop)
        return process

    def answers(self, port: int) -> None:
        def there() -> bool:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
            except OSError:
                return False
            return True

        wait_until(there, 60, f"port {port}; {(self.folder / 'log').read_text(errors='replace')[-2000:]}")

    def appliance_with(self, name: str, **keys: object) -> Appliance:
        zone = self.folder / "zone"
        zone.write_text(ZONE)
        server = subprocess.Popen(
            [sys.executable, "-m", "tests.kit.zone_server", "--port", "0", str(zone)],
            cwd=CHECKOUT, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.addCleanup(server.wait, 10)
        self.addCleanup(server.terminate)
        assert server.stdout is not None
        self.addCleanup(server.stdout.close)
        port = server.stdout.readline().split()[1]
        lines = "\n".join(f'{key} = {value if isinstance(value, float) else f"{chr(34)}{value}{chr(34)}"}'
                          for key, value in keys.items())  # fmt: skip
        one = Appliance(
            extra=f'[dns]\nservers = ["127.0.0.1:{port}"]\n[checks]\nenabled = true\nswitched_off = ["content"]\n'
            f'weights = {{ "fcrdns none" = 0 }}\n[scanners.{name}]\n{lines}\n'
        )
        self.addCleanup(one.__exit__)
        one.start()
        one.people("example.test", "ann")
        self.addCleanup(lambda: self.assertEqual(one.tracebacks(), []))
        return one

    def send(self, appliance: Appliance, subject: str, body: str = "Shall we meet on Sunday?") -> str:
        with smtplib.SMTP("127.0.0.1", appliance.ports["smtp"], local_hostname="honest.test") as client:
            content = (
                f"From: {subject}@honest.test\r\nTo: ann@example.test\r\nSubject: {subject}\r\n"
                f"Date: {time.strftime('%a, %d %b %Y %H:%M:%S +0000', time.gmtime())}\r\n"
                f"Message-ID: <{time.time_ns()}@honest.test>\r\n\r\n{body}\r\n"
            )
            try:
                client.sendmail(f"{subject}@honest.test", ["ann@example.test"], content)
            except smtplib.SMTPDataError as refused:
                return str(refused.smtp_code)
            return "250"

    def folder_of(self, appliance: Appliance, subject: str) -> tuple[str, str]:
        maildir = appliance.maildir("ann@example.test")
        for path in (*maildir.glob("new/*"), *maildir.glob("cur/*"), *maildir.glob(".*/???/*")):
            header = path.read_text().partition("\n\n")[0]
            if f"Subject: {subject}\n" in header + "\n":
                return path.parent.parent.name, header
        raise AssertionError(f"{subject} was not kept")

    def test_spamd(self) -> None:
        """SpamAssassin: a plain letter comes, GTUBE is refused; when it is gone mail goes on and status tells it."""
        spamd = shutil.which("spamd") or ("/usr/sbin/spamd" if os.path.exists("/usr/sbin/spamd") else "")
        if not spamd:
            raise SkipTest("spamd is not installed")
        port = free_port()
        process = self.run_beside(
            spamd, "--listen", f"127.0.0.1:{port}", "--local", "--max-children", "1", "--nouser-config",
            "--pidfile", str(self.folder / "pid"), "--syslog", "stderr", "--helper-home-dir", str(self.folder),
        )  # fmt: skip
        self.answers(port)
        appliance = self.appliance_with("sa", kind="spamd", endpoint=f"127.0.0.1:{port}", timeout=60.0)
        self.assertEqual(self.send(appliance, "plain"), "250")
        self.assertEqual(self.folder_of(appliance, "plain")[0], "Maildir")
        self.assertEqual(self.send(appliance, "bad", GTUBE), "550")
        self.assertRegex(appliance.cli("trace", "bad@honest.test"), r"\+10\.0  scanner spam: sa: \d{3,4} of 5")
        self.assertRegex(appliance.cli("status", status=None), r"scanners: +ok: sa \(2 asked\)")
        process.terminate()
        process.wait(20)
        self.assertEqual(self.send(appliance, "without"), "250")
        self.assertRegex(
            appliance.cli("status", status=None), r"scanners: +TO DO: sa at 127.0.0.1:\d+ has not answered"
        )
        self.assertIn("scanners.down", appliance.log())

    def test_rspamd(self) -> None:
        """rspamd: a plain letter comes, GTUBE is refused; when_down = defer puts mail off when it is gone."""
        if not shutil.which("rspamd"):
            raise SkipTest("rspamd is not installed")
        port = free_port()
        config = self.folder / "rspamd.conf"
        config.write_text(
            f'options {{ pidfile = "{self.folder}/rspamd.pid"; filters = ""; dns {{ timeout = 1s; }} '
            'local_addrs = "127.0.0.0/8"; }\n'
            'logging { type = "console"; level = "warning"; }\n'
            f'worker "normal" {{ bind_socket = "127.0.0.1:{port}"; count = 1; }}\n'
            'actions { reject = 15; add_header = 6; }\n'
        )  # fmt: skip
        user = ["-i"] if os.geteuid() == 0 else []
        process = self.run_beside("rspamd", "-f", "-c", str(config), *user)
        self.answers(port)
        appliance = self.appliance_with("r", kind="rspamd", endpoint=f"127.0.0.1:{port}", when_down="defer")
        self.assertEqual(self.send(appliance, "plain"), "250")
        self.assertEqual(self.folder_of(appliance, "plain")[0], "Maildir")
        self.assertEqual(self.send(appliance, "bad", GTUBE), "550")
        self.assertRegex(appliance.cli("trace", "bad@honest.test"), r"\+10\.0  scanner spam: r: ")
        process.terminate()
        process.wait(20)
        self.assertEqual(self.send(appliance, "later"), "451")
        self.assertIn("mail is put off", appliance.cli("status", status=None))

    def test_opendkim(self) -> None:
        """opendkim as a milter: its Authentication-Results stands below ours."""
        if not shutil.which("opendkim"):
            raise SkipTest("opendkim is not installed")
        place = self.folder / "opendkim.sock"
        config = self.folder / "opendkim.conf"
        config.write_text("AuthservID filter.test\nSyslog no\nAlwaysAddARHeader yes\nUMask 000\n")
        self.run_beside("opendkim", "-f", "-b", "v", "-p", f"local:{place}", "-x", str(config))
        wait_until(place.exists, 20, "opendkim's socket")
        appliance = self.appliance_with("dkim", kind="milter", endpoint=str(place), when_down="defer")
        self.assertEqual(self.send(appliance, "plain"), "250")
        folder, header = self.folder_of(appliance, "plain")
        self.assertEqual(folder, "Maildir")
        self.assertRegex(
            header, r"(?s)Authentication-Results: mx\.example\.test;.*Authentication-Results: filter\.test;"
        )

    def test_libmilter(self) -> None:
        """A filter of our own, made with libmilter: adds a field, refuses, puts off, discards, quarantines."""
        if not shutil.which("gcc") or not os.path.exists("/usr/include/libmilter/mfapi.h"):
            raise SkipTest("gcc or libmilter-dev is not installed")
        (self.folder / "filter.c").write_text(FILTER)
        program = str(self.folder / "filter")
        subprocess.run(["gcc", "-o", program, "filter.c", "-lmilter", "-lpthread"], cwd=self.folder, check=True)
        place = self.folder / "filter.sock"
        self.run_beside(program, f"unix:{place}")
        wait_until(place.exists, 20, "the filter's socket")
        appliance = self.appliance_with("filter", kind="milter", endpoint=str(place), weight=6.0)
        replies = {word: self.send(appliance, word) for word in ("plain", "refuse", "later", "discard", "hold")}
        self.assertEqual(replies, {"plain": "250", "refuse": "550", "later": "451", "discard": "250", "hold": "250"})
        folder, header = self.folder_of(appliance, "plain")
        self.assertEqual(folder, "Maildir")
        self.assertIn("\nX-Filter: seen\n", header)
        self.assertEqual(self.folder_of(appliance, "discard")[0], ".Junk")
        self.assertEqual(self.folder_of(appliance, "hold")[0], ".Junk")
        self.assertIn("the filter says no", appliance.cli("trace", "refuse@honest.test"))
