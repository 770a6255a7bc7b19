"""How a Result looks: tables by rich on a terminal, plain aligned text elsewhere, JSON when asked for."""

from __future__ import annotations

import json
import sys
from typing import TextIO

from mailbox_appliance.admin.result import Result, Table


def show(result: Result, *, as_json: bool, out: TextIO | None = None) -> None:
    """Print ``result`` on ``out`` (standard output)."""
    out = out or sys.stdout
    if as_json:
        data = result.data if result.data is not None else {"lines": list(result.lines)}
        out.write(json.dumps(data, indent=2, ensure_ascii=not _utf8(out)) + "\n")
        return
    if result.table is not None:
        if out.isatty():
            _rich(result.table)
        else:
            out.write(plain(result.table))
    for line in result.lines:
        out.write((_shielded(line) if out.isatty() else _sayable(line, out)) + "\n")


def plain(table: Table) -> str:
    """Columns aligned by spaces, a line a row; an empty cell is a dash, so that each row has every column."""
    rows = [tuple(_one_line(cell) or "-" for cell in row) for row in (table.columns, *table.rows)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(table.columns))]
    lines = ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(lines) + "\n"


def _rich(table: Table) -> None:
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    shown = RichTable(box=None, header_style="bold", pad_edge=False)
    for column in table.columns:
        shown.add_column(column, overflow="fold")
    for row in table.rows:
        shown.add_row(*(Text(_one_line(cell)) for cell in row))
    Console().print(shown)


def _one_line(cell: str) -> str:
    """A cell may hold a stranger's words: what is not printable becomes "?"."""
    return "".join(c if c.isprintable() else "?" for c in cell)


def _shielded(text: str) -> str:
    """Lines may hold a stranger's words, too: none of them may steer the terminal."""
    return "".join(c if c.isprintable() or c in "\n\t" else "?" for c in text)


def _utf8(out: TextIO) -> bool:
    return (getattr(out, "encoding", None) or "").lower().replace("-", "") == "utf8"


def _sayable(line: str, out: TextIO) -> str:
    """The line in what the terminal's encoding can say."""
    encoding = getattr(out, "encoding", None) or "utf-8"
    return line.encode(encoding, "replace").decode(encoding)
