"""password audit|suggest: what the command line's own process does about passwords.

A child of it guesses and yields to everything else; what is found goes to whoever keeps the accounts.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from typing import IO, Any, Protocol

from mailbox_appliance.admin.result import Refused, Result
from mailbox_appliance.admin.verb import Arguments

MOST_SUGGESTED = 50
MOST_MINUTES = 7 * 24 * 60
MINUTES = 10
SAVE_EVERY = 30  # progress lines, one a second


class Outside(Protocol):
    """What the command line gives: where STATE is, whom to ask, whom to tell."""

    def state(self) -> str:
        """STATE. Raises Refused, ConfigWrong."""

    def ask(self, noun: str, verb: str, arguments: Mapping[str, Any]) -> Result:
        """Have the keeper of the accounts do it. Raises Refused."""

    def close(self) -> None:
        """Nobody is asked for a while."""

    def show(self, line: str, *, passing: bool = False) -> None:
        """A line for the eye; ``passing``: the next one takes its place."""


class GuessingDesk:
    """password audit|suggest"""

    def __init__(self, outside: Outside) -> None:
        self._outside = outside

    async def suggest(self, arguments: Arguments) -> Result:
        """Passphrases made by chance; nobody keeps them."""
        from mailbox_appliance.users.strength.judge import passphrases

        made = passphrases(_number(arguments, "count", 5, MOST_SUGGESTED))
        return Result(tuple(made), data=made)

    async def audit(self, arguments: Arguments) -> Result:
        """Guess at the hashes for some minutes."""
        seconds = 60 * _number(arguments, "minutes", MINUTES, MOST_MINUTES)
        works = self._ask("work", address=str(arguments.get("account") or ""))
        if not works:
            return Result(("there is no password to guess at: all that are left are known to be weak",), data=[])
        pass_ = _Pass(self._outside, self._ask, works)
        with contextlib.suppress(KeyboardInterrupt), _child(self._outside.state()) as (commands, answers):
            asked = [{name: one[name] for name in ("account", "hash", "words", "order", "tried")} for one in works]
            commands.write(json.dumps({"do": "guess", "seconds": seconds, "works": asked}) + "\n")
            commands.close()
            for line in answers:
                pass_.hear(json.loads(line))
        pass_.save()
        return pass_.result()

    def _ask(self, verb: str, **arguments: Any) -> Any:
        try:
            return self._outside.ask("password", verb, arguments).data
        finally:
            self._outside.close()  # a service may be started meanwhile


class _Pass:
    """What the child has said so far."""

    def __init__(self, outside: Outside, ask: Any, works: list[dict[str, Any]]) -> None:
        self._outside = outside
        self._ask = ask
        self._works = {one["account"]: one for one in works}
        self._tried: dict[str, list[Any]] = {}
        self._heard = 0
        self._guesses = 0
        self._weak: list[dict[str, str]] = []

    def hear(self, said: dict[str, Any]) -> None:
        """One line."""
        work = self._works.get(said.get("account", 0))
        if said["say"] == "found" and work is not None:
            words = self._ask("found", account=work["account"], version=work["version"], kind=said["how"])["words"]
            self._weak.append({"account": work["name"], "kind": said["how"]})
            self._outside.show(f"{work['name']}: the password is {words}")
        elif said["say"] == "through" and work is not None:
            self._outside.show(f"{work['name']}: everything was tried, nothing fitted")
        elif "tried" in said:
            self._tried, self._guesses = said["tried"], said["guesses"]
            self._heard += 1
            if self._heard % SAVE_EVERY == 0:
                self.save()
            rate = self._guesses / self._heard
            words = (
                f"{len(self._works)} account(s), {self._guesses} guesses, {rate:.0f} a second, {len(self._weak)} weak"
            )
            self._outside.show(words, passing=True)

    def save(self) -> None:
        """So that the next pass goes on from here."""
        places = [[int(number), self._works[int(number)]["version"], *place] for number, place in self._tried.items()]
        self._ask("tried", places=places)

    def result(self) -> Result:
        """The report: accounts and kinds, never a password."""
        facts = {
            "accounts": len(self._works), "guesses": self._guesses, "seconds": self._heard, "weak": len(self._weak)
        }  # fmt: skip
        self._ask("end", **facts)
        lines = [f"{self._guesses} guesses at the passwords of {len(self._works)} account(s) in {self._heard} s"]
        lines += [f"weak: {one['account']}" for one in self._weak] or [
            "none was guessed; the next pass goes on from here"
        ]
        if self._weak:
            lines.append(
                "they send from the networks at home only until they are changed: mailappliance account password"
            )
        return Result(tuple(lines), data={**facts, "weak": self._weak})


@contextlib.contextmanager
def _child(state: str) -> Iterator[tuple[IO[str], IO[str]]]:
    """The guessing process; as root it goes on as the owner of STATE. It ends with us, whatever happens."""
    from mailbox_appliance.users.strength.spawned import child_command, child_environment

    owner = os.stat(state)
    drop: dict[str, Any] = {}
    if os.geteuid() == 0 and owner.st_uid != 0:
        drop = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}
    try:
        process = subprocess.Popen(
            child_command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=child_environment(),
            start_new_session=True, cwd="/", **drop,
        )  # fmt: skip
    except OSError as error:
        raise Refused(f"no process could be started: {error.strerror}") from None
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield process.stdin, process.stdout
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def _number(arguments: Arguments, name: str, default: int, most: int) -> int:
    text = str(arguments.get(name) or default)
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= most):
        raise Refused(f"{name}: a number from 1 to {most}")
    return int(text)
