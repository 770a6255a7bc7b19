"""Listening sockets: silent until admitted, and a refusal that says what to do."""

from __future__ import annotations

import errno
import os
import socket
import stat
from typing import Any
from unittest import mock

from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import TestCase

from mailbox_appliance import sockets
from mailbox_appliance.sockets import Opened, PortTaken, open_port

reactor: Any = global_reactor


class Greeting(Protocol):
    """Says one word."""

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(b"hello")
        self.transport.loseConnection()


class OpenPortTests(TestCase):
    """On real sockets."""

    timeout = 10

    def setUp(self) -> None:
        self.factory = Factory.forProtocol(Greeting)

    def open(
        self, kind: str = "tcp", number: int = 0, interface: str = "127.0.0.1", path: str = "", mode: int = 0o666
    ) -> Opened:
        """As the service does."""
        text = f"unix:{path}" if kind == "unix" else f"{kind}:{number}:interface={interface}"
        opened = open_port(reactor, "smtp", text, kind, number, interface, path, mode, self.factory)
        self.addCleanup(opened.close)
        return opened

    def refused(self, *arguments: Any, **named: Any) -> str:
        with self.assertRaises(PortTaken) as caught:
            self.open(*arguments, **named)
        return str(caught.exception)

    async def test_silent_until_admitted(self) -> None:
        """Who comes before `admit` is neither refused nor served: it waits in the kernel's queue."""
        opened = self.open()
        self.assertEqual((opened.key, opened.text), ("smtp", "tcp:0:interface=127.0.0.1"))
        with socket.create_connection(("127.0.0.1", opened.number), 5) as client:
            client.settimeout(0)
            await self.turn(0.02)
            self.assertRaises(BlockingIOError, client.recv, 10)
            opened.admit()
            for _ in range(100):
                await self.turn(0.01)
                try:
                    self.assertEqual(client.recv(10), b"hello")
                    return
                except BlockingIOError:
                    continue
        self.fail("nobody was served")

    def turn(self, seconds: float) -> Deferred[None]:
        done: Deferred[None] = Deferred()
        reactor.callLater(seconds, done.callback, None)
        return done

    def test_in_use(self) -> None:
        """The port, the key and two remedies are named."""
        taken = self.open()
        self.assertEqual(
            self.refused(number=taken.number),
            f"listen.smtp = tcp:{taken.number}:interface=127.0.0.1: port {taken.number} is in use. See who has it with "
            f"`ss -ltnp 'sport = :{taken.number}'` and stop it, or choose another port for listen.smtp",
        )

    def test_low_port(self) -> None:
        """Without the right to bind it, the ways to get that right are named."""
        denied = PermissionError(errno.EACCES, "Permission denied")
        with mock.patch.object(sockets.socket.socket, "bind", side_effect=denied):
            said = self.refused(number=25)
        self.assertIn("port 25 needs root or CAP_NET_BIND_SERVICE", said)
        self.assertIn("twistd --uid USER --gid GROUP", said)

    def test_foreign_address(self) -> None:
        """An address that this machine has not."""
        self.assertIn("no such address. Correct interface=", self.refused(interface="192.0.2.1"))

    def test_no_such_sockets(self) -> None:
        """A kernel without IPv6."""
        missing = OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        with mock.patch.object(sockets.socket, "socket", side_effect=missing):
            self.assertIn("this machine has no such sockets", self.refused("tcp6", interface="::1"))

    def test_both_families_share_a_port(self) -> None:
        """tcp6 takes IPv6 only, so tcp may follow on the same number, and the other way round."""
        try:
            six = self.open("tcp6", interface="::")
        except PortTaken:
            self.skipTest("this machine has no IPv6")
        four = self.open(number=six.number, interface="")
        self.assertEqual(four.number, six.number)

    def test_unix_mode(self) -> None:
        """Who may connect is what the file says, whatever the umask is."""
        for mode in (0o600, 0o660, 0o666):
            path = self.mktemp()
            self.open("unix", path=path, mode=mode)
            self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), mode)

    def test_unix_leftover(self) -> None:
        """A socket that a killed process left behind is replaced."""
        path = f"/tmp/mailappliance-test-{os.getpid()}"
        self.addCleanup(lambda: os.path.exists(path) and os.unlink(path))
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(path)
        self.assertEqual(self.open("unix", path=path).number, 0)

    def test_unix_somebody_answers(self) -> None:
        """A socket behind which a program listens is not taken away from it."""
        path = f"/tmp/mailappliance-live-{os.getpid()}"
        self.addCleanup(lambda: os.path.exists(path) and os.unlink(path))
        with socket.socket(socket.AF_UNIX) as alive:
            alive.bind(path)
            alive.listen()
            self.assertIn("another program listens there", self.refused("unix", path=path))

    def test_unix_never_takes_a_file_away(self) -> None:
        """What lies at the path and is no socket is somebody's file: it stays."""
        path = os.path.abspath(self.mktemp())
        with open(path, "w") as file:
            file.write("precious")
        self.assertIn("is a file and no socket", self.refused("unix", path=path))
        with open(path) as file:
            self.assertEqual(file.read(), "precious")
