"""Commands that are nearly right, thrown at a whole session: every one is answered, and none is a fault of ours."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.imap.commands import TABLE
from tests.imap.stage import MESSAGES, World

SETS = st.sampled_from(["1", "1:*", "*", "2,1", "$", "3:1", "9", "0", "1:999999999999"])
FLAGS = st.sampled_from(["(\\Seen)", "()", "\\Deleted $x", "(\\Recent)", "(\\Nope)", "(a b c)", "\\*"])
NAMES = st.sampled_from(["INBOX", "Sent", "new", "a.b", "&AOQ-", '""', '"a b"', "..", "x/y", "inbox.z", "&", "Nowhere"])
ITEMS = st.sampled_from(
    "FLAGS|ALL|FULL|(UID ENVELOPE BODYSTRUCTURE)|BODY[]|BODY.PEEK[1]|BODY[2.1.MIME]|(BODY[HEADER] RFC822.SIZE)|BODY[TEXT]<1.9>"
    "|BODY[HEADER.FIELDS (to)]<0.1>|(MODSEQ PREVIEW SAVEDATE)|RFC822|BODY[2.HEADER.FIELDS.NOT (x)]|(EMAILID THREADID)|BODY|BINARY[1]|(BINARY.SIZE[2] UID)|BINARY.PEEK[]<3.9>".split(
        "|"
    )
)
SEARCHES = st.sampled_from(
    "ALL|RETURN (SAVE) SEEN|RETURN (MIN MAX COUNT) ALL|NOT 1|OR 1:* UID 2|TEXT hi|SINCE 1-Feb-2024|HEADER x y|$|MODSEQ 3|NEW"
    "|CHARSET utf-8 BODY {2+}\r\nhi|KEYWORD $x OLD|YOUNGER 5|RETURN () RECENT|LARGER 3 (UNSEEN NOT DRAFT)|RETURN (SAVE MAX) $|RETURN (PARTIAL 1:2 SAVE) ALL|RETURN (UPDATE) UNSEEN|FUZZY SUBJECT short|EMAILID M1|RETURN (PARTIAL -1:-2) 1:9".split(
        "|"
    )
)
COMMANDS = st.one_of(
    st.tuples(st.sampled_from(["FETCH ", "UID FETCH "]), SETS, st.just(" "), ITEMS).map("".join),
    st.tuples(SETS, ITEMS).map(lambda p: f"UID FETCH {p[0]} {p[1]} (CHANGEDSINCE 2 VANISHED)"),
    st.tuples(
        st.sampled_from(["STORE ", "UID STORE "]),
        SETS,
        st.sampled_from([" FLAGS ", " +FLAGS ", " -FLAGS.SILENT "]),
        FLAGS,
    ).map("".join),
    st.tuples(st.sampled_from(["COPY ", "UID MOVE ", "MOVE ", "UID COPY "]), SETS, st.just(" "), NAMES).map("".join),
    st.tuples(st.sampled_from(["SEARCH ", "UID SEARCH "]), SEARCHES).map("".join),
    st.tuples(
        st.sampled_from(["SORT ", "UID SORT ", "SORT RETURN (UPDATE COUNT) ", "UID SORT RETURN (PARTIAL -1:-2) "]),
        st.sampled_from(["(DATE) ", "(REVERSE SUBJECT FROM) ", "(DISPLAYTO SIZE) ", "() ", "(ARRIVAL) "]),
        st.sampled_from(["utf-8 ALL", "us-ascii NOT 1", "x-none SEEN", "utf-8 $"]),
    ).map("".join),
    st.tuples(st.sampled_from(["THREAD REFERENCES ", "UID THREAD ORDEREDSUBJECT ", "THREAD NONE "]), SEARCHES).map(
        lambda p: f"{p[0]}utf-8 {p[1]}"
    ),
    st.tuples(SETS, NAMES).map(lambda p: f"REPLACE {p[0]} {p[1]} {{6+}}\r\na: b\r\n"),
    st.tuples(NAMES, NAMES).map(lambda p: f'APPEND {p[0]} CATENATE (URL "/{p[1]}/;UID=1" TEXT {{4+}}\r\n\r\nx\n)'),
    NAMES.map(lambda name: f"APPEND {name} UTF8 (~{{6+}}\r\na: b\r\n)"),
    NAMES.map(lambda name: f"APPEND {name} ~{{7+}}\r\n\r\n\r\n\0\0b"),
    NAMES.map(
        lambda name: f"NOTIFY SET STATUS (selected (MessageNew (UID) MessageExpunge)) (subtree {name} (MailboxName))"
    ),
    NAMES.map(lambda name: f"SETMETADATA {name} (/private/comment {name})"),
    NAMES.map(lambda name: f"GETMETADATA (DEPTH 1) {name} (/private /shared/comment)"),
    NAMES.map(lambda name: f"LIST {name} % RETURN (MYRIGHTS METADATA (/private/comment))"),
    st.sampled_from(
        "ENABLE IMAP4rev2|ENABLE UTF8=ACCEPT|ENABLE UIDONLY|NOTIFY NONE|GETACL INBOX|MYRIGHTS Sent".split("|")
    ),
    st.sampled_from(['CANCELUPDATE "t1" "t2"', "NOTIFY SET (personal (MessageNew MessageExpunge FlagChange))"]),
    st.tuples(st.sampled_from(["SELECT ", "EXAMINE ", "CREATE ", "DELETE ", "SUBSCRIBE ", "GETQUOTAROOT "]), NAMES).map(
        "".join
    ),
    st.tuples(NAMES, NAMES).map(lambda p: f"RENAME {p[0]} {p[1]}"),
    st.tuples(NAMES, NAMES).map(lambda p: f"LIST {p[0]} {p[1]} RETURN (STATUS (MESSAGES SIZE))"),
    st.tuples(NAMES, FLAGS).map(lambda p: f"APPEND {p[0]} {p[1]} {{6+}}\r\na: b\r\n"),
    NAMES.map(lambda name: f"SELECT {name} (QRESYNC (1001 3 1:5))"),
    st.sampled_from([verb for verb in TABLE if verb not in ("LOGOUT", "IDLE", "STARTTLS", "AUTHENTICATE", "COMPRESS")]),
    st.sampled_from(["ENABLE QRESYNC", "UID EXPUNGE 1:3", "EXPUNGE", "NOOP", "CLOSE", "IDLE\r\nDONE", 'LSUB "" %']),
)


class FuzzTests(SynchronousTestCase):
    """Two sessions on one account."""

    @settings(max_examples=150, deadline=None)
    @given(st.lists(st.tuples(st.booleans(), COMMANDS), max_size=25))
    def test_every_command_is_answered(self, script: list[tuple[bool, str]]) -> None:
        """Each command has one tagged answer (or the session a BYE), in any order and any state."""
        world = World()
        for name in ("plain", "short", "parts", "umlaut"):
            world.box().deliver(MESSAGES[name])
        sessions = [world.connect().log_in("INBOX") for _ in range(2)]
        for number, (which, command) in enumerate(script):
            stage = sessions[which]
            if stage.closed():
                stage = sessions[which] = world.connect().log_in("INBOX")
            said = stage.ask(f"t{number} {command}")
            answers = sum(said.count(b"t%d %b" % (number, word)) for word in (b"OK", b"NO", b"BAD"))
            self.assertTrue(answers == 1 or stage.closed(), (command, said))
            self.assertEqual(world.journal.failures, [], command)
