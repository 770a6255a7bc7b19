"""docs/mail-flow.md tells what the border does: read here, and compared with the code and with a message."""

from __future__ import annotations

import enum
import ipaddress
import pathlib
import re

from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.mail.client import Client
from mailbox_appliance.queue.schedule import WAITS, Schedule
from mailbox_appliance.smtp import fields, limits, policy

PACKAGE = pathlib.Path(__file__).resolve().parents[2] / "mailbox_appliance"
TEXT = (pathlib.Path(__file__).resolve().parents[2] / "docs" / "mail-flow.md").read_text("utf-8")


def table(heading: str) -> list[list[str]]:
    """The rows of the table below a heading, cells without their backticks."""
    part = TEXT.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    rows = [line.strip("|").split("|") for line in part.splitlines() if line.startswith("|")]
    return [[cell.strip().strip("`") for cell in row] for row in rows[2:]]


class TenFilesTests(SynchronousTestCase):
    """A message can be followed with a finger."""

    def test_they_stand_and_are_short(self) -> None:
        """Ten files, each there, from the socket to the disk, and no longer than an evening."""
        names = [name for name, _ in table("The same in ten files")]
        self.assertEqual(len(names), 10)
        lengths = {name: len((PACKAGE / name).read_text("utf-8").splitlines()) for name in names}
        self.assertEqual({name: lines for name, lines in lengths.items() if lines > 420}, {})
        self.assertLess(sum(lengths.values()), 2600)


class PolicyTests(SynchronousTestCase):
    """Who may write as whom, and to whom."""

    def test_the_same_as_in_the_code(self) -> None:
        """Row by row, in the order in which they are looked at."""

        def listed(some: frozenset[policy.Sender] | frozenset[policy.Target], kind: type[enum.Enum], all: str) -> str:
            return all if some == frozenset(kind) else ", ".join(one.value for one in kind if one in some)

        expected = [
            [
                row.origin.value,
                listed(row.senders, policy.Sender, "anybody"),
                listed(row.targets, policy.Target, "anywhere"),
                row.action.value,
                row.reason,
            ]
            for row in policy.TABLE
        ]
        self.assertEqual(table("Who may write as whom, and to whom"), expected)


class TakenOutTests(SynchronousTestCase):
    """The list of removed fields."""

    def test_the_same_as_in_the_code(self) -> None:
        """Field by field, with from whom and when."""
        told = {(name.lower(), whom, when) for name, whom, when in table("Taken out at the border")}
        everybody, ours = "everybody", "your own people and devices"
        expected = {(name, everybody, "always") for name in fields.STRIPPED}
        expected |= {(f"{fields.STRIPPED_PREFIX}*", everybody, "always")}
        expected |= {(name, everybody, "when it bears our own name") for name in fields.STRIPPED_WHEN_OURS}
        expected |= {(name, ours, "always") for name in fields.STRIPPED_ON_SUBMISSION}
        self.assertEqual(told, expected)

    def test_nothing_else_is_removed(self) -> None:
        """A header block with every field of the table and many others: what the table names goes, the rest stays."""
        kept = [f"{name}: {name} mx.example.org\n" for name in OTHERS]
        doubtful = ["Authentication-Results: other.example; spf=pass\n", "Received-SPF: pass (other.example)\n"]
        for submission in (False, True):
            block, left = [], []
            for name, whom, when in table("Taken out at the border"):
                value = "mx.example.org; x" if when != "always" else "x"
                field = f"{name.replace('*', 'Anything')}: {value}\n"
                block += [kept[len(block) % len(kept)], field]
                left += [kept[(len(block) - 2) % len(kept)]]
                if whom != "everybody" and not submission:
                    left.append(field)
            whole = "".join([*block, *kept, *doubtful, "\n"]).encode()
            wanted = "".join([*left, *kept, *doubtful, "\n"]).encode()
            self.assertEqual(fields.strip_border_fields(whole, "mx.example.org", submission=submission), wanted)


OTHERS = (
    "Received", "Date", "From", "Sender", "To", "Cc", "Subject", "Message-ID", "DKIM-Signature", "ARC-Seal", "List-Id",
    "X-Mailer", "X-Spammer", "Bcc-Not", "Return-Path-To", "Delivered-To-You", "Resent-To", "MIME-Version", "Status",
)  # fmt: skip


class PutOnTopTests(SynchronousTestCase):
    """The list of added fields, and other figures of the document."""

    def test_added_fields_exist(self) -> None:
        """Each stands in the code; the border's own three are made here."""
        named = [name for name, _, _ in table("Put on top at the border")]
        client = Client(ipaddress.ip_address("192.0.2.1"), 1, "smtp", "a.test", True)
        made = fields.received_field(client, "mx", "t", 0.0, recipient="", smtputf8=False, hide_client=False)
        made += fields.date_field(0.0) + fields.message_id_field("t", "mx")[0]
        for octets in re.findall(rb"(?m)^([A-Za-z-]+):", made):
            self.assertIn(octets.decode(), named)
        package = pathlib.Path(fields.__file__).parents[1]
        code = "".join(path.read_text("utf-8") for path in package.rglob("*.py"))
        for name in named:
            self.assertTrue(re.search(rf"\b{name}\b", code, re.IGNORECASE), name)

    def test_figures(self) -> None:
        """Limits and waits are those of the code."""
        figures = limits.Limits()
        self.assertIn(f"larger than {figures.header_block >> 10} KiB", TEXT)
        self.assertIn(f"more than {figures.received_fields} `Received` fields", TEXT)
        self.assertIn(f"asks for {figures.unknown_recipients} unknown names", TEXT)
        schedule = Schedule()
        minutes = [round(wait * schedule.first_retry / 60) for wait in WAITS]
        self.assertEqual(minutes, [5, 5, 10, 15, 30, 60, 120, 240])
        self.assertIn(
            "after 5, 5, 10, 15 and 30 minutes, 1 and 2 hours, then every 4 hours, for 5 days", " ".join(TEXT.split())
        )
        self.assertEqual((schedule.give_up, schedule.delay_notice), (5 * 86400, 4 * 3600))
