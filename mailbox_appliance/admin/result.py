"""What a verb gives back: lines for people, a table where there is a list, the same as data, an exit code."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mailbox_appliance.mail.values import dataclass


class Refused(Exception):
    """The operator's wish cannot be granted; str() says why and what to do instead."""


@contextlib.contextmanager
def refusing(*kinds: type[Exception]) -> Iterator[None]:
    """Whatever is raised within as one of ``kinds`` becomes Refused, in the same words."""
    try:
        yield
    except kinds as error:
        raise Refused(str(error)) from None


@dataclass(frozen=True, slots=True)
class Table:
    """Columns with their heads, rows of text."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Result:
    """``data`` is what --json prints (None, bool, numbers, text, lists, dicts). ``code`` is the exit code, 0 or 1."""

    lines: tuple[str, ...] = ()
    table: Table | None = None
    data: Any = None
    code: int = 0

    def to_json(self) -> dict[str, Any]:
        """As it travels over the control socket."""
        return {
            "lines": list(self.lines),
            "columns": None if self.table is None else list(self.table.columns),
            "rows": None if self.table is None else [list(row) for row in self.table.rows],
            "data": self.data,
            "code": self.code,
        }

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Result:
        """What to_json made."""
        table = None
        if said["columns"] is not None:
            table = Table(tuple(said["columns"]), tuple(tuple(row) for row in said["rows"]))
        return cls(tuple(said["lines"]), table, said["data"], int(said["code"]))


def listing(columns: Sequence[str], rows: Sequence[Mapping[str, Any]], none: str) -> Result:
    """A list for people and machines: ``columns`` are keys of each row; ``none`` is said when there is nothing."""
    if not rows:
        return Result(lines=(none,), data=[])
    heads = tuple(column.replace("_", " ") for column in columns)
    shown = tuple(tuple(_shown(row.get(column)) for column in columns) for row in rows)
    return Result(table=Table(heads, shown), data=[dict(row) for row in rows])


def _shown(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return str(value)
