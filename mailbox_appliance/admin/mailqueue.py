"""What waits to leave: queue list|show|retry|hold|release|drop|flush."""

from __future__ import annotations

from typing import Any

from mailbox_appliance.admin.result import Refused, Result, listing
from mailbox_appliance.admin.verb import Arguments
from mailbox_appliance.admin.words import (
    domain_argument,
    iso_moment,
    list_argument,
    moment_words,
    size_words,
    span_words,
    text_argument,
)
from mailbox_appliance.mail.message import SpooledBody
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.queue import QueueDesk, QueuedMessage

_LONGEST_SHOWN = 256 * 1024


class MailQueueDesk:
    """Names are trace ids, as ``queue list`` shows them."""

    def __init__(self, queue: QueueDesk, clock: Clock) -> None:
        self._queue = queue
        self._clock = clock

    async def list(self, arguments: Arguments) -> Result:
        """Everything that waits, oldest first; one row a recipient."""
        messages = await self._queue.listing()
        rows = []
        now = self._clock.seconds()
        for message in messages:
            for recipient in message.recipients:
                wait = recipient.next_attempt - now
                rows.append(
                    {
                        "id": message.trace,
                        "age": span_words(now - message.arrived),
                        "size": size_words(message.size),
                        "from": message.reverse_path or "<>",
                        "to": recipient.address,
                        "state": recipient.state,
                        "next": f"in {span_words(wait)}" if recipient.state == "waiting" and wait > 0 else "",
                        "tries": recipient.tries,
                        "last_reply": recipient.last_reply,
                    }
                )
        result = listing(
            ("id", "age", "size", "from", "to", "state", "next", "tries", "last_reply"), rows, "the queue is empty"
        )
        return Result(result.lines, result.table, [_facts(message) for message in messages])

    async def show(self, arguments: Arguments) -> Result:
        """One message: its envelope, its recipients, its content."""
        message = await self._one(text_argument(arguments, "id"))
        lines = [
            f"id: {message.trace}",
            f"from: {message.reverse_path or '<>'}",
            f"arrived: {moment_words(message.arrived)}",
            f"size: {size_words(message.size)}",
        ]
        if message.account:
            lines.append(f"account: {message.account}")
        for one in message.recipients:
            lines.append(f"to: {one.address} ({one.state}, {one.tries} tries, next {moment_words(one.next_attempt)})")
            if one.last_reply:
                lines.append(f"    last reply: {one.last_reply}")
        content = await self._queue.content(message.trace)
        if content is not None:
            text = content.header.decode("utf-8", "backslashreplace")
            if isinstance(content.body, SpooledBody) or len(content.body) > _LONGEST_SHOWN:
                text += f"[body of {size_words(content.body_size)}]"
            else:
                text += content.body.decode("utf-8", "backslashreplace")
            lines += ["", *(_harmless(line) for line in text.split("\n"))]
        return Result(tuple(lines), data=_facts(message))

    async def retry(self, arguments: Arguments) -> Result:
        """Try now: the messages named, or with --all everything that is not held."""
        ids = list_argument(arguments, "ids")
        if bool(ids) == bool(arguments.get("all")):
            raise Refused("name the ids to try again, or say --all")
        return _touched(await self._queue.retry(await self._known(ids)), "tried now")

    async def flush(self, arguments: Arguments) -> Result:
        """Try now everything that is not held, or what waits for one domain."""
        if not arguments.get("domain"):
            return _touched(await self._queue.retry(()), "tried now")
        return _touched(await self._queue.flush(domain_argument(arguments)), "tried now")

    async def hold(self, arguments: Arguments) -> Result:
        """Keep messages back, or a whole domain's."""
        domain = self._whole_domain(arguments)
        if domain:
            touched = await self._queue.freeze(domain)
            lines = (
                f"nothing leaves for {domain} from now on ({_recipients(touched)} held)",
                f"until: mailappliance queue release --domain {domain}",
            )
            return Result(lines, data={"recipients": touched})
        return _touched(await self._queue.hold(await self._wanted(arguments)), "held until released")

    async def release(self, arguments: Arguments) -> Result:
        """Let held messages go, or a whole domain's."""
        domain = self._whole_domain(arguments)
        if domain:
            released = await self._queue.thaw(domain)
            if released is None:
                raise Refused(f"mail for {domain} is not held")
            return _touched(released, "released")
        return _touched(await self._queue.release(await self._wanted(arguments)), "released")

    def _whole_domain(self, arguments: Arguments) -> str:
        if not arguments.get("domain"):
            return ""
        if list_argument(arguments, "ids"):
            raise Refused("name ids or a domain, not both")
        return domain_argument(arguments)

    async def drop(self, arguments: Arguments) -> Result:
        """Remove messages; with --bounce their senders hear of it."""
        ids = await self._wanted(arguments)
        return _touched(await self._queue.drop(ids, bool(arguments.get("bounce"))), "dropped")

    async def _one(self, trace: str) -> QueuedMessage:
        for message in await self._queue.listing():
            if message.trace == trace.lower():
                return message
        raise Refused(f"{trace} is not in the queue: `mailappliance trace {trace}` tells what became of it")

    async def _wanted(self, arguments: Arguments) -> tuple[str, ...]:
        ids = list_argument(arguments, "ids")
        if not ids:
            raise Refused("name the ids, as `mailappliance queue list` shows them")
        return await self._known(ids)

    async def _known(self, ids: tuple[str, ...]) -> tuple[str, ...]:
        """The ids in lower case. Raises Refused for one that does not wait, before anything is touched."""
        ids = tuple(one.lower() for one in ids)
        if not ids:
            return ids
        waiting = {message.trace for message in await self._queue.listing()}
        for one in ids:
            if one not in waiting:
                raise Refused(f"{one} is not in the queue: `mailappliance trace {one}` tells what became of it")
        return ids


def _touched(number: int, what: str) -> Result:
    return Result((f"{_recipients(number)} {what}",), data={"recipients": number})


def _recipients(number: int) -> str:
    return "1 recipient" if number == 1 else f"{number} recipients"


def _harmless(line: str) -> str:
    """A line of somebody's mail, fit for a terminal."""
    return "".join(c if c == "\t" or c.isprintable() else f"\\x{ord(c):02x}" for c in line.removesuffix("\r"))


def _facts(message: QueuedMessage) -> dict[str, Any]:
    return {
        "id": message.trace,
        "from": message.reverse_path,
        "arrived": iso_moment(message.arrived),
        "size": message.size,
        "account": message.account,
        "recipients": [
            {
                "to": one.address,
                "state": one.state,
                "next_attempt": iso_moment(one.next_attempt),
                "tries": one.tries,
                "last_reply": one.last_reply,
            }
            for one in message.recipients
        ],
    }
