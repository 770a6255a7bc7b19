"""What a start does not import: parts for another role, for rare questions, for what the config does not ask for."""

from __future__ import annotations

import os
import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

# prefix of a module: who imports it, and when
LATER = {
    "mailbox_appliance.admin.dispatch": "assembly.desks, at the first question of the command line",
    "mailbox_appliance.admin.verbs": "assembly.desks",
    "mailbox_appliance.assembly.desks": "the service, at the first question",
    "mailbox_appliance.assembly.edge": "stations, in an edge",
    "mailbox_appliance.assembly.store": "stations, in a store",
    "mailbox_appliance.link.": "both halves of a pair",
    "mailbox_appliance.checks.stages": "assembly.evidence, when checks are on",
    "mailbox_appliance.scanners.station": "assembly.evidence, when the config names scanners",
    "mailbox_appliance.importing.": "the desk of `import`",
    "mailbox_appliance.cli.": "the command line itself",
    "acme.": "a child process",
    "josepy": "a child process",
    "zxcvbn": "a child process",
    "rich": "the command line itself",
    "click": "the command line itself",
    "publicsuffixlist": "the first organizational domain",
    "defusedxml": "the first report",
    "imapclient": "`import`",
    "email.policy": "`account undelete`",
    "twisted.protocols.amp": "the first question of the command line",
    "twisted.conch": "nobody",
    "twisted.mail": "nobody",
    "unittest": "nobody",
    "xml.": "the first report",
}
START = """
import sys
from twisted.internet import reactor
from mailbox_appliance import service
from mailbox_appliance.config.read import load
service.ApplianceService(load(sys.argv[1]), reactor)
print("\\n".join(sys.modules))
"""


class StartTests(SynchronousTestCase):
    """The service built, in a process of its own."""

    def test_imported(self) -> None:
        """Nothing that can come later is there: each megabyte counts on a small machine."""
        folder = os.path.abspath(self.mktemp())
        os.makedirs(folder)
        path = os.path.join(folder, "mailappliance.toml")
        with open(path, "w") as file:
            file.write(f'hostname = "mx.example.test"\nstate = "{folder}/state"\n')
        done = subprocess.run(
            [sys.executable, "-c", START, path], capture_output=True, text=True, timeout=60, check=False
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        modules = done.stdout.split()
        self.assertIn("mailbox_appliance.smtp.session", modules)
        found = {
            f"{module}: {when} imports it"
            for module in modules
            for prefix, when in LATER.items()
            if f"{module}.".startswith(prefix if prefix.endswith(".") else f"{prefix}.") or module == prefix
        }
        self.assertEqual(found, set())
