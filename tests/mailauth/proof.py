"""What the tests of proofs share: vectors, answers from a dict, bodies hashed whole."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from twisted.trial.unittest import SkipTest

from mailbox_appliance.mail.header import header_end
from mailbox_appliance.mailauth import dkim
from mailbox_appliance.mailauth.canonical import BodyDigest, BodyHash, HeaderBlock
from mailbox_appliance.mailauth.lookups import Answers, Missing, Question
from mailbox_appliance.ports.dns import Answer, Status

T = TypeVar("T")


def vectors(folder: str) -> Path:
    """The folder of public vectors; skips the test without it."""
    root = os.environ.get("MAILAPPLIANCE_VECTORS", "")
    if not root or not (Path(root) / folder).is_dir():
        raise SkipTest(f"$MAILAPPLIANCE_VECTORS names no folder with {folder}")
    return Path(root) / folder


class Book:
    """TXT records by name, and other records by (name, type); everything else does not exist."""

    def __init__(
        self, texts: Mapping[str, object] | None = None, others: Mapping[Question, Answer] | None = None
    ) -> None:
        self.answers: dict[Question, Answer] = dict(others or {})
        self.asked: list[Question] = []
        for name, value in (texts or {}).items():
            values = value if isinstance(value, list) else [value]
            records = tuple(text.encode() if isinstance(text, str) else text for text in values)
            self.answers[name.lower(), "TXT"] = Answer(Status.OK, records)

    def look_up(self, question: Question) -> Answer:
        self.asked.append(question)
        return self.answers.get(question, Answer(Status.NXDOMAIN))

    def settle(self, job: Callable[[Answers], T]) -> T:
        """mailauth.lookups.settle without waiting."""
        answers = Answers()
        while True:
            answers.wanted.clear()
            try:
                result = job(answers)
            except Missing:
                pass
            else:
                if not answers.wanted:
                    return result
            for question in dict.fromkeys(answers.wanted):
                answers.put(question, self.look_up(question))


def split(message: bytes) -> tuple[bytes, bytes]:
    """Header and body with LF line ends."""
    message = message.replace(b"\r\n", b"\n")
    end = header_end(message)
    return message[:end], message[end:]


def body_digest(body: bytes, canonicalization: str) -> BodyDigest:
    hashed = BodyHash(canonicalization)
    hashed.update(body)
    return hashed.finish()


def verify(message: bytes, book: Book, now: float) -> tuple[dkim.DkimResult, ...]:
    """All of DKIM in one call."""
    header, body = split(message)
    block = HeaderBlock(header)
    readings, _ = dkim.read_signatures(block, now)
    bodies = {form: body_digest(body, form) for form in dkim.bodies_needed(readings)}
    return book.settle(lambda answers: dkim.judge(block, readings, bodies, answers))
