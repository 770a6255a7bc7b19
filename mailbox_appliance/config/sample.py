"""The commented sample file, made of the table of keys: ``mailappliance config sample``, etc/mailappliance.toml."""

from __future__ import annotations

import textwrap

from mailbox_appliance.config.keys import KEYS, SECTION_TEXTS, Key

_HEAD = """\
# mailappliance: the machine and its network. People and addresses live in the user database (mailappliance account …).
# Only hostname must be set; every other line shows a default, or an example where there is none.
# After a change: mailappliance config check && mailappliance reload
"""


def sample() -> str:
    """The whole text."""
    lines = [_HEAD]
    section: str | None = None
    for key in KEYS:
        if key.section != section:
            section = key.section
            if section:
                # Some section lines are comments: the presence of [acme] orders certificates.
                lines.append(f"\n# {SECTION_TEXTS[section]}")
                lines.append(f"#{key.heading}" if section == "acme" or "*" in section else key.heading)
        lines += _about(key)
    return "\n".join(lines).replace("\n\n\n", "\n\n") + "\n"


def _about(key: Key) -> list[str]:
    lines = [f"# {line}" for line in textwrap.wrap(key.explanation, 116)]
    if key.path == "hostname":
        return [*lines, f"hostname = {key.example}"]
    return [*lines, f"#{key.name} = {key.default or key.example}"]
