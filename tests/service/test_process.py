"""The process: giving up root, systemd's ear, the open-files limit, the measure of lateness."""

from __future__ import annotations

import gc
import os
import resource
import socket
import subprocess
import sys
from typing import Any
from unittest import mock

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance import process


class LeaveRootTests(SynchronousTestCase):
    """Who the service goes on as, once its ports are bound."""

    def as_root(self, owner: int, *, loopback_only: bool) -> tuple[str, list[mock._Call]]:
        """What is said and done when root starts a service whose state ``owner`` owns."""
        calls = mock.Mock()
        state = os.stat_result((0o40700, 0, 0, 1, owner, owner + 1, 0, 0, 0, 0))
        with (
            mock.patch.object(process.os, "geteuid", return_value=0),
            mock.patch.object(process.os, "stat", return_value=state),
            mock.patch.object(process.os, "initgroups", calls.initgroups),
            mock.patch.object(process.os, "setgroups", calls.setgroups),
            mock.patch.object(process.os, "setresgid", calls.setresgid),
            mock.patch.object(process.os, "setresuid", calls.setresuid),
            mock.patch.object(process.pwd, "getpwuid", self.name_of),
        ):
            return process.leave_root("/var/lib/m", loopback_only=loopback_only), calls.mock_calls

    def name_of(self, uid: int) -> Any:
        if uid == 5000:
            raise KeyError(uid)
        return mock.Mock(pw_name="mailuser")

    def test_a_user_stays_that_user(self) -> None:
        """Nothing is done and nothing is said for whoever is not root."""
        with mock.patch.object(process.os, "geteuid", return_value=1000):
            self.assertEqual(process.leave_root("/nowhere", loopback_only=False), "")

    def test_becomes_the_owner_of_the_state(self) -> None:
        """Groups go first, then the group, then the user: real, effective and saved, so there is no way back."""
        said, done = self.as_root(995, loopback_only=False)
        self.assertIn("became uid 995", said)
        self.assertEqual(
            done,
            [mock.call.initgroups("mailuser", 996), mock.call.setresgid(996, 996, 996),
             mock.call.setresuid(995, 995, 995)],
        )  # fmt: skip

    def test_an_owner_without_a_name(self) -> None:
        """A container's user that /etc/passwd does not know has no further groups."""
        said, done = self.as_root(5000, loopback_only=False)
        self.assertIn("became uid 5000", said)
        self.assertEqual(done[0], mock.call.setgroups([5001]))

    def test_root_only_for_a_trial(self) -> None:
        """Root's own state: a service that others can reach does not start, and says what to do."""
        said, done = self.as_root(0, loopback_only=True)
        self.assertEqual(done, [])
        self.assertIn("only this machine can reach", said)
        with self.assertRaises(process.StillRoot) as caught:
            self.as_root(0, loopback_only=False)
        self.assertIn("chown -R USER:GROUP /var/lib/m", str(caught.exception))

    def test_for_good(self) -> None:
        """For real, in a process of its own: root cannot be had back."""
        if os.geteuid() != 0:
            self.skipTest("only root can give root up")
        folder = os.path.abspath(self.mktemp())
        os.mkdir(folder)
        os.chown(folder, 65534, 65534)
        done = subprocess.run(
            [sys.executable, "-c", _GIVE_UP, folder], capture_output=True, text=True, check=False,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )  # fmt: skip
        self.assertEqual((done.stdout, done.stderr), ("(65534, 65534, 65534) (65534, 65534, 65534) refused\n", ""))


_GIVE_UP = """
import os, sys
from mailbox_appliance.process import leave_root
leave_root(sys.argv[1], loopback_only=True)
try:
    os.seteuid(0)
    said = "root again"
except PermissionError:
    said = "refused"
print(os.getresuid(), os.getresgid(), said)
"""


class SystemdTests(SynchronousTestCase):
    """sd_notify(3)."""

    def test_told(self) -> None:
        """One datagram to the socket named by the environment, by path or by abstract name."""
        folder = os.path.abspath(self.mktemp())
        os.mkdir(folder)
        here = os.getcwd()
        self.addCleanup(os.chdir, here)
        os.chdir(folder)
        abstract = f"@mailappliance-test-{os.getpid()}"
        for name, bound in ((os.path.join(folder, "n"), "n"), (abstract, "\0" + abstract[1:])):
            if len(name) > 100:
                continue
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
                ear.bind(bound)
                self.assertTrue(process.tell_systemd("READY=1", {"NOTIFY_SOCKET": name}))
                self.assertEqual(ear.recv(100), b"READY=1")

    def test_nobody_listens(self) -> None:
        """Without a service manager, or with one that went away, nothing happens."""
        for environ in ({}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:1"}, {"NOTIFY_SOCKET": "/nowhere/at/all"}):
            self.assertFalse(process.tell_systemd("READY=1", environ))


class LimitTests(SynchronousTestCase):
    """raise_descriptor_limit"""

    def limits(self, soft: int, hard: int, wanted: int) -> tuple[int, list[Any]]:
        changed: list[Any] = []
        with (
            mock.patch.object(process.resource, "getrlimit", return_value=(soft, hard)),
            mock.patch.object(process.resource, "setrlimit", lambda what, pair: changed.append(pair)),
        ):
            return process.raise_descriptor_limit(wanted), changed

    def test_as_far_as_allowed(self) -> None:
        """The soft limit rises to what is wanted, never above the hard one, and is never lowered."""
        self.assertEqual(self.limits(1024, 4096, 8192), (4096, [(4096, 4096)]))
        self.assertEqual(self.limits(1024, resource.RLIM_INFINITY, 8192), (8192, [(8192, resource.RLIM_INFINITY)]))
        self.assertEqual(self.limits(65536, 65536, 8192), (65536, []))
        self.assertEqual(self.limits(resource.RLIM_INFINITY, resource.RLIM_INFINITY, 8192)[1], [])


class MemoryTests(SynchronousTestCase):
    """give_memory_back"""

    def test_told(self) -> None:
        """glibc is told where large blocks begin and how many heaps there may be; another C library has no such call."""
        libc = mock.Mock(mallopt=mock.Mock(return_value=1))
        with mock.patch.object(process.ctypes, "CDLL", return_value=libc):
            self.assertTrue(process.give_memory_back())
        self.assertEqual(libc.mallopt.call_args_list, [mock.call(-3, 262_144), mock.call(-8, 2)])
        with mock.patch.object(process.ctypes, "CDLL", return_value=object()):
            self.assertFalse(process.give_memory_back())


class SettleTests(SynchronousTestCase):
    """settle"""

    def test_collector_and_switch_interval(self) -> None:
        """What was imported is frozen and threads switch early."""
        self.addCleanup(sys.setswitchinterval, sys.getswitchinterval())
        self.addCleanup(gc.set_threshold, *gc.get_threshold())
        self.addCleanup(gc.unfreeze)
        process.settle()
        self.assertEqual(round(sys.getswitchinterval(), 4), process.SWITCH_INTERVAL)
        self.assertGreater(gc.get_freeze_count(), 1000)


class ClockTests(SynchronousTestCase):
    """odd_clock"""

    NOW = process.PROGRAM_MADE + 100 * process.DAY

    def test_words(self) -> None:
        """1970, or long before the last run; a clock set back by hours, or a first run, is nothing to talk about."""
        self.assertIn("before this program was made; set it", process.odd_clock(86_400.0, 0.0))
        self.assertIn("10 day(s) before the last run", process.odd_clock(self.NOW, self.NOW + 10 * process.DAY))
        for last_run in (0.0, self.NOW - 1000 * process.DAY, self.NOW + 7200):
            self.assertEqual(process.odd_clock(self.NOW, last_run), "")

    def test_last_change(self) -> None:
        """Of a file; of none, long ago."""
        path = self.mktemp()
        self.assertEqual(process.last_change(path), 0.0)
        with open(path, "w"):
            pass
        os.utime(path, (5, 1234))
        self.assertEqual(process.last_change(path), 1234.0)


class LatenessTests(SynchronousTestCase):
    """How late a timer is called."""

    def test_longest(self) -> None:
        """The longest lateness since the last reset; a stop ends it."""
        clock = Clock()
        lateness = process.Lateness(clock)
        lateness.start()
        for seconds in (0.01, 0.05, 0.01):
            clock.advance(seconds)
        self.assertAlmostEqual(lateness.reset(), 0.04)
        clock.advance(0.03)
        self.assertAlmostEqual(lateness.reset(), 0.02)
        lateness.stop()
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_told_each_second(self) -> None:
        """After the start, once a second; a stop ends both timers, and one before the first word as well."""
        clock = Clock()
        lateness = process.Lateness(clock)
        told: list[float] = []
        lateness.tell_each_second(told.append)
        clock.advance(2)
        clock.advance(0.11)
        for _ in range(200):
            clock.advance(0.01)
        self.assertEqual([round(late, 2) for late in told], [0.1, 0.0])
        lateness.stop()
        self.assertEqual(clock.getDelayedCalls(), [])
        lateness.tell_each_second(told.append)
        lateness.stop()
        self.assertEqual(clock.getDelayedCalls(), [])
