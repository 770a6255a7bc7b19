"""Does a folder lie on a disk of this machine? There a stat of a path looked at a moment ago costs microseconds, and
the reactor may ask it; on a network file system it may wait for another machine, and only workers do.
"""

from __future__ import annotations

import os
import re

_ESCAPED = re.compile(r"\\(0[0-7]{2}|1[0-7]{2})")  # blanks, tabs, line ends and backslashes (proc(5), fstab(5))
_LOCAL = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "zfs", "tmpfs", "overlay", "bcachefs", "jfs"})


def is_nearby(path: str, mounts: str = "/proc/self/mounts") -> bool:
    """True only for file systems known to be local. Blocks; for start-up."""
    wanted = os.path.realpath(path)
    best = ""
    kind = ""
    try:
        with open(mounts, encoding="utf-8", errors="surrogateescape") as file:
            for line in file:
                words = line.split(" ")
                if len(words) < 3:
                    continue
                point = _ESCAPED.sub(lambda found: chr(int(found[1], 8)), words[1])
                inside = wanted == point or wanted.startswith(point.rstrip("/") + "/")
                if inside and len(point) >= len(best):
                    best, kind = point, words[2]
    except OSError:
        return False
    return kind in _LOCAL
