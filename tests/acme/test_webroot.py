"""[acme] webroot: another web server must be able to read what we put there, whatever our umask is."""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.acme.orders import _remove_tokens, _write_tokens


class WebrootTests(SynchronousTestCase):
    """Tokens below a folder of somebody else's."""

    def test_readable(self) -> None:
        """Folders 0755 and files 0644 under our umask of 077; folders that were there stay as they are."""
        webroot = os.path.abspath(self.mktemp())
        os.makedirs(os.path.join(webroot, ".well-known"), 0o700)
        self.addCleanup(os.umask, os.umask(0o077))
        _write_tokens(webroot, {"token": "answer"})
        folder = os.path.join(webroot, ".well-known", "acme-challenge")
        modes = [os.stat(path).st_mode & 0o777 for path in (os.path.dirname(folder), folder, f"{folder}/token")]
        self.assertEqual(modes, [0o700, 0o755, 0o644])
        _write_tokens(webroot, {"other": "answer"})
        _remove_tokens(webroot, {"token": "", "never": ""})
        self.assertEqual(os.listdir(folder), ["other"])
