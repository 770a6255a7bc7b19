"""The control socket for real: the command line in a process of its own asks this one."""

from __future__ import annotations

import json
import os
import socket
import stat
import sys
from typing import Any, ClassVar
from unittest import mock

from twisted.internet import reactor
from twisted.internet.defer import Deferred, inlineCallbacks, succeed
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import SynchronousTestCase, TestCase

from mailbox_appliance.admin import control, conversation
from mailbox_appliance.admin.control import ControlFactory, ControlSocket
from mailbox_appliance.admin.dispatch import Desk
from mailbox_appliance.admin.domains import DomainDesk
from mailbox_appliance.admin.mailqueue import MailQueueDesk
from mailbox_appliance.admin.result import Refused, Result
from mailbox_appliance.admin.verb import Arguments, Verb
from mailbox_appliance.admin.verbs import VERBS
from mailbox_appliance.admin.wire import BoxReader, encode_box
from mailbox_appliance.journal.events.admin import DeskRefused
from tests.kit.journal import RememberedJournal

_WAYS = {"long": "x" * 200_000}


class SayingDesk(DomainDesk):
    """Answers as the domain's name tells."""

    def __init__(self) -> None:
        pass

    async def add(self, arguments: Arguments) -> Result:
        name = arguments["domain"]
        if name == "refuse":
            raise Refused("no: grüß Gott")
        if name == "break":
            raise RuntimeError("swordfish")
        return Result(("said",), data={"name": name, "long": _WAYS["long"]})

    async def remove(self, arguments: Arguments) -> Result:
        return Result((_WAYS["long"] if arguments["domain"] == "long" else "said",))


def saying_desk(journal: RememberedJournal) -> Desk:
    """A desk that knows the domain verbs only."""
    rows = [
        Verb(one.noun, one.verb, SayingDesk, getattr(SayingDesk, one.verb), one.help, one.arguments, one.lists)
        for one in VERBS
        if one.noun == "domain"
    ]
    return Desk([SayingDesk()], journal, rows)


class ControlSocketTests(TestCase):
    """A real socket in a folder with a long name, and real processes."""

    timeout = 60

    def setUp(self) -> None:
        folder = os.path.abspath(self.mktemp())
        self.state = os.path.join(folder, "a folder with a long name " + "x" * 80)
        os.makedirs(self.state)
        self.config = os.path.join(folder, "m.toml")
        with open(self.config, "w") as file:
            file.write(f'hostname = "mail.example.org"\nstate = "{self.state}"\n')
        self.journal = RememberedJournal()
        # A leftover of a process that was killed.
        with open(os.path.join(self.state, "control"), "w"):
            pass
        self.control = ControlSocket(reactor, self.state, lambda: succeed(saying_desk(self.journal)), self.journal)  # type: ignore[arg-type]
        self.control.start()
        self.addCleanup(lambda: Deferred.fromCoroutine(self.control.stop()))

    def type(self, *words: str) -> Any:
        arguments = ["-m", "mailbox_appliance.cli", "--config", self.config, *words]
        return getProcessOutputAndValue(sys.executable, arguments, env={**os.environ, "PYTHONIOENCODING": "utf-8"})

    @inlineCallbacks
    def test_conversation(self) -> Any:
        """Answers, long answers, refusals and breakdowns come back as they should; the socket is ours alone."""
        mode = os.stat(os.path.join(self.state, "control")).st_mode
        self.assertTrue(stat.S_ISSOCK(mode))
        self.assertEqual(mode & 0o777, 0o600)
        out, err, code = yield self.type("domain", "remove", "example.org")
        self.assertEqual((out, err, code), (b"said\n", b"", 0))
        out, err, code = yield self.type("domain", "remove", "long")
        self.assertEqual((len(out), code), (200_001, 0))
        out, err, code = yield self.type("domain", "add", "refuse")
        self.assertEqual((out, err.decode(), code), (b"", "no: grüß Gott\n", 1))
        out, err, code = yield self.type("domain", "add", "break")
        self.assertEqual(code, 1)
        self.assertIn(b"journal.broken", err)
        self.assertNotIn(b"swordfish", err)
        self.assertEqual([where for where, _ in self.journal.failures], ["admin"])

    @inlineCallbacks
    def test_stopped(self) -> Any:
        """After the stop the path is gone and the command line works offline."""
        yield Deferred.fromCoroutine(self.control.stop())
        self.assertFalse(os.path.lexists(os.path.join(self.state, "control")))
        out, _, code = yield self.type("domain", "list", "--json")
        self.assertEqual((json.loads(out), code), ([], 0))


class _Wire(StringTransport):
    """A transport whose peer is of our choice."""

    user: ClassVar[int] = 0
    aborting = False

    def abortConnection(self) -> None:
        self.aborting = True

    def getHandle(self) -> Any:
        handle = mock.Mock(spec=socket.socket)
        handle.getsockopt.return_value = b"\x01\0\0\0" + self.user.to_bytes(4, "little") + b"\0\0\0\0"
        return handle


class ControlConnectionTests(SynchronousTestCase):
    """Who is answered, and what odd peers get."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.journal = RememberedJournal()
        self.factory = ControlFactory(
            lambda: succeed(saying_desk(self.journal)), self.journal, self.clock, frozenset({0, 500})
        )

    def connect(self, user: int = 0) -> tuple[Any, _Wire]:
        protocol = self.factory.buildProtocol(None)
        wire = _Wire()
        type(wire).user = user
        protocol.makeConnection(wire)
        return protocol, wire

    def test_strangers(self) -> None:
        """Root and the service's user are answered; another user is cut off and journaled."""
        for user, refused in ((0, False), (500, False), (1000, True)):
            _, wire = self.connect(user)
            self.assertEqual(wire.aborting, refused, str(user))
        self.assertEqual([event.user for event in self.journal.of(DeskRefused)], [1000])

    def test_many(self) -> None:
        """More connections than there may be are cut off; one that leaves makes room."""
        connections = [self.connect() for _ in range(control.MOST_CONNECTIONS + 1)]
        self.assertEqual([wire.aborting for _, wire in connections].count(True), 1)
        connections[0][0].connectionLost(mock.Mock())
        self.assertFalse(self.connect()[1].aborting)

    def test_idle(self) -> None:
        """Who says nothing for long is cut off."""
        _, wire = self.connect()
        self.clock.advance(conversation.IDLE + 1)
        self.assertTrue(wire.aborting)

    def test_questions_are_bounded(self) -> None:
        """A question without end ends the connection."""
        protocol, wire = self.connect()
        box = encode_box({b"_ask": b"1", b"_command": b"Give", b"piece": b"x" * 60_000})
        for _ in range(100):
            protocol.dataReceived(box)
        self.assertTrue(wire.aborting)

    def test_nonsense(self) -> None:
        """A question that is no JSON is refused, journaled, and the connection lives."""
        protocol, wire = self.connect()
        for question in (b"{", b"[]", b'{"noun": 5}', b"\xff"):
            wire.clear()
            protocol.dataReceived(encode_box({b"_ask": b"1", b"_command": b"Ask", b"piece": question}))
            (box,) = BoxReader().feed(wire.value())
            self.assertEqual(box, {b"_answer": b"1", b"pieces": b"1"})
        wire.clear()
        protocol.dataReceived(encode_box({b"_ask": b"2", b"_command": b"Take", b"number": b"7"}))
        self.assertEqual(list(BoxReader().feed(wire.value())), [{b"_answer": b"2", b"piece": b""}])


class UnknownDeskTests(SynchronousTestCase):
    """Verbs without their desk."""

    def test_refused(self) -> None:
        """A desk that is not there is named as needing the service."""
        running = Deferred.fromCoroutine(Desk([], RememberedJournal()).run("queue", "list", {}))
        self.assertIn("needs the running service", str(self.failureResultOf(running, Refused).value))
        self.assertIs(next(verb for verb in VERBS if verb.name == "queue list").desk, MailQueueDesk)
