"""The look-ups of one message: all within one budget of time, and whatever fails is told."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import Deferred, FirstError, TimeoutError, fail, gatherResults

from mailbox_appliance.journal.events.checks import LookUpsFailed
from mailbox_appliance.mailauth.lookups import Answers, Question
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.dns import Answer, Resolver, Status
from mailbox_appliance.ports.journal import Journal
from mailbox_appliance.slices import Slices

MOST_TOLD = 20


class Inquiry:
    """Asks for one message; ``failed`` gathers what could not be found out."""

    def __init__(self, resolver: Resolver, clock: Clock, seconds: float) -> None:
        self._resolver = resolver
        self._clock = clock
        self._end = clock.seconds() + seconds
        self._seconds = seconds
        self._slices = Slices(clock)
        self.failed: dict[str, str] = {}
        self.known: dict[Question, Answer] = {}  # shared by all stages

    def answers(self) -> Answers:
        """For one job: what the message's other jobs know, and what the resolver remembers."""
        return Answers(self.known, self._glance)

    def _glance(self, question: Question) -> Answer | None:
        answer = self._resolver.glance(*question)
        if answer is not None and answer.status is Status.TEMPERROR:
            self._keep(answer, question)
        return answer

    async def ask(self, questions: tuple[Question, ...]) -> tuple[Answer, ...]:
        """mailauth.lookups.Ask: all at once, none later than the message's budget."""
        asked = [self._one(question) for question in questions]
        answers = tuple(await gatherResults(asked, consumeErrors=True))
        # Answers from the cache come at once, and the same job runs again and again: let others in between.
        await self._slices.breathe()
        return answers

    def _one(self, question: Question) -> Deferred[Answer]:
        known = self.known.get(question)  # another stage has asked meanwhile
        if known is not None:
            asked: Deferred[Answer] = Deferred()
            asked.callback(known)
            return asked
        left = self._end - self._clock.seconds()
        asked = Deferred.fromCoroutine(self._look_up(*question))
        asked.addTimeout(max(left, 0.0), self._clock)  # type: ignore[arg-type]
        asked.addErrback(self._too_late)
        return asked.addCallback(self._keep, question)

    async def _look_up(self, name: str, rdtype: str) -> Answer:
        return await self._resolver.look_up(name, rdtype)

    def _too_late(self, failure: object) -> Answer:
        error = getattr(failure, "value", failure)
        if isinstance(error, TimeoutError):
            return Answer(Status.TEMPERROR, reason=f"no answer within {self._seconds:g} seconds")
        return Answer(Status.TEMPERROR, reason=f"the resolver failed: {type(error).__name__}")

    def _keep(self, answer: Answer, question: Question) -> Answer:
        self.known[question] = answer
        if answer.status is Status.TEMPERROR and len(self.failed) < MOST_TOLD:
            self.failed[f"{question[1]} {question[0]}"[:200]] = answer.reason
        return answer

    def tell(self, journal: Journal, trace: str) -> None:
        """One event for everything that failed, if anything did."""
        if self.failed:
            reason = next(iter(self.failed.values()))
            journal.tell(LookUpsFailed(trace=trace, names=tuple(self.failed), reason=reason[:250]))


async def together(*coroutines: Coroutine[Deferred[Any], Any, Any]) -> list[Any]:
    """Run them side by side; their results in order. Raises what the first of them to fail has raised.

    Those that need not wait cost no more than a call each.
    """
    results: list[Any] = [None] * len(coroutines)
    waiting: list[tuple[int, Deferred[Any]]] = []
    for at, one in enumerate(coroutines):
        try:
            waits_for = one.send(None)
        except StopIteration as end:
            results[at] = end.value
        except Exception as trouble:  # noqa: BLE001 - raised below, when the others have begun
            waiting.append((at, fail(trouble)))
        else:
            waiting.append((at, Deferred.fromCoroutine(_go_on(one, waits_for))))
    if waiting:
        try:
            found = await gatherResults([one for _, one in waiting], consumeErrors=True)
        except FirstError as first:
            error = first.subFailure.value
            assert error is not None
            raise error from None
        for (at, _), result in zip(waiting, found, strict=True):
            results[at] = result
    return results


async def _go_on(coroutine: Coroutine[Deferred[Any], Any, Any], waits_for: Deferred[Any]) -> Any:
    """The rest of a coroutine that has begun and waits."""
    try:
        while True:
            try:
                came = await waits_for
            except Exception as error:  # noqa: BLE001 - it is the coroutine's
                waits_for = coroutine.throw(error)
            else:
                waits_for = coroutine.send(came)
    except StopIteration as end:
        return end.value
    finally:
        coroutine.close()
