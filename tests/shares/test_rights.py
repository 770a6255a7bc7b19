"""Random rights, random commands: nobody ever does more than he may, and what he may not know of does not show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.mail.mailbox import DELETED, SEEN
from mailbox_appliance.mail.rights import LETTERS, spelled
from mailbox_appliance.shares.names import Where
from tests.shares.stage import ANN, BEN, Family

BOXES = ("Bills", "Diary", "Diary.Old")
ANY = st.lists(st.sampled_from(LETTERS), max_size=11, unique=True)
# Most can read and lack something: there the rules are.
RIGHTS = st.one_of(
    ANY, ANY.map(lambda held: ["l", "r", *held]), ANY.map(lambda held: set(LETTERS) - set(held[:2]))
).map(spelled)
NAMES = st.sampled_from([f'"Other Users.ann.{name}"' for name in BOXES])
SETS = st.sampled_from(["1", "2", "1:2", "1:*", "*"])
FLAGS = st.sampled_from(["\\Seen", "\\Deleted", "\\Flagged", "$Label1", "\\Seen \\Deleted \\Answered", ""])
SIGNS = st.sampled_from(["", "+", "-"])


def _quoted(line: str) -> str:
    verb, _, name = line.partition(" ")
    return f'{verb} "{name}"'


COMMANDS = st.one_of(
    st.builds("SELECT {}".format, NAMES),
    st.builds("SELECT {}".format, NAMES),
    st.builds("EXAMINE {}".format, NAMES),
    st.builds("STORE {} {}FLAGS ({})".format, SETS, SIGNS, FLAGS),
    st.builds("UID STORE {} (UNCHANGEDSINCE 3) {}FLAGS ({})".format, SETS, SIGNS, FLAGS),
    st.builds("FETCH {} (FLAGS BODY[TEXT])".format, SETS),
    st.builds("COPY {} {}".format, SETS, NAMES),
    st.builds("COPY {} INBOX".format, SETS),
    st.builds("MOVE {} {}".format, SETS, NAMES),
    st.builds("UID MOVE {} Archive".format, SETS),
    st.sampled_from(["EXPUNGE", "UID EXPUNGE 1:*", "CLOSE", "SEARCH UNSEEN DELETED", "NOOP", "SELECT INBOX"]),
    st.builds("APPEND {} ({}) {{5+}}\r\na: b\n".format, NAMES, FLAGS),
    st.builds("REPLACE 1 {} {{5+}}\r\na: b\n".format, NAMES),
    st.builds("CREATE {}.New".format, NAMES.map(lambda name: name.strip('"'))).map(_quoted),
    st.builds("DELETE {}".format, NAMES),
    st.builds('RENAME {} "Other Users.ann.Diary.Renamed"'.format, NAMES),
    st.builds("RENAME {} Mine".format, NAMES),
    st.builds("SETACL {} ben@example.org lrswipkxtea".format, NAMES),
    st.builds("DELETEACL {} ben@example.org".format, NAMES),
    st.builds("GETACL {}".format, NAMES),
    st.builds("LISTRIGHTS {} eve@example.org".format, NAMES),
    st.builds("SETMETADATA {} (/shared/comment x)".format, NAMES),
    st.builds("GETMETADATA {} /shared/comment".format, NAMES),
    st.builds("STATUS {} (MESSAGES UNSEEN)".format, NAMES),
    st.builds('LIST "" * RETURN (STATUS (MESSAGES) MYRIGHTS)'.format),
    st.builds("NOTIFY SET STATUS (mailboxes {} (MessageNew MessageExpunge FlagChange))".format, NAMES),
)


@dataclass(frozen=True)
class Shot:
    """Everything of Ann's that can be changed: flags by (mailbox, UID), rights, notes."""

    messages: dict[str, dict[int, tuple[int, frozenset[str]]]]
    acls: dict[str, Sequence[tuple[str, str]]]
    notes: dict[str, dict[str, bytes]]


def shot(world: Family) -> Shot:
    store = world.stores.get(ANN)
    messages = {}
    for name, box in store.boxes.items():
        messages[name] = {m.uid: (m.flags, frozenset(box._names(m.flags))) for m in box.messages}
    acls = {where.mailbox: world.shares.listed(where) for where, _ in world.shares.catalogue.all()}
    return Shot(messages, acls, {name: dict(notes) for name, notes in store.notes.items()})


class NeverBeyondTests(SynchronousTestCase):
    """The rules of RFC 4314 §4, held against what has become of the mailboxes."""

    @settings(max_examples=300, deadline=None)
    @given(RIGHTS, RIGHTS, RIGHTS, st.lists(COMMANDS, min_size=1, max_size=12))
    def test_commands(self, bills: str, diary: str, old: str, commands: list[str]) -> None:
        """What changed was allowed before the command; what is not allowed is not told."""
        world = Family()
        for name in BOXES:
            world.does(ANN, f'CREATE "{name}"')
            world.deliver(ANN, name, "short", "short")
        world.box_of(ANN, "Bills").change(1, ["\\Deleted", "\\Seen"])
        world.box_of(ANN, "Diary").change(2, ["$Label2"])
        for name, rights in zip(BOXES, (bills, diary, old), strict=True):
            world.does(ANN, f'SETACL "{name}" ben@example.org {rights or chr(34) * 2}')
        for command in ['SELECT "Other Users.ann.Bills"', *commands]:
            before, rights_before = shot(world), self.rights(world)
            said = world.asks(BEN, command)
            self.assertRegex(said, r"(?m)^(t (OK|NO|BAD) |\* BYE )", command)
            self.check(command, before, shot(world), rights_before)
            self.check_said(command, said, rights_before)
            if world.take(BEN).closed():
                break
        self.assertEqual(world.journal.failures, [])

    def rights(self, world: Family) -> dict[str, str]:
        catalogue = world.shares.catalogue
        return {name: spelled(catalogue.rights(BEN, Where(ANN, name))) for name in world.stores.get(ANN).boxes}

    def check(self, command: str, before: Shot, after: Shot, rights: dict[str, str]) -> None:
        gone = set(before.messages) - set(after.messages)
        made = set(after.messages) - set(before.messages)
        for name in gone:
            self.assertIn("x", rights[name], command)
        for name in made:
            above = [name[:at] for at, c in enumerate(name) if c == "."]
            self.assertTrue(any("k" in rights.get(parent, "") for parent in above), command)
        for name in set(before.messages) & set(after.messages):
            old, new = before.messages[name], after.messages[name]
            if set(new) - set(old):
                self.assertIn("i", rights[name], command)
            if set(old) - set(new):
                self.assertIn("e", rights[name], command)
            for uid in set(old) & set(new):
                (flags, words), (now, words_now) = old[uid], new[uid]
                self.assertEqual(flags & SEEN, now & SEEN, command)
                if flags & DELETED != now & DELETED:
                    self.assertIn("t", rights[name], command)
                if words - {"\\Deleted"} != words_now - {"\\Deleted"}:
                    self.assertIn("w", rights[name], command)
            for uid in set(new) - set(old):
                words_now = new[uid][1]
                self.assertFalse(new[uid][0] & SEEN and "APPEND" in command, command)
                if words_now & {"\\Deleted"}:
                    self.assertIn("t", rights[name], command)
                if words_now - {"\\Deleted", "\\Seen"}:
                    self.assertIn("w", rights[name], command)
        for name in set(before.acls) & set(after.acls):
            if before.acls[name] != after.acls[name]:
                self.assertIn("a", rights[name], command)
        for name in set(after.messages) & set(before.messages):
            if before.notes.get(name) != after.notes.get(name):
                self.assertIn("w", rights[name], command)

    def check_said(self, command: str, said: str, rights: dict[str, str]) -> None:
        if said.startswith("* BYE"):  # he has taken his own rights away before
            return
        for name in rights:
            full = f'"Other Users.ann.{name}"'
            words = command.split(" ", 1)
            if words[0] in ("SELECT", "EXAMINE", "STATUS") and words[1].startswith(full) and "r" not in rights[name]:
                wanted = "NOPERM" if "l" in rights[name] else "NONEXISTENT"
                self.assertIn(f"t NO [{wanted}]", said, (command, said, rights))
            if words[0] == "LIST" and "l" not in rights[name]:  # unless as the bare name above another one
                lines = [line for line in said.splitlines() if line.endswith(full)]
                self.assertTrue(all("\\Noselect" in line for line in lines), said)
            if words[0] in ("GETACL", "LISTRIGHTS") and words[1].startswith(full) and "a" not in rights[name]:
                self.assertIn("t NO [" + ("NOPERM" if "l" in rights[name] else "NONEXISTENT"), said, command)
