"""Running against the answers we have: how proofs that need the DNS stay free of waiting.

A job asks :class:`Answers`. What is not there is written down and stops the run; :func:`settle` fetches it and runs the
job again from the start. That suits libraries that cannot wait (pyspf) and keeps our own arithmetic plain functions.
All proofs of one message share one Answers, so a name is asked once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from mailbox_appliance.ports.dns import Answer, Status

T = TypeVar("T")
Question = tuple[str, str]  # name (A-labels, lower case, no final dot), type
Ask = Callable[[tuple[Question, ...]], Awaitable[tuple[Answer, ...]]]
Glance = Callable[[Question], Answer | None]

MOST_QUESTIONS = 200  # of one message; SPF alone may ask for some 120 (RFC 7208 §4.6.4)
TOO_MANY = Answer(Status.TEMPERROR, reason=f"more than {MOST_QUESTIONS} look-ups for one message")


class Missing(Exception):
    """An answer is not there yet."""


class Answers:
    """What the DNS has told so far about one message, and what else is wanted.

    ``glance`` gives what the resolver remembers, so that nothing need be asked. ``read`` is all that was looked at.
    """

    __slots__ = ("_glance", "_known", "read", "wanted")

    def __init__(self, known: dict[Question, Answer] | None = None, glance: Glance | None = None) -> None:
        self._known = known if known is not None else {}
        self._glance = glance
        self.wanted: list[Question] = []
        self.read: dict[Question, Answer] = {}

    def get(self, name: str, rdtype: str) -> Answer:
        """The answer; raises Missing when it must be fetched first."""
        question = (name.lower().removesuffix("."), rdtype)
        answer = self._at_hand(question)
        if answer is None:
            self.wanted.append(question)
            raise Missing
        self.read[question] = answer
        return answer

    def _at_hand(self, question: Question) -> Answer | None:
        answer = self._known.get(question)
        if answer is not None:
            return answer
        if len(self._known) + len(self.wanted) >= MOST_QUESTIONS:
            return TOO_MANY
        if self._glance is not None:
            answer = self._glance(question)
            if answer is not None:
                self._known[question] = answer
        return answer

    def are(self, read: Iterable[tuple[Question, Answer]]) -> bool:
        """Would these questions be answered just so, and at once? Those up to the first that would not are kept."""
        return all(self._at_hand(question) is answer for question, answer in read)

    def want(self, questions: Iterable[Question]) -> None:
        """Have all of these fetched in one go; raises Missing unless they are all there."""
        missing = False
        for name, rdtype in questions:
            try:
                self.get(name, rdtype)
            except Missing:
                missing = True
        if missing:
            raise Missing

    def put(self, question: Question, answer: Answer) -> None:
        """Remember."""
        self._known[question] = answer


async def settle(job: Callable[[Answers], T], answers: Answers, ask: Ask) -> T:
    """Run ``job`` until it misses nothing. Ends: each round brings a new answer, and their number is bounded."""
    while True:
        answers.wanted.clear()
        answers.read.clear()
        try:
            result = job(answers)
        except Missing:
            pass
        else:
            if not answers.wanted:  # pyspf swallows some exceptions, and Missing with them
                return result
        questions = tuple(dict.fromkeys(answers.wanted))
        for question, answer in zip(questions, await ask(questions), strict=True):
            answers.put(question, answer)
