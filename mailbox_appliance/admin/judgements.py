"""What the checks told the journal of one message, read again and said to a person: for ``spam why`` and ``trace``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mailbox_appliance.checks.verdict import DONE
from mailbox_appliance.journal.lines import parse_facts
from mailbox_appliance.mail.verdict import Action

JUDGED, JUDGED_FOR = "checks.judged", "checks.judged_for"
_PIECE = re.compile(r"(\S+) (.*?)(?: ([+-][0-9.]+))?(?:: (.*))?", re.DOTALL)


def finding(facts_text: str) -> dict[str, Any]:
    """One judgement: whose, what was done and why, each check with its figure, what would have changed it."""
    facts = parse_facts(facts_text)
    rows = []
    for piece in facts.get("evidence", "").split(","):
        match = _PIECE.fullmatch(piece)
        if match is not None:
            figure = float(match[3] or 0.0)
            rows.append({"check": match[1], "result": match[2], "figure": figure, "reason": match[4] or ""})
    found = {
        "whose": facts.get("account", "the message"),
        "verdict": facts.get("action", ""),
        "score": float(facts.get("score", "0") or 0),
        "reason": facts.get("reason", ""),
        "checks": rows,
        "otherwise": [one for one in facts.get("otherwise", "").split(",") if one],
    }
    return found | {name: facts[name] for name in ("peer", "sender", "author") if name in facts}


def told(found: Mapping[str, Any]) -> list[str]:
    """The same as lines: a head, a line for each check, what would have changed it."""
    who = "for everybody" if found["whose"] == "the message" else f"for {found['whose']}"
    lines = [f"{who}: {done(found['verdict'])}, with {found['score']:g} points"]
    if found["reason"] and " points of " not in found["reason"]:
        lines[0] += f", because of {found['reason']}"
    for row in found["checks"]:
        figure = f"{row['figure']:+.1f}" if row["figure"] else ""
        lines.append(f"  {figure:>6}  {row['check']} {row['result']}" + (f": {row['reason']}" if row["reason"] else ""))
    lines += [f"          {one}" for one in found["otherwise"]]
    return [harmless(line) for line in lines]


def done(action: str) -> str:
    """What was done, in words."""
    try:
        return DONE[Action(action)]
    except ValueError:
        return action


def harmless(line: str) -> str:
    """Without what would steer a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in line)
