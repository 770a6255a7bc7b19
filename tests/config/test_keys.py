"""The table of keys, the model, the sample file: three views of one thing."""

from __future__ import annotations

import dataclasses
import pathlib
import re
import tomllib

from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.config.keys import BY_PATH, KEYS, NOT_YET, SECTION_TEXTS
from mailbox_appliance.config.model import SECTIONS, Config, Device, NextHost, Scanner
from mailbox_appliance.config.read import parse
from mailbox_appliance.config.sample import sample

ETC = pathlib.Path(__file__).resolve().parents[2] / "etc"


# Keys that are nothing without another one.
TOGETHER = (
    "hostname",
    "relay.user",
    "relay.password_file",
    "relay.fallback_after",
    "relay.socks_user",
    "relay.socks_password_file",
    "tls.certificate",
    "tls.key",
    "listen.link",
    "listen.submission_at",
)


def value_at(config: Config, path: str) -> object:
    value: object = config
    for name in path.split("."):
        if name == "*":
            value = {"devices": Device, "scanners": Scanner}.get(path.partition(".")[0], NextHost)()
        else:
            value = getattr(value, name)
    return value


class KeysTests(SynchronousTestCase):
    """Nothing is said twice in two ways."""

    def test_every_key_has_its_field(self) -> None:
        """The table and the dataclasses name the same keys."""
        fields = {"hostname", "state", "role"}
        for section, kind in SECTIONS.items():
            fields |= {f"{section}.{field.name}" for field in dataclasses.fields(kind)}
        for table in ("relay.domains", "relay.senders"):
            fields |= {f"{table}.*.{field.name}" for field in dataclasses.fields(NextHost)}
        for table, kind in (("devices", Device), ("scanners", Scanner)):
            fields |= {f"{table}.*.{field.name}" for field in dataclasses.fields(kind)}
        self.assertEqual(set(BY_PATH), fields - {"acme.wanted", "relay.domains", "relay.senders"})
        self.assertEqual(len(KEYS), len(BY_PATH))
        tables = {"relay.domains.*", "relay.senders.*", "devices.*", "scanners.*"}
        self.assertEqual(set(SECTION_TEXTS), {"", *SECTIONS, *tables})

    def test_defaults_agree(self) -> None:
        """A default in the table is the default of the model."""
        plain = Config("mail.example.org")
        for key in KEYS:
            if key.path == "hostname":
                continue
            expected = value_at(plain, key.path)
            if key.default:
                self.assertEqual(key.read(tomllib.loads(f"x = {key.default}")["x"]), expected, key.path)
            else:
                self.assertIn(expected, ("", None, ()), key.path)

    def test_examples_are_right(self) -> None:
        """Every example can be read, alone in a file with the host name."""
        for key in KEYS:
            if key.path in TOGETHER or (".*." in key.path and key.name != "host"):
                continue
            head = 'hostname = "mail.example.org"\n' if key.section else ""
            body = f"{key.heading}\n{key.name} = {key.example}\n" if key.section else f"{key.name} = {key.example}\n"
            if not key.section:
                head, body = 'hostname = "mail.example.org"\n' + body, ""
            _, complaints = parse(head + body)
            self.assertEqual(complaints, [], key.path)

    def test_explanations(self) -> None:
        """One or two sentences each, ending like sentences."""
        for key in KEYS:
            self.assertTrue(key.explanation.endswith("."), key.path)

    def test_not_yet_names_keys(self) -> None:
        """What is refused for now is in the table, and its default is not refused."""
        for path, beyond, _ in NOT_YET:
            self.assertFalse(beyond(value_at(Config("a.example"), path)), path)
            self.assertIn(path, BY_PATH)


class SampleTests(SynchronousTestCase):
    """etc/mailappliance.toml."""

    def test_sample_is_the_file(self) -> None:
        """`config sample` prints the file."""
        self.assertEqual((ETC / "mailappliance.toml").read_text("utf-8"), sample())

    def test_sample_means_the_defaults(self) -> None:
        """Taken as it stands, it changes no default."""
        config, complaints = parse(sample(), "/etc/x.toml")
        self.assertEqual(complaints, [])
        self.assertEqual(config, Config("mail.example.org", path="/etc/x.toml", stated=frozenset({"hostname"})))

    def test_every_key_is_shown(self) -> None:
        """Each key has a line, below its section."""
        section = ""
        shown = set()
        for line in sample().splitlines():
            bare = line.lstrip("#")
            if bare.startswith("[") and bare.endswith("]"):
                section = re.sub(r'"example.org"|(?<=devices\.)scanner|(?<=scanners\.)rspamd', "*", bare[1:-1]) + "."
            elif " = " in bare and not bare.startswith(" "):
                shown.add(section + bare.split(" = ")[0])
        self.assertEqual(shown, set(BY_PATH))

    def test_lines_fit(self) -> None:
        """It can be read in a terminal."""
        self.assertLess(max(map(len, sample().splitlines())), 121)
