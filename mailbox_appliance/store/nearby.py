"""Does a folder lie on a disk of this machine? There a stat of a path looked at a moment ago costs microseconds, and
the reactor may ask it; on a network file system it may wait for another machine, and only workers do.
"""

from __future__ import annotations

import os

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
                point = words[1].encode("utf-8", "surrogateescape").decode("unicode_escape")
                inside = wanted == point or wanted.startswith(point.rstrip("/") + "/")
                if inside and len(point) >= len(best):
                    best, kind = point, words[2]
    except OSError:
        return False
    return kind in _LOCAL
