"""Every benchmark once, small: shows that they run, not how fast we are.  python -m bench.smoke"""

from __future__ import annotations

import subprocess
import sys


def main() -> int:
    for command in (
        ("bench.imap", "-n", "500", "--only", "select,fetch,search", "--no-peer"),
        ("bench.smtp", "-n", "200", "--sessions", "5", "--no-peer"),
        ("bench.memory",),
    ):
        print("$ python -m", *command, flush=True)
        if subprocess.run([sys.executable, "-m", *command], check=False).returncode:
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
