"""Dates: read as people write them, written as RFCs want them."""

from __future__ import annotations

import calendar
import datetime
import time

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.mail.dates import imap_date_time, mail_date_time, parse_date


def epoch(*when: int) -> int:
    return calendar.timegm((*when, 0, 0, 0))


# field, epoch seconds, day as written
TABLE: tuple[tuple[bytes, int, tuple[int, int, int]], ...] = (
    (b"Fri, 21 Nov 1997 09:55:06 -0600", epoch(1997, 11, 21, 15, 55, 6), (1997, 11, 21)),
    (b"21 Nov 97 09:55:06 GMT", epoch(1997, 11, 21, 9, 55, 6), (1997, 11, 21)),
    (b"Fri, 21 Nov 1997 09(comment):   55  :  06 -0600", epoch(1997, 11, 21, 15, 55, 6), (1997, 11, 21)),
    (
        b"Thu,\r\n      13\r\n        Feb\r\n          1969\r\n      23:32\r\n               -0330 (Newfoundland Time)",
        epoch(1969, 2, 14, 3, 2, 0),
        (1969, 2, 13),
    ),
    (b"Sun, 1 Jan 2023 00:30:00 +0100", epoch(2022, 12, 31, 23, 30, 0), (2023, 1, 1)),
    (b"Tue, 8 Apr 2003 12:05 EDT", epoch(2003, 4, 8, 16, 5, 0), (2003, 4, 8)),
    (b"Sunday, 06-Nov-94 08:49:37 GMT", epoch(1994, 11, 6, 8, 49, 37), (1994, 11, 6)),
    (b"Sun Nov  6 08:49:37 1994", epoch(1994, 11, 6, 8, 49, 37), (1994, 11, 6)),
    (b"Thu Aug 22 12:36:23 PDT 2002", epoch(2002, 8, 22, 19, 36, 23), (2002, 8, 22)),
    (b"2002-08-22 12:36:23 +0200", epoch(2002, 8, 22, 10, 36, 23), (2002, 8, 22)),
    (b"Mon, 2 Sept 2002 1:02:03 +0000", epoch(2002, 9, 2, 1, 2, 3), (2002, 9, 2)),
    (b"Mon, 01 Jan 102 00:00:00 +0000", epoch(2002, 1, 1, 0, 0, 0), (2002, 1, 1)),
    (b"01 Jan 2020", epoch(2020, 1, 1, 0, 0, 0), (2020, 1, 1)),
    (b"Mon, 01 Jan 2020 25:61:61 +9999", epoch(2020, 1, 1, 0, 0, 0), (2020, 1, 1)),
)


class DateTests(SynchronousTestCase):
    def test_table(self) -> None:
        """Epoch and day as written."""
        for value, seconds, day in TABLE:
            found = parse_date(value)
            assert found is not None, value
            self.assertEqual(found.epoch, seconds, value)
            self.assertEqual(found.day, (datetime.date(*day) - datetime.date(1970, 1, 1)).days, value)

    def test_no_date(self) -> None:
        """Rubbish is None."""
        for value in (b"", b"x", b"31 Feb 2002 00:00:00", b"32 Jan 2002", b"1 Foo 2002", b"\xff" * 200, b"("):
            self.assertIsNone(parse_date(value), value)

    def test_written(self) -> None:
        """IMAP pads the day with a blank (RFC 3501 §9, date-day-fixed)."""
        self.assertEqual(imap_date_time(0), b'" 1-Jan-1970 00:00:00 +0000"')
        self.assertEqual(imap_date_time(1795361471, -210), b'"22-Nov-2026 12:01:11 -0330"')
        self.assertEqual(mail_date_time(0, 60), "Thu, 1 Jan 1970 01:00:00 +0100")

    @given(st.integers(0, 4_000_000_000), st.integers(-720, 840))
    @settings(max_examples=200, deadline=None)
    def test_there_and_back(self, seconds: int, zone: int) -> None:
        """What we write we read, and it is what the standard library writes."""
        text = mail_date_time(seconds, zone)
        found = parse_date(text.encode("ascii"))
        assert found is not None
        self.assertEqual((found.epoch, found.zone), (seconds, zone))
        local = time.gmtime(seconds + zone * 60)
        self.assertIn(f"{local.tm_mday} ", text)
        self.assertIn(time.strftime(" %Y %H:%M:%S ", local), text)

    @given(st.floats(-1e18, 1e18), st.binary(max_size=40))
    @settings(max_examples=100, deadline=None)
    def test_never_raises(self, seconds: float, value: bytes) -> None:
        """Clocks far off and any octets."""
        imap_date_time(seconds)
        mail_date_time(seconds)
        parse_date(value)
