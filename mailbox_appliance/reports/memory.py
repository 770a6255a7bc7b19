"""STATE/reports.db: what others have reported of us, for half a year. Losing it costs figures, never mail."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from mailbox_appliance.database import Database
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.reports.values import Report, SourceRow, TlsRow

DAY = 86_400.0
KEPT = 180 * DAY
MOST_REPORTS = 20_000
MOST_ROWS = 200_000
MOST_A_DAY = 1000
MOST_UNPROVEN_A_DAY = 100

MIGRATIONS = (
    """
    CREATE TABLE reports (
        number INTEGER PRIMARY KEY,
        kind TEXT NOT NULL,             -- aggregate, failure, tls
        sender TEXT NOT NULL,           -- domain of who sent it
        reporter TEXT NOT NULL,         -- what he calls himself
        report_id TEXT NOT NULL,
        domain TEXT NOT NULL,           -- of ours
        began REAL NOT NULL,
        ended REAL NOT NULL,
        received REAL NOT NULL,
        proven INTEGER NOT NULL,        -- does the sender's domain stand behind it?
        policy TEXT NOT NULL
    );
    CREATE INDEX reports_received ON reports (received);
    CREATE UNIQUE INDEX reports_once ON reports (kind, sender, report_id, domain, began) WHERE report_id != '';
    CREATE TABLE sources (
        report INTEGER NOT NULL REFERENCES reports (number),
        source TEXT NOT NULL,
        messages INTEGER NOT NULL,
        disposition TEXT NOT NULL,
        dkim INTEGER NOT NULL,
        spf INTEGER NOT NULL,
        header_from TEXT NOT NULL,
        details TEXT NOT NULL,
        reason TEXT NOT NULL
    );
    CREATE INDEX sources_report ON sources (report);
    CREATE TABLE tls (
        report INTEGER NOT NULL REFERENCES reports (number),
        policy TEXT NOT NULL,
        result TEXT NOT NULL,           -- '' is success
        sessions INTEGER NOT NULL,
        host TEXT NOT NULL,
        source TEXT NOT NULL,
        reason TEXT NOT NULL
    );
    CREATE INDEX tls_report ON tls (report);
    """,
    """
    CREATE TABLE tally (                -- for our reports to others, until they are sent
        day INTEGER NOT NULL,           -- days since 1970, UTC
        policy_domain TEXT NOT NULL,
        source TEXT NOT NULL,
        author TEXT NOT NULL,
        envelope TEXT NOT NULL,
        disposition TEXT NOT NULL,
        dkim INTEGER NOT NULL,
        spf INTEGER NOT NULL,
        signatures TEXT NOT NULL,
        spf_domain TEXT NOT NULL,
        spf_scope TEXT NOT NULL,
        spf_result TEXT NOT NULL,
        reason TEXT NOT NULL,
        messages INTEGER NOT NULL,
        PRIMARY KEY (day, policy_domain, source, author, envelope, disposition, dkim, spf, signatures, spf_domain,
            spf_scope, spf_result, reason)
    ) WITHOUT ROWID;
    """,
)


@dataclass(frozen=True, slots=True)
class Kept:
    """A report as it is kept: ``sender`` is the domain that sent it, ``proven`` that it did."""

    report: Report
    sender: str
    received: float
    proven: bool


class ReportMemory:
    """The rows. Methods raise DatabaseTrouble, sqlite3.Error, Busy."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def keep(self, kept: Kept) -> str:
        """Add one; returns "" when it is kept, else why not: known already, or too many today."""
        return await self.database.run(lambda connection: _keep(connection, kept))

    async def since(self, moment: float, domain: str = "") -> list[Kept]:
        """What came in after ``moment``, newest first, at most MOST_A_DAY × 10."""
        return await self.database.run(lambda connection: _since(connection, moment, domain))

    async def forget_old(self, now: float) -> int:
        """Away with what is too old or too much; returns how many reports went."""
        return await self.database.run(lambda connection: _forget_old(connection, now))


def _keep(connection: sqlite3.Connection, kept: Kept) -> str:
    one = kept.report
    if one.report_id:
        known = connection.execute(
            "SELECT 1 FROM reports WHERE kind = ? AND sender = ? AND report_id = ? AND domain = ? AND began = ?",
            (one.kind, kept.sender, one.report_id, one.domain, one.begin),
        ).fetchone()
        if known is not None:
            return "it is known already"
    (today,) = connection.execute(
        "SELECT count(*) FROM reports WHERE received > ? AND proven = ?", (kept.received - DAY, kept.proven)
    ).fetchone()
    if today >= (MOST_A_DAY if kept.proven else MOST_UNPROVEN_A_DAY):
        return "there are too many reports today"
    number = connection.execute(
        "INSERT INTO reports (kind, sender, reporter, report_id, domain, began, ended, received, proven, policy) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            one.kind, kept.sender, one.reporter, one.report_id, one.domain, one.begin, one.end, kept.received,
            kept.proven, one.policy,
        ),
    ).lastrowid  # fmt: skip
    connection.executemany(
        "INSERT INTO sources VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (number, r.source, r.messages, r.disposition, r.dkim, r.spf, r.header_from, r.details, r.reason)
            for r in one.sources
        ],
    )
    connection.executemany(
        "INSERT INTO tls VALUES (?, ?, ?, ?, ?, ?, ?)",
        [(number, r.policy, r.result, r.sessions, r.host, r.source, r.reason) for r in one.tls],
    )
    return ""


def _since(connection: sqlite3.Connection, moment: float, domain: str) -> list[Kept]:
    where, values = "received >= ?", [moment]
    rows: Sequence[tuple[object, ...]] = connection.execute(
        "SELECT number, kind, sender, reporter, report_id, domain, began, ended, received, proven, policy "
        f"FROM reports WHERE {where} AND (? = '' OR domain = ?) ORDER BY received DESC LIMIT ?",
        (*values, domain, domain, MOST_A_DAY * 10),
    ).fetchall()
    found = []
    for number, kind, sender, reporter, report_id, about, began, ended, received, proven, policy in rows:
        sources = tuple(
            SourceRow(source, messages, disposition, bool(dkim), bool(spf), author, details, reason)
            for source, messages, disposition, dkim, spf, author, details, reason in connection.execute(
                "SELECT source, messages, disposition, dkim, spf, header_from, details, reason FROM sources "
                "WHERE report = ?",
                (number,),
            )
        )
        tls = tuple(
            TlsRow(*row)
            for row in connection.execute(
                "SELECT policy, result, sessions, host, source, reason FROM tls WHERE report = ?", (number,)
            )
        )
        report = Report(str(kind), str(reporter), str(report_id), str(about), began, ended, str(policy), sources, tls)  # type: ignore[arg-type]
        found.append(Kept(report, str(sender), received, bool(proven)))  # type: ignore[arg-type]
    return found


def _forget_old(connection: sqlite3.Connection, now: float) -> int:
    """The oldest go first; rows are counted too, since one report may have thousands."""
    first = connection.execute("SELECT min(number) FROM reports WHERE received > ?", (now - KEPT,)).fetchone()[0]
    last = connection.execute("SELECT coalesce(max(number), 0) FROM reports").fetchone()[0]
    keep_from = max(last + 1 if first is None else first, last - MOST_REPORTS + 1)
    for table in ("sources", "tls"):
        edge = connection.execute(
            f"SELECT report FROM {table} ORDER BY report DESC LIMIT 1 OFFSET ?", (MOST_ROWS,)
        ).fetchone()
        if edge is not None:
            keep_from = max(keep_from, edge[0] + 1)
    for table in ("sources", "tls"):
        connection.execute(f"DELETE FROM {table} WHERE report < ?", (keep_from,))
    return connection.execute("DELETE FROM reports WHERE number < ?", (keep_from,)).rowcount
