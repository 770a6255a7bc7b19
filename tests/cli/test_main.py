"""The command line: what is typed, what is asked, what is shown, and how it ends."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Mapping
from typing import Any
from unittest import mock

from click.testing import CliRunner
from click.testing import Result as Ended
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.admin.lock import StateLock
from mailbox_appliance.admin.result import Refused, Result, Table
from mailbox_appliance.admin.verb import Verb
from mailbox_appliance.admin.verbs import NOUNS, VERBS
from mailbox_appliance.cli import ask as asking
from mailbox_appliance.cli.main import command_line
from mailbox_appliance.cli.show import plain


class CommandLineTests(SynchronousTestCase):
    """With a service that answers what the test wants."""

    def setUp(self) -> None:
        self.asked: list[tuple[str | None, str, dict[str, Any]]] = []
        self.answer: Result | Exception = Result(("done",))

        def ask(option: str | None, verb: Verb, arguments: Mapping[str, Any]) -> Result:
            self.asked.append((option, verb.name, dict(arguments)))
            if isinstance(self.answer, Exception):
                raise self.answer
            return self.answer

        self.patch(__import__("mailbox_appliance.cli.main", fromlist=["ask"]), "ask", ask)

    def type(self, *words: str, stdin: str | None = None) -> Ended:
        return CliRunner().invoke(command_line, words, input=stdin, prog_name="mailappliance")

    def test_arguments(self) -> None:
        """Words, lists, options and flags arrive under their names."""
        rows: tuple[tuple[tuple[str, ...], str, dict[str, Any]], ...] = (
            (("domain", "add", "a.example"), "domain add", {"domain": "a.example", "inside": False}),
            (
                ("domain", "add", "a.example", "--catch-all", "x@a.example"),
                "domain add",
                {"domain": "a.example", "catch_all": "x@a.example", "inside": False},
            ),
            (
                ("alias", "add", "s@a.example", "b@a.example", "c@d.example"),
                "alias add",
                {"alias": "s@a.example", "targets": ["b@a.example", "c@d.example"]},
            ),
            (("queue", "retry", "--all"), "queue retry", {"ids": [], "all": True}),
            (("queue", "drop", "x", "y"), "queue drop", {"ids": ["x", "y"], "bounce": False}),
            (("account", "list"), "account list", {"removed": False}),
            (("trace", "<a@b.example>"), "trace", {"what": "<a@b.example>"}),
            (("status",), "status", {}),
        )
        for words, name, arguments in rows:
            ended = self.type(*words)
            self.assertEqual((ended.exit_code, ended.output), (0, "done\n"), words)
            self.assertEqual(self.asked.pop(), (None, name, arguments))
        self.type("--config", "/x.toml", "reload")
        self.assertEqual(self.asked.pop(), ("/x.toml", "reload", {}))

    def test_passwords(self) -> None:
        """Without a terminal the password is the first line of standard input, spaces and all."""
        for stdin, password in (
            ("correct horse \n", "correct horse "),
            ("pässword", "pässword"),
            ("", ""),
            ("a\r\nb\n", "a"),
        ):
            self.type("account", "add", "ann@a.example", stdin=stdin)
            self.assertEqual(self.asked.pop()[2], {"address": "ann@a.example", "password": password})

    def test_exit_codes(self) -> None:
        """0 done, 1 refused with the reason on standard error, 2 usage."""
        self.answer = Refused("there is no account bob")
        ended = self.type("account", "remove", "bob@a.example")
        self.assertEqual((ended.exit_code, ended.stdout, ended.stderr), (1, "", "there is no account bob\n"))
        self.answer = Result(("mail in: TO DO",), code=1)
        ended = self.type("status")
        self.assertEqual((ended.exit_code, ended.stdout), (1, "mail in: TO DO\n"))
        for words in (
            ("account",),
            ("account", "fly"),
            ("fly",),
            ("account", "add"),
            ("queue", "drop"),
            ("status", "--fly"),
            (),
        ):
            self.assertEqual(self.type(*words).exit_code, 2, words)

    def test_json(self) -> None:
        """--json prints the data and nothing else."""
        self.answer = Result(table=Table(("a",), (("1",),)), data=[{"a": 1, "b": "ü"}])
        self.assertEqual(json.loads(self.type("account", "list", "--json").stdout), [{"a": 1, "b": "ü"}])
        self.answer = Result(("nobody",), data=[])
        self.assertEqual(json.loads(self.type("guard", "list", "--json").stdout), [])

    def test_every_list_has_json(self) -> None:
        """Each verb called list knows --json."""
        for verb in VERBS:
            if verb.verb == "list":
                self.assertEqual(self.type(verb.noun, "list", "--json").exit_code, 0, verb.name)

    def test_help(self) -> None:
        """Help names every noun and verb with its sentence."""
        text = self.type("--help").output
        for noun in (*NOUNS, *(verb.noun for verb in VERBS if not verb.verb)):
            self.assertIn(f"  {noun}", text)
        for verb in VERBS:
            self.assertIn(verb.help, self.type(*verb.name.split(), "--help").output, verb.name)

    def test_plain_tables(self) -> None:
        """Columns are aligned, empty cells are dashes, a stranger's control characters are harmless."""
        table = Table(("id", "last reply"), (("x", ""), ("longer", "450 \x1b[31mred\nnext")))
        self.assertEqual(plain(table), "id      last reply\nx       -\nlonger  450 ?[31mred?next\n")


class OfflineTests(SynchronousTestCase):
    """When nobody listens, the databases are opened here."""

    def setUp(self) -> None:
        folder = os.path.abspath(self.mktemp())
        os.mkdir(folder)
        self.state = os.path.join(folder, "state")
        self.config = os.path.join(folder, "m.toml")
        with open(self.config, "w") as file:
            file.write(f'hostname = "mail.example.org"\nstate = "{self.state}"\n')

    def type(self, *words: str, stdin: str = "") -> Ended:
        return CliRunner().invoke(command_line, ("--config", self.config, *words), input=stdin)

    def test_a_household(self) -> None:
        """Domain, account, list, trace: each command opens and closes the files."""
        self.assertEqual(self.type("domain", "add", "example.org").exit_code, 0)
        ended = self.type("account", "add", "ann@example.org", stdin="correct horse\n")
        self.assertEqual(ended.exit_code, 0, ended.output)
        self.assertIn("mail.example.org port 993, SSL/TLS", ended.stdout)
        (row,) = json.loads(self.type("account", "list", "--json").stdout)
        self.assertEqual(row["account"], "ann@example.org")
        self.assertIn("users.account_added", self.type("trace", "ann@example.org").stdout)
        self.assertEqual(os.stat(self.state).st_mode & 0o777, 0o700)
        for name in os.listdir(self.state):
            path = os.path.join(self.state, name)
            self.assertEqual(os.stat(path).st_mode & 0o077, 0, path)

    def test_the_filter_is_taught_here(self) -> None:
        """`spam train` needs no service; what was taught counts, and nothing but the user's own may read it."""
        self.type("domain", "add", "example.org")
        self.type("account", "add", "ann@example.org", stdin="correct horse\n")
        letter = (
            "From: Eve <eve@spam.example>\nSubject: pills\nMessage-ID: <{0}@spam.example>\n\nCheap pills, number {0}\n"
        )
        box = "".join(f"From eve Mon Jan  1 00:00:00 2001\n{letter.format(number)}\n" for number in range(4))
        ended = self.type("spam", "train", "ann@example.org", "--junk", "-", stdin=box)
        self.assertEqual((ended.exit_code, ended.stdout), (0, "learnt 4 message(s) as junk for ann@example.org\n"))
        path = os.path.join(self.state, "mail", "example.org", "ann", "junk.db")
        self.assertEqual(os.stat(path).st_mode & 0o077, 0)
        with sqlite3.connect(path) as connection:
            self.assertEqual(connection.execute("SELECT count(*) FROM lesson").fetchone(), (4,))
        connection.close()
        self.assertEqual(self.type("spam", "train", "ann@example.org", "--junk", "-", stdin=box).exit_code, 0)
        self.assertIn("nothing has judged", self.type("spam", "why", "abc").stderr)
        self.assertIn("nothing is known", self.type("spam", "reputation", "far.example").stdout)
        self.assertIn(
            "there is no account", self.type("spam", "train", "x@example.org", "--ham", "-", stdin=box).stderr
        )

    def test_what_needs_the_service(self) -> None:
        """Verbs for which there must be a service say so; status says how to start it."""
        ended = self.type("relay", "test", "a@b.example")
        self.assertEqual(ended.exit_code, 1)
        self.assertIn("needs the running service", ended.stderr)
        ended = self.type("status")
        self.assertEqual(ended.exit_code, 1)
        self.assertIn("start it: systemctl start mailappliance", ended.stdout)

    def test_locked(self) -> None:
        """While a service holds the lock without answering, nothing is opened."""
        os.mkdir(self.state)
        lock = StateLock(self.state)
        lock.take()
        self.addCleanup(lock.give_back)
        self.patch(asking, "_LOCK_PATIENCE", 0.0)
        with mock.patch("time.sleep"):
            ended = self.type("domain", "list")
        self.assertEqual(ended.exit_code, 1)
        self.assertIn("the service holds its state but does not answer", ended.stderr)
        self.assertEqual(os.listdir(self.state), ["lock"])

    def test_damaged_database(self) -> None:
        """A file that is no database is named, without a traceback."""
        os.mkdir(self.state)
        with open(os.path.join(self.state, "users.db"), "wb") as file:
            file.write(b"not a database" * 500)
        ended = self.type("domain", "list")
        self.assertEqual(ended.exit_code, 1)
        self.assertIn("users.db: file is not a database", ended.stderr)

    def test_wrong_config(self) -> None:
        """Every complaint, exit code 1."""
        with open(self.config, "w") as file:
            file.write("hostnam = 1\nstat = 2\n")
        ended = self.type("domain", "list")
        self.assertEqual(ended.exit_code, 1)
        self.assertEqual(len(ended.stderr.splitlines()), 3)

    def test_no_local_mode_by_accident(self) -> None:
        """Without a config nothing is made in whatever folder the owner stands in."""
        self.patch(os, "environ", {})
        with (
            mock.patch("mailbox_appliance.config.read.find", return_value=None),
            mock.patch("mailbox_appliance.config.local.find", return_value=None),
        ):
            ended = CliRunner().invoke(command_line, ("domain", "list"))
        self.assertEqual(ended.exit_code, 1)
        self.assertIn("no config was found, and no local mode has run here", ended.stderr)

    def test_here(self) -> None:
        """config sample needs no state, no service and no config."""
        ended = CliRunner().invoke(command_line, ("--config", "/nowhere", "config", "sample"))
        self.assertEqual(ended.exit_code, 0)
        self.assertIn('hostname = "mail.example.org"', ended.stdout)
