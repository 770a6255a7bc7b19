"""README and the map in the package's docstring tell the truth about the tree."""

from __future__ import annotations

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import mailbox_appliance
from mailbox_appliance.config.read import parse

TOP = Path(__file__).resolve().parents[2]
PACKAGE = TOP / "mailbox_appliance"


def parts() -> set[str]:
    """Every folder and module of the package's first level."""
    return {
        path.stem
        for path in PACKAGE.iterdir()
        if (path.is_dir() and (path / "__init__.py").exists()) or (path.suffix == ".py" and path.stem != "__init__")
    }


class ReadmeTests(SynchronousTestCase):
    """What the new owner reads first."""

    def setUp(self) -> None:
        self.readme = (TOP / "README.md").read_text("utf-8")

    def test_map(self) -> None:
        """README's table and the docstring's map name every part, and none that is not there."""
        table = self.readme.partition("| floor |")[2].partition("Tests mirror")[0]
        named = {name.removesuffix(".py").rstrip("/") for name in re.findall(r"`([a-z_]+(?:/|\.py))`", table)}
        self.assertEqual(named, parts())
        words = set(re.findall(r"[a-z_]+", mailbox_appliance.__doc__ or ""))
        self.assertEqual(parts() - words, set())

    def test_links(self) -> None:
        """Every file that README names is there."""
        for target in re.findall(r"\]\(([^)#]+)\)", self.readme):
            self.assertTrue((TOP / target).exists(), target)

    def test_configuration(self) -> None:
        """The file of the five-minute set-up is understood."""
        blocks = re.findall(r"```toml\n(.*?)```", self.readme, re.DOTALL)
        self.assertEqual(len(blocks), 3)
        text = re.sub(r"(?m)^   ", "", "\n".join(blocks))
        config, complaints = parse(text)
        self.assertEqual(complaints, [])
        assert config is not None
        self.assertEqual(config.hostname, "mail.example.org")
        self.assertEqual(config.relay.route, "smarthost")
        self.assertTrue(config.checks.enabled)
        self.assertEqual([endpoint.port for endpoint in config.listen.https], [443, 443])

    def test_commands(self) -> None:
        """Every mailappliance command in README exists."""
        from mailbox_appliance.admin.verbs import VERBS

        names = {verb.name for verb in VERBS}
        said = re.findall(
            r"mailappliance ((?:domain|account|relay|status|trace|config|queue)(?: [a-z]+)?)", self.readme
        )
        self.assertGreater(len(said), 5)
        for command in said:
            self.assertTrue(command in names or command.split()[0] in names, command)
