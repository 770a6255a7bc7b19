"""The RFC 7208 test suite, all of it, when $MAILAPPLIANCE_VECTORS names the folder of public vectors."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.client import peer_address
from mailbox_appliance.mailauth import spf
from mailbox_appliance.mailauth.lookups import Answers, Question, settle
from mailbox_appliance.ports.dns import Answer, Status


def vectors(folder: str) -> Path:
    """The folder of public vectors; skips the test without it."""
    root = os.environ.get("MAILAPPLIANCE_VECTORS", "")
    if not root or not (Path(root) / folder).is_dir():
        raise SkipTest(f"$MAILAPPLIANCE_VECTORS names no folder with {folder}")
    return Path(root) / folder


class ZoneData:
    """The suite's zonedata as look-ups: TIMEOUT entries never answer, SPF entries stand for TXT as well."""

    def __init__(self, zonedata: dict[str, list[Any]]) -> None:
        self.zone = {name.lower(): entries for name, entries in zonedata.items()}

    def look_up(self, question: Question, depth: int = 0) -> Answer:
        name, rdtype = question
        entries = self.zone.get(name)
        if entries is None:
            return Answer(Status.NXDOMAIN)
        has_txt = any(isinstance(entry, dict) and "TXT" in entry for entry in entries)
        found: list[object] = []
        for entry in entries:
            if entry == "TIMEOUT":
                if found:  # only what stands behind it times out
                    break
                return Answer(Status.TEMPERROR, reason="timed out")
            ((kind, value),) = entry.items()
            if kind == "SPF" and not has_txt:
                kind = "TXT"
            if kind == "CNAME" and rdtype != "CNAME":
                if depth > 9:
                    return Answer(Status.TEMPERROR, reason="too many aliases")
                return self.look_up((value.lower().rstrip("."), rdtype), depth + 1)
            if kind != rdtype or value == "NONE":
                continue
            if value == "TIMEOUT":
                return Answer(Status.TEMPERROR, reason="timed out")
            if kind == "TXT":
                strings = value if isinstance(value, list) else [value]
                found.append(b"".join(text.encode("latin-1" if _fits(text) else "utf-8") for text in strings))
            elif kind == "MX":
                found.append((value[0], value[1].lower().rstrip(".")))
            else:
                found.append(value.lower().rstrip(".") if kind == "PTR" else value)
        return Answer(Status.OK if found else Status.NODATA, tuple(found))

    async def ask(self, questions: tuple[Question, ...]) -> tuple[Answer, ...]:
        return tuple(self.look_up(question) for question in questions)


def _fits(text: str) -> bool:
    return all(ord(sign) < 256 for sign in text)


class SpfSuiteTests(SynchronousTestCase):
    """check_host() gives one of the results that the suite allows."""

    def test_suite(self) -> None:
        """203 of 203."""
        path = vectors("spf-rfc7208") / "rfc7208-tests.yml"
        import yaml

        passed, wrong = 0, []
        for document in yaml.safe_load_all(path.read_text("utf-8")):
            zone = ZoneData(document["zonedata"])
            for name, case in document["tests"].items():
                result = self.successResultOf(self.run_case(case, zone))
                allowed = case["result"] if isinstance(case["result"], list) else [case["result"]]
                if result.result in allowed:
                    passed += 1
                else:
                    wrong.append(f"{name}: {result.result} ({result.reason}) instead of {case['result']}")
        self.assertEqual(wrong, [])
        self.assertEqual(passed, 203)

    def run_case(self, case: dict[str, Any], zone: ZoneData) -> Any:
        from twisted.internet.defer import Deferred

        client, helo = peer_address(case["host"]), str(case["helo"])
        sender = str(case["mailfrom"])
        local, _, domain = sender.rpartition("@")
        path = None if not sender else Address(local or "postmaster", domain)

        return Deferred.fromCoroutine(
            settle(lambda answers: spf.check_mail_from(client, path, helo, answers), Answers(), zone.ask)
        )
