"""The least that three rows of bench.imap can cost here: the system calls without which there is no answer.

    python -m bench.floors [-n 20000]

STORE on everything: a rename(2) for each message. A first SELECT: both directories listed, one lstat(2) a file for its
date, the rows put into SQLite, the UIDs appended and synced. APPEND: a file written and synced, linked, its directory
synced, its UID appended and synced.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

SCHEMA = """
CREATE TABLE message (id INTEGER PRIMARY KEY, base TEXT, tail TEXT, flags INTEGER, size INTEGER, date INTEGER);
CREATE INDEX message_base ON message (base)
"""


def timed(name: str, work: Callable[[], None], times: int = 1) -> None:
    began = time.perf_counter()
    work()
    took = time.perf_counter() - began
    print(f"{name:40s} {took:8.4f} s" + (f"  {took / times * 1000:7.3f} ms each" if times > 1 else ""))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=20_000)
    count = parser.parse_args().n
    folder = Path(tempfile.mkdtemp(prefix="bench-floors-"))
    cur, new, tmp = (folder / name for name in ("cur", "new", "tmp"))
    try:
        for place in (cur, new, tmp):
            place.mkdir()
        for number in range(count):
            (cur / f"{1_600_000_000 + number}.M{number:06}P1.host:2,S").touch()
        os.sync()
        timed(f"first SELECT of {count}", lambda: first_look(folder, cur))
        timed(f"STORE on {count}", lambda: rename_all(cur))
        timed("500 APPENDs", lambda: append(folder, tmp, new, 500), 500)
    finally:
        shutil.rmtree(folder)


def first_look(folder: Path, cur: Path) -> None:
    names = sorted(os.listdir(cur))
    rows = []
    for number, name in enumerate(names):
        facts = os.lstat(f"{cur}/{name}")
        base, _, tail = name.partition(":")
        rows.append((number, base, tail, 0, facts.st_size, int(facts.st_mtime)))
    database = sqlite3.connect(folder / "index.db", isolation_level=None)
    database.executescript(f"PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; {SCHEMA}")
    database.execute("BEGIN")
    database.executemany("INSERT INTO message VALUES (?, ?, ?, ?, ?, ?)", rows)
    database.execute("COMMIT")
    append_line(folder, "".join([f"{row[0]} :{row[1]}\n" for row in rows]))
    database.close()


def rename_all(cur: Path) -> None:
    names = os.listdir(cur)
    fd = os.open(cur, os.O_RDONLY)
    for name in names:
        os.rename(name, f"{name}F", src_dir_fd=fd, dst_dir_fd=fd)
    os.close(fd)


def append(folder: Path, tmp: Path, new: Path, times: int) -> None:
    octets = b"x" * 10_000
    for number in range(times):
        fd = os.open(tmp / str(number), os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        os.write(fd, octets)
        os.fsync(fd)
        os.close(fd)
        os.link(tmp / str(number), new / str(number))
        os.unlink(tmp / str(number))
        fd = os.open(new, os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)
        append_line(folder, f"{number} :{number}\n")


def append_line(folder: Path, text: str) -> None:
    fd = os.open(folder / "uidlist", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    os.write(fd, text.encode())
    os.fdatasync(fd)
    os.close(fd)


if __name__ == "__main__":
    main()
