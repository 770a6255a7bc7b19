"""Which passwords are refused, in which order they are guessed, and that a pass goes on where it stopped."""

from __future__ import annotations

import io
import itertools
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.mail.address import Address
from mailbox_appliance.users.answers import UsersError
from mailbox_appliance.users.password import SHORTEST, generate_password
from mailbox_appliance.users.station import Users
from mailbox_appliance.users.strength import candidates, child
from mailbox_appliance.users.strength.crack import Cracking, Work
from mailbox_appliance.users.strength.facts import own_words
from mailbox_appliance.users.strength.judge import ENOUGH, JudgedHere, everyday, judge, passphrases
from mailbox_appliance.users.strength.spawned import NotJudged
from tests.kit.journal import RememberedJournal
from tests.kit.workers import InlineWorkers
from tests.users.household import CHEAP, Household, UsersSettings, now

WORDS = ("ann", "schmidt", "example", "bob")
LISTS = candidates.shipped(everyday())

# password, a word of the reason
WEAK = (
    ("password1", "tried first"),
    ("ann.schmidt", "names"),
    ("annexample", "names"),
    ("annbob2019", "names"),
    ("Sommer2024!", "tried first"),
    ("Passwort1", "tried first"),
    ("P@ssw0rd!", "tried first"),
    ("qwertzuiop", "tried first"),
    ("zxcvbnm,./", ""),
    ("abcabcabcabc", "repeats"),
    ("hunter2hunter2", "repeats"),
    ("abcdefghijk", "sequence"),
    ("12.03.1985", "date"),
    ("christine", ""),
    ("elephants", "word"),
    ("Fußball1954", "tried first"),
    ("Mausi2024!!", "tried first"),
    ("qwertz12345!", "tried first"),
    ("azerty12345!", "tried first"),
    ("Schmidt-Ann-1985-Bob", "names"),
    ("AnnSchmidt!2026", "names"),
    ("AnnUndBob4ever", "names"),
    ("Correct-Horse-Battery-Staple", "tried first"),
    ("Tr0ub4dor&3", "tried first"),
)
GOOD = (
    "kupfer lampe regen",
    "correct horse battery",
    "xk4-Ruhm?zettel",
    "anns kupfer regnet leise",
    "correct horse",
    "zyzyk-qawam-2031-lattich",
    "ö" * 3 + "gurkenwagen-tuba",
    "a" + "Qz7!vRtp2w" * 8,
)


class JudgeTests(SynchronousTestCase):
    """judge.judge"""

    def test_table(self) -> None:
        """Each weak one with its reason, none of which quotes it; the good ones pass."""
        for password, why in WEAK:
            said = judge(password, WORDS)
            self.assertIn(why, said, password)
            self.assertTrue(said, password)
            self.assertNotIn(password, said)
            self.assertIn("use four or five words", said)
        for password in GOOD:
            self.assertEqual(judge(password, WORDS), "", password)

    def test_what_we_make_is_good(self) -> None:
        """Generated passwords and suggested passphrases are never weak, and no two are alike."""
        made = [*passphrases(20), *(generate_password() for _ in range(20))]
        self.assertEqual([judge(one, WORDS) for one in made], [""] * 40)
        self.assertEqual(len(set(made)), 40)
        self.assertTrue(all(len(one.split("-")) == 5 for one in made[:20]))

    @settings(max_examples=60, deadline=None)
    @given(st.text(max_size=200))
    def test_never_breaks(self, password: str) -> None:
        """Whatever is typed; and an own name with a figure is weak for whoever has that name."""
        judge(password, WORDS)

    def test_early_guesses_are_weak(self) -> None:
        """What a guesser tries first would have been refused."""
        first = itertools.islice(candidates.candidates(WORDS, LISTS), 0, 40000, 997)
        self.assertEqual([one for one, _ in first if not judge(one, WORDS)], [])
        self.assertGreater(ENOUGH, 10**7)


class OwnWordsTests(SynchronousTestCase):
    """facts.own_words"""

    def test_words(self) -> None:
        """The account's names first, then its domain's, its aliases' and its family's; nothing of other domains."""
        house = Household().fill(
            ["example.org", "club.example"],
            ["ann.schmidt@example.org", "bob@example.org", "zoe@club.example"],
            {"annie-s@example.org": ["ann.schmidt@example.org"], "x9@example.org": ["bob@example.org"]},
        )
        snapshot = house.users.directory.snapshot
        words = own_words(snapshot, snapshot.accounts[Address("ann.schmidt", "example.org")])
        self.assertEqual(words[:4], ("ann.schmidt", "ann", "schmidt", "example"))
        self.assertIn("annie", words)
        self.assertIn("bob", words)
        self.assertFalse({"zoe", "club", "x9"} & set(words))


class CandidatesTests(SynchronousTestCase):
    """candidates.candidates"""

    def test_order(self) -> None:
        """The same each time; own names and the commonest passwords first; none too short to have been set."""
        first = list(itertools.islice(candidates.candidates(WORDS, LISTS), 20000))
        self.assertEqual(first, list(itertools.islice(candidates.candidates(WORDS, LISTS), 20000)))
        place = {one: at for at, (one, _) in reversed(list(enumerate(first)))}
        self.assertLess(place["annSchmidt1"], 10000)
        self.assertLess(place["ann12345"], 150)
        self.assertLess(place["password1"], 1000)
        self.assertLess(place["schmidt1985"], 15000)
        self.assertEqual([one for one, _ in first if not SHORTEST <= len(one) <= 64], [])
        self.assertEqual(candidates.SHORTEST, SHORTEST)

    def test_all_kinds(self) -> None:
        """Leet, years, doubled words, walks over keyboards and dates all come."""
        wanted = {"P@ssw0rd", "Sommer2024!", "hundhund", "1qaz2wsx3edc", "24121985", "Passwort1"}
        for one, _ in candidates.candidates((), LISTS):
            wanted.discard(one)
            if not wanted:
                return
        self.fail(str(wanted))


class CrackTests(SynchronousTestCase):
    """crack.Cracking with a hash that is the password itself, and a clock that goes a second a guess."""

    def crack(self, works: list[Work], seconds: float) -> list[tuple[str, dict[str, Any]]]:
        said: list[tuple[str, dict[str, Any]]] = []
        clock = itertools.count()
        asked: list[str] = []

        def fits(hash: str, candidate: bytes) -> bool:
            asked.append(candidate.decode())
            return hash == candidate.decode()

        cracking = Cracking(
            works, LISTS, fits, lambda: float(next(clock)), lambda what, **facts: said.append((what, facts))
        )
        cracking.run(seconds)
        self.asked = asked
        return said

    def test_found(self) -> None:
        """The weak one is found and told by number and kind, never by name; the strong one is not found."""
        said = self.crack([Work(1, "sunshine", WORDS), Work(2, "kupfer lampe regen", WORDS)], 3000)
        self.assertEqual([facts for what, facts in said if what == "found"], [{"account": 1, "how": "common"}])
        self.assertNotIn("sunshine", json.dumps(said))
        self.assertEqual(said[-1][0], "end")

    def test_in_turn(self) -> None:
        """Everybody's best candidates come before anybody's next ones."""
        self.crack([Work(1, "x", ("anna",)), Work(2, "x", ("bert",))], 400)
        of_each = [sum(one.lower().startswith(name) for one in self.asked) for name in ("anna", "bert")]
        self.assertGreater(min(of_each), 5)
        self.assertLess(max(of_each) - min(of_each), 2)

    def test_goes_on(self) -> None:
        """The next pass begins where the last ended; new names begin anew."""
        said = self.crack([Work(1, "x", WORDS)], 300)
        order, tried = said[-1][1]["tried"]["1"]
        before = self.asked
        self.crack([Work(1, "x", WORDS, order, tried)], 300)
        whole = [one for one, _ in itertools.islice(candidates.candidates(WORDS, LISTS), len(before) + len(self.asked))]
        self.assertEqual(before + self.asked, whole)
        self.crack([Work(1, "x", ("carl",), order, tried)], 10)
        self.assertEqual(self.asked[0], before[0])


class ChildTests(SynchronousTestCase):
    """child.main, in this process, for the parts that change nothing of it."""

    def test_judge_and_suggest(self) -> None:
        """One line in, one line out; a password is never in it."""
        limits: list[tuple[int, tuple[int, int]]] = []
        self.patch(child.resource, "setrlimit", lambda what, limit: limits.append((what, limit)))
        out = io.StringIO()
        child.main(io.StringIO(json.dumps({"do": "judge", "password": "sunshine1", "words": ["ann"]}) + "\n"), out)
        said = json.loads(out.getvalue())
        self.assertIn("tried first", said["why"])
        self.assertNotIn("sunshine1", out.getvalue())
        self.assertIn((child.resource.RLIMIT_CORE, (0, 0)), limits)
        out = io.StringIO()
        child.main(io.StringIO('{"do": "suggest", "count": 3}\n'), out)
        self.assertEqual(len(json.loads(out.getvalue())["passphrases"]), 3)


class Silent:
    """A judge that cannot be asked."""

    async def judge(self, password: str, words: Any) -> str:
        raise NotJudged("no process could be started: Cannot allocate memory")


class SettingTests(SynchronousTestCase):
    """The desk for accounts with a judge."""

    def users(self, judge: Any) -> Users:
        house = Household()
        users = Users.at(
            ":memory:", InlineWorkers(), house.clock, RememberedJournal(), UsersSettings(hashing=CHEAP), judge
        )
        now(users.start())
        now(users.domains.add("example.org"))
        return users

    def test_refused(self) -> None:
        """A weak one is neither a first nor a next password; nothing is changed by the attempt."""
        users = self.users(JudgedHere())
        error = self.assertRaises(UsersError, now, users.accounts.add("ann@example.org", "annexample1"))
        self.assertIn("names that everybody can find out", str(error))
        self.assertIn("password suggest", str(error))
        self.assertNotIn("annexample1", str(error))
        self.assertEqual(now(users.accounts.listing()), ())
        now(users.accounts.add("ann@example.org", "kupfer lampe regen"))
        before = users.directory.snapshot.accounts[Address("ann", "example.org")]
        self.assertRaises(UsersError, now, users.accounts.set_password("ann@example.org", "sunshine1"))
        self.assertEqual(users.directory.snapshot.accounts[Address("ann", "example.org")], before)

    def test_family(self) -> None:
        """Names of the other accounts count, too."""
        users = self.users(JudgedHere())
        now(users.accounts.add("wolfdietrich@example.org"))
        self.assertRaises(UsersError, now, users.accounts.add("ann@example.org", "Wolfdietrich7"))

    def test_judged_is_remembered(self) -> None:
        """What was set under a judge need not be looked at again; without one it must."""
        for judge_, judged in ((JudgedHere(), True), (None, False)):
            users = self.users(judge_)
            now(users.accounts.add("ann@example.org", "kupfer lampe regen"))
            now(users.accounts.set_password("ann@example.org", "tuba gurke wagen"))
            snapshot = users.directory.snapshot
            audit = snapshot.audit(snapshot.accounts[Address("ann", "example.org")])
            self.assertEqual((audit.judged is not None, audit.hash_version, audit.weak), (judged, 2, ""))

    def test_no_judge_to_be_had(self) -> None:
        """Then nothing is set but what we make ourselves."""
        users = self.users(Silent())
        error = self.assertRaises(UsersError, now, users.accounts.add("ann@example.org", "kupfer lampe regen"))
        self.assertIn("nothing was changed", str(error))
        self.assertTrue(now(users.accounts.add("ann@example.org")).password)
