"""The child process: both halves of its conversation, and everything that can go wrong between them."""

from __future__ import annotations

import io
import json
import os
import sys
from typing import Any
from unittest import mock

from acme import errors, messages
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.acme import child
from mailbox_appliance.acme.client import ORDER_SECONDS, ChildAuthority, Order, OrderFailed
from mailbox_appliance.acme.deployed import COMMAND_SECONDS, read_command, run_command


class FakeTransport:
    def __init__(self) -> None:
        self.written = b""
        self.signals: list[str] = []

    def write(self, octets: bytes) -> None:
        self.written += octets

    def signalProcess(self, signal: str) -> None:
        self.signals.append(signal)

    def closeStdin(self) -> None: ...

    def loseConnection(self) -> None: ...


class FakeReactor:
    """Remembers what was spawned; ``fails`` is raised instead."""

    def __init__(self) -> None:
        self.fails: OSError | None = None
        self.protocol: Any = None
        self.arguments: list[str] = []
        self.environment: dict[str, str] = {}
        self.transport = FakeTransport()

    def spawnProcess(self, processProtocol: Any, executable: Any, args: Any = (), env: Any = None) -> None:
        if self.fails is not None:
            raise self.fails
        self.protocol, self.arguments, self.environment = processProtocol, list(args), env
        processProtocol.transport = self.transport
        processProtocol.connectionMade()

    def end(self, code: int = 0) -> None:
        reason = Failure(ProcessDone(None) if code == 0 else ProcessTerminated(code))
        self.protocol.processExited(reason)
        self.protocol.processEnded(reason)


class ParentTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.reactor = FakeReactor()
        self.authority = ChildAuthority(self.reactor, self.clock)
        self.published: list[dict[str, str]] = []
        self.folder = self.mktemp()
        os.makedirs(self.folder)
        account = os.path.join(self.folder, "account.json")
        self.order = Order("https://ca/dir", "a@b", "", "account.key", account, ("mx.example",), b"-----CSR-----\n")
        self.publish_fails: Exception | None = None

    async def publish(self, tokens: dict[str, str]) -> None:
        if self.publish_fails is not None:
            raise self.publish_fails
        self.published.append(tokens)

    def begin(self) -> Deferred[bytes]:
        return Deferred.fromCoroutine(self.authority.order(self.order, self.publish))

    def say(self, **words: Any) -> None:
        self.reactor.protocol.outReceived(json.dumps(words).encode() + b"\n")

    def test_good_order(self) -> None:
        """The request goes in, tokens are published and confirmed, the chain comes out when the child has gone."""
        result = self.begin()
        request = json.loads(self.reactor.transport.written)
        self.assertEqual((request["directory"], request["names"]), ("https://ca/dir", ["mx.example"]))
        self.assertEqual(self.reactor.arguments[1:], ["-P", "-m", "mailbox_appliance.acme.child"])
        self.assertNotIn("PRIVATE", self.reactor.transport.written.decode())
        self.say(say="tokens", tokens={"t": "a"})
        self.assertEqual(self.published, [{"t": "a"}])
        self.assertTrue(self.reactor.transport.written.endswith(b'{"ready": true}\n'))
        self.say(say="certificate", chain="PEM")
        self.assertNoResult(result)
        self.reactor.end()
        self.assertEqual(self.successResultOf(result), b"PEM")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_refusal(self) -> None:
        """Reason and names come through; a forgotten account is forgotten here, too."""
        with open(self.order.account, "wb"):
            pass
        result = self.begin()
        self.say(say="failed", reason="no", names={"mx.example": "why"}, forget_account=True)
        self.reactor.end(1)
        error = self.failureResultOf(result, OrderFailed).value
        self.assertEqual((str(error), error.names), ("no", {"mx.example": "why"}))
        self.assertFalse(os.path.exists(self.order.account))

    def test_a_child_that_dies(self) -> None:
        """The last line of its complaint is told."""
        result = self.begin()
        self.reactor.protocol.errReceived(b"Traceback\nModuleNotFoundError: acme\n")
        self.reactor.end(1)
        self.assertIn("ModuleNotFoundError", str(self.failureResultOf(result, OrderFailed).value))

    def test_a_child_that_hangs(self) -> None:
        """Killed after its time."""
        result = self.begin()
        self.clock.advance(ORDER_SECONDS + 31)
        self.assertEqual(self.reactor.transport.signals[:1], ["KILL"])
        self.reactor.end(9)
        self.assertIn("in time", str(self.failureResultOf(result, OrderFailed).value))

    def test_rubbish(self) -> None:
        """Neither rubbish nor endless talk is believed."""
        for talk in (b"rubbish\n", b"{}\n", b"[1]\n", b'{"say":"tokens","tokens":3}\n', b"x" * 2_000_000):
            self.reactor = FakeReactor()
            self.authority = ChildAuthority(self.reactor, self.clock)
            result = self.begin()
            self.reactor.protocol.outReceived(talk)
            self.reactor.end()
            self.failureResultOf(result, OrderFailed)

    def test_tokens_that_cannot_be_published(self) -> None:
        """A webroot that cannot be written ends the order."""
        self.publish_fails = PermissionError("webroot")
        result = self.begin()
        self.say(say="tokens", tokens={"t": "a"})
        self.reactor.end()
        self.assertIn("tokens could not be put", str(self.failureResultOf(result, OrderFailed).value))

    def test_no_process(self) -> None:
        """No memory for a child."""
        self.reactor.fails = OSError(12, "Cannot allocate memory")
        self.assertIn("Cannot allocate", str(self.failureResultOf(self.begin(), OrderFailed).value))

    def test_stop(self) -> None:
        """Stopping kills what runs."""
        result = self.begin()
        self.authority.stop()
        self.reactor.end(9)
        self.failureResultOf(result, OrderFailed)
        self.assertEqual(self.reactor.transport.signals[:1], ["KILL"])


class ChildTests(SynchronousTestCase):
    def run_child(self, outcome: Any) -> list[dict[str, Any]]:
        request = json.dumps({"names": ["mx.example", "b.example"]}) + "\n"
        out = io.StringIO()
        with mock.patch.object(
            child, "_order", side_effect=outcome if isinstance(outcome, Exception) else None, return_value=outcome
        ):
            code = child.main(io.StringIO(request), out)
        said = [json.loads(line) for line in out.getvalue().splitlines()]
        self.assertEqual(code, 0 if said[-1]["say"] == "certificate" else 1)
        return said

    def test_last_words(self) -> None:
        """A chain, or a reason in words with the names it concerns."""
        self.assertEqual(self.run_child("PEM"), [{"say": "certificate", "chain": "PEM"}])
        (said,) = self.run_child(ValueError("odd"))
        self.assertEqual((said["say"], said["reason"]), ("failed", "ValueError: odd"))
        rejected = messages.Error(typ="urn:ietf:params:acme:error:rejectedIdentifier", detail='not "b.example"')
        (said,) = self.run_child(rejected)
        self.assertEqual(said["names"], {"b.example": 'not "b.example"'})
        (said,) = self.run_child(messages.Error(typ="urn:ietf:params:acme:error:accountDoesNotExist", detail="gone"))
        self.assertTrue(said["forget_account"])
        (said,) = self.run_child(errors.TimeoutError())
        self.assertIn("in time", said["reason"])

    def test_nothing_heavy_stays(self) -> None:
        """The parent's half never imports the ACME library."""
        import subprocess

        code = "import sys; import mailbox_appliance.acme.keeper, mailbox_appliance.acme.child; print('acme' in sys.modules, 'josepy' in sys.modules, 'requests' in sys.modules)"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        self.assertEqual(done.stdout.split(), ["False"] * 3)


class DeployedTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.reactor = FakeReactor()

    def run_it(self) -> Deferred[tuple[str, str]]:
        facts = {"MAILAPPLIANCE_CERTIFICATE": "/c"}
        return Deferred.fromCoroutine(run_command(self.reactor, self.clock, ("reload", "nginx"), facts))

    def test_words(self) -> None:
        """Split as a shell would, without a shell."""
        self.assertEqual(read_command("systemctl reload 'a b'"), ("systemctl", "reload", "a b"))
        self.assertRaises(ValueError, read_command, "open 'quote")

    def test_done(self) -> None:
        """Its end and its last line; the certificate's place in its environment."""
        result = self.run_it()
        self.assertEqual(self.reactor.arguments, ["reload", "nginx"])
        self.assertEqual(self.reactor.environment["MAILAPPLIANCE_CERTIFICATE"], "/c")
        self.reactor.protocol.outReceived(b"one\ntwo\n")
        self.reactor.end()
        self.assertEqual(self.successResultOf(result), ("done", "two"))

    def test_ends_badly(self) -> None:
        """An exit code, a time limit, a program that is not there."""
        result = self.run_it()
        self.reactor.end(3)
        self.assertEqual(self.successResultOf(result)[0], "exit code 3")
        result = self.run_it()
        self.clock.advance(COMMAND_SECONDS + 1)
        self.assertEqual(self.reactor.transport.signals, ["KILL"])
        self.reactor.end(9)
        self.assertIn("was killed", self.successResultOf(result)[0])
        self.reactor.fails = OSError(2, "No such file")
        self.assertIn("No such file", self.successResultOf(self.run_it())[0])
