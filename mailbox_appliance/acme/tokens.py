"""The tokens by which an ACME authority sees that a name is ours (RFC 8555 §8.3): what port 80 serves."""

from __future__ import annotations

import re

MOST_TOKENS = 200
_TOKEN = re.compile(r"[A-Za-z0-9_-]{16,200}")


class ChallengeTokens:
    """Token → key authorization, while an order runs. Bounded; only well-formed tokens are kept."""

    def __init__(self) -> None:
        self._answers: dict[str, bytes] = {}

    def publish(self, tokens: dict[str, str]) -> None:
        """From now on these are served."""
        for token, answer in tokens.items():
            if is_token(token) and len(self._answers) < MOST_TOKENS:
                self._answers[token] = answer.encode("ascii", "replace")

    def withdraw(self, tokens: dict[str, str]) -> None:
        """No longer."""
        for token in tokens:
            self._answers.pop(token, None)

    def answer(self, token: str) -> bytes | None:
        """What to serve at /.well-known/acme-challenge/TOKEN; None is 404."""
        return self._answers.get(token)


def is_token(text: str) -> bool:
    """base64url, at least 128 bits (RFC 8555 §8.3); so it is a safe file name, too."""
    return _TOKEN.fullmatch(text) is not None
