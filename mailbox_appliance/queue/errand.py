"""One delivery to be: recipients of one message that share a destination; and what its outcomes mean for each row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mailbox_appliance.mail import report as words
from mailbox_appliance.mail.client import Origin
from mailbox_appliance.mail.envelope import Recipient
from mailbox_appliance.mail.outcome import Outcome, Result
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.queue.bounces import wants
from mailbox_appliance.queue.destinations import LOCAL
from mailbox_appliance.queue.schedule import Schedule
from mailbox_appliance.queue.schema import DONE, MessageRow, RecipientRow, ResultRow
from mailbox_appliance.queue.spool import recipient_of

_LONGEST_TEXT = 1000


@dataclass(slots=True, eq=False)
class Errand:
    """``rows`` are recipients of ``message`` for ``destination``."""

    destination: str
    message: MessageRow
    rows: list[RecipientRow]


@dataclass(frozen=True, slots=True)
class Settled:
    """What one recipient's outcome comes to: the row to write, and what the journal and the sender may hear."""

    row: RecipientRow
    recipient: Recipient
    outcome: Outcome
    result: ResultRow
    is_expired: bool = False
    tell_delay: bool = False


def settle(
    errand: Errand,
    outcomes: Sequence[Outcome],
    now: float,
    schedule: Schedule,
    *,
    counted: bool = True,
    not_before: float = 0.0,
) -> list[Settled]:
    """Decide for each recipient. ``counted`` False: it was not tried itself (its destination rests)."""
    return [
        _settle_one(errand, row, outcome, now, schedule, counted, not_before)
        for row, outcome in zip(errand.rows, outcomes, strict=True)
    ]


def _settle_one(
    errand: Errand,
    row: RecipientRow,
    outcome: Outcome,
    now: float,
    schedule: Schedule,
    counted: bool,
    not_before: float,
) -> Settled:
    recipient = recipient_of(row)
    tries = row.tries + counted
    next_attempt, ended, expired, tell_delay = row.next_attempt, "", False, False
    if outcome.result is Result.TRY_AGAIN:
        next_one = schedule.next_attempt(now, errand.message.expires, max(tries, 1), outcome)
        if next_one is None:
            expired, ended = True, words.FAILED
        else:
            # The last try is never later than the end of the time.
            next_attempt = min(max(next_one, not_before), errand.message.expires)
            waited = now - (errand.message.expires - schedule.give_up)
            tell_delay = not row.delay_told and waited >= schedule.delay_notice and wants(recipient, words.DELAYED)
    elif outcome.result is Result.FAILED:
        ended = words.FAILED
    else:
        ended = words.DELIVERED if errand.destination == LOCAL else words.RELAYED
    if ended and (not wants(recipient, ended) or (ended == words.RELAYED and outcome.dsn)):
        # RFC 3461 §4.1: NEVER means no report by mail; the sender's own Outbox is no mail, and shows it all the same.
        submitted = bool(errand.message.account) and errand.message.origin == Origin.AUTHENTICATED.value
        if ended != words.FAILED or not submitted:
            ended = DONE
    reply, reason = outcome.reply, outcome.reason
    if expired:
        reason = f"it was given up after {tries} tries in {days_of(now - errand.message.arrived)}; {reason}".rstrip(
            "; "
        )
    result = ResultRow(
        id=row.id,
        ended=ended,
        next_attempt=next_attempt,
        tries=tries,
        delay_told=int(bool(row.delay_told) or tell_delay),
        attempted=now if counted else row.attempted,
        code=reply.code,
        enhanced=reply.enhanced,
        reply=reply.text[:_LONGEST_TEXT],
        host=outcome.host[:_LONGEST_TEXT],
        reason=reason[:_LONGEST_TEXT],
        remote=int(outcome.remote),
    )
    return Settled(row, recipient, outcome, result, expired, tell_delay)


def days_of(seconds: float) -> str:
    """A span of time in the words of a report."""
    days, hours = seconds / 86400, seconds / 3600
    return f"{days:.0f} days" if days >= 2 else f"{hours:.0f} hours" if hours >= 2 else f"{seconds / 60:.0f} minutes"


def outcome_of(row: RecipientRow) -> Outcome:
    """The last outcome as it was recorded."""
    result = Result.FAILED if row.ended == words.FAILED else Result.DELIVERED
    reply = Reply(row.code or 554, row.enhanced, row.reply)
    return Outcome(result, reply, row.host, row.reason, bool(row.remote))


def group(
    rows: Iterable[tuple[str, RecipientRow]], messages: dict[int, MessageRow], most_recipients: int
) -> list[Errand]:
    """Errands for (destination, row) pairs: a message's recipients of one destination together, ``most`` at most."""
    errands: dict[tuple[int, str], Errand] = {}
    done: list[Errand] = []
    for destination, row in rows:
        key = (row.message, destination)
        errand = errands.get(key)
        if errand is None or len(errand.rows) >= most_recipients:
            errand = errands[key] = Errand(destination, messages[row.message], [])
            done.append(errand)
        errand.rows.append(row)
    return done
