"""The process that judges and guesses passwords: ``python -m mailbox_appliance.users.strength.child``.

One JSON line in, JSON lines out. Secrets come by standard input, are kept in memory and never leave: an answer names an
account by its number and a kind of weakness. It leaves no core file, and guessing yields to everything else.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import sys
import time
from typing import IO, Any

from mailbox_appliance.users.strength.judge import everyday, judge, passphrases

NICE = 19
JUDGE_SECONDS = 20  # of processor time


def main(commands: IO[str], out: IO[str]) -> int:
    """Do what the first line asks. Returns 0."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    request: dict[str, Any] = json.loads(commands.readline())

    def say(what: str, **facts: Any) -> None:
        out.write(json.dumps({"say": what, **facts}) + "\n")
        out.flush()

    if request["do"] == "guess":
        _guess(request, say)
        return 0
    resource.setrlimit(resource.RLIMIT_CPU, (JUDGE_SECONDS, JUDGE_SECONDS))
    if request["do"] == "suggest":
        say("suggested", passphrases=passphrases(int(request["count"])))
    else:
        say("judged", why=judge(str(request["password"]), [str(word) for word in request["words"]]))
    return 0


def _guess(request: dict[str, Any], say: Any) -> None:
    from mailbox_appliance.users.hashing import hash_fits
    from mailbox_appliance.users.strength.candidates import shipped
    from mailbox_appliance.users.strength.crack import Cracking, Work

    _yield_to_others()

    works = [
        Work(int(one["account"]), str(one["hash"]), tuple(one["words"]), str(one["order"]), int(one["tried"]))
        for one in request["works"]
    ]
    Cracking(works, shipped(everyday()), hash_fits, time.monotonic, say).run(float(request["seconds"]))


def _yield_to_others() -> None:
    """The lowest priority; with it the disk's is the lowest too, which the kernel derives from niceness."""
    with contextlib.suppress(OSError, AttributeError):  # a sandbox may forbid it
        os.nice(NICE)
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


if __name__ == "__main__":
    try:
        code = main(sys.stdin, sys.stdout)
    except BrokenPipeError:  # whoever asked is gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = 0
    except Exception as error:  # noqa: BLE001 - its words might quote what nobody may read
        sys.stderr.write(f"{type(error).__name__}\n")
        code = 1
    sys.exit(code)
