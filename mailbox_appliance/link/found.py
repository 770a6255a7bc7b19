"""Was a message delivered just before the store was killed? Its file may be there without the row that remembers it.

Asked only of what the edge says may have come before: the names of younger files are looked at, of these the header
for the Received field that carries the edge's id. Blocking: for a worker thread.
"""

from __future__ import annotations

import contextlib
import os
import re

LONGEST_HEADER = 65_536
MARGIN = 3600.0  # seconds by which clocks of edge and store may differ
MOST_FILES = 20_000


def is_in_maildir(maildir: str, id: str, since: float) -> bool:
    """Is there a message with this id in any folder, delivered after ``since``?"""
    mark = re.compile(rb"\n[ \t]id " + re.escape(id.encode("ascii", "replace")) + rb"[\s;]")
    looked = 0
    for folder in _folders(maildir):
        for kind in ("new", "cur"):
            with contextlib.suppress(OSError), os.scandir(os.path.join(folder, kind)) as entries:
                for entry in entries:
                    if not _is_younger(entry.name, since - MARGIN):
                        continue
                    looked += 1
                    if looked > MOST_FILES:
                        return False
                    with contextlib.suppress(OSError), open(entry.path, "rb") as file:
                        if mark.search(file.read(LONGEST_HEADER)):
                            return True
    return False


def _folders(maildir: str) -> list[str]:
    found = [maildir]
    with contextlib.suppress(OSError), os.scandir(maildir) as entries:
        found += [entry.path for entry in entries if entry.name.startswith(".") and entry.is_dir()]
    return found


def _is_younger(name: str, moment: float) -> bool:
    second = name.partition(".")[0]
    return second.isascii() and second.isdigit() and int(second[:12]) >= moment
