"""The filter as its port: judging, learning, forgetting, explaining, lasting."""

from __future__ import annotations

import os
import pathlib
import shutil
import tempfile
from collections.abc import Coroutine
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.database import Database
from mailbox_appliance.journal.events.junk import FilterDead, Learnt, MemoryUnreadable, Unlearnt
from mailbox_appliance.junk import weighing
from mailbox_appliance.junk.features import VIEWS, features_of
from mailbox_appliance.junk.memory import MIGRATIONS, Lesson, pack
from mailbox_appliance.junk.selftest import GTUBE
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.message import Content, SpooledBody
from mailbox_appliance.ports.junk import Judgement
from tests.junk.letters import ANN, BOB, Place, advertisement, content_of, letter, note


def added_by(lessons: list[Lesson]) -> bytes:
    """The weights that these lessons make."""
    weights = weighing.empty()
    for lesson in lessons:
        for step, slots in zip(lesson.steps.of, lesson.views(), strict=True):
            weighing.apply(weights, slots, step)
    return weights.tobytes()


class FilterTests(SynchronousTestCase):
    """StatisticalFilter with real files and no threads."""

    def setUp(self) -> None:
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)
        self.place = Place(self.folder)

    def judge(
        self, octets: bytes, account: Address | None = ANN, place: Place | None = None, *, explain: bool = False
    ) -> Judgement:
        judging = (place or self.place).filter.judge(account, content_of(octets), explain=explain)
        judgement: Judgement = self.done(judging)
        return judgement

    def done(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """The answer; tasks that gave way to others go on at once."""
        waiting = Deferred.fromCoroutine(coroutine)
        while not waiting.called:
            self.place.clock.advance(0)
        return self.successResultOf(waiting)

    def teach(self, count: int = 20, account: Address = ANN) -> None:
        for number in range(count):
            self.done(self.place.filter.learn(account, advertisement(number), True))
            self.done(self.place.filter.learn(account, note(number), False))

    def test_prior_alone(self) -> None:
        """Nobody has taught anything: a letter passes, and judging makes no file."""
        judgement = self.judge(note())
        self.assertFalse(judgement.is_junk)
        self.assertEqual(judgement.lessons, 0)
        self.assertEqual(os.listdir(self.folder), [])

    def test_what_is_looked_at(self) -> None:
        """As long as nobody has taught anything only the reading is made; what is said is the same."""
        self.assertEqual(len(features_of(note(), all_views=False).views), 1)
        untaught = self.judge(advertisement())
        self.place.filter._accounts[self.place.file()].memory._own_weights()
        self.assertEqual(self.judge(advertisement()), untaught)

    def test_learns(self) -> None:
        """After some lessons unseen messages of both kinds are told apart."""
        self.teach()
        for number in range(100, 130):
            self.assertTrue(self.judge(advertisement(number)).is_junk, number)
            self.assertFalse(self.judge(note(number)).is_junk, number)
        self.assertEqual(self.judge(note()).lessons, 40)

    def test_each_for_himself_and_all_together(self) -> None:
        """What Ann taught helps Bob half as much through the family, and not at all when nothing is shared."""
        before = self.judge(advertisement(200), BOB).score
        self.teach()
        mine, his = self.judge(advertisement(200), ANN).score, self.judge(advertisement(200), BOB).score
        self.assertGreater(mine, his)
        self.assertGreater(his, before)
        apart = Place(os.path.join(self.folder, "apart"), share=False)
        for number in range(20):
            self.done(apart.filter.learn(ANN, advertisement(number), True))
        self.assertEqual(self.judge(advertisement(200), BOB, apart).score, before)
        self.assertFalse(os.path.exists(apart.settings.family))

    def test_only_junk_taught(self) -> None:
        """Who has shown nothing but junk does not lose his letters."""
        for number in range(30):
            self.done(self.place.filter.learn(ANN, advertisement(number), True))
        for number in range(30):
            self.assertFalse(self.judge(note(number)).is_junk, number)

    def test_one_slip(self) -> None:
        """A single letter in Junk says little about the next ones of its kind; ten say it aloud."""
        scores = []
        for number in range(11):
            scores.append(self.judge(advertisement(100)).score)
            self.done(self.place.filter.learn(ANN, advertisement(number), True))
        self.assertLess(scores[1] - scores[0], (scores[10] - scores[0]) / 4)

    def test_ten_of_a_kind(self) -> None:
        """Ten alike in Junk and nothing else: the eleventh is junk, a letter of another kind is not."""
        for number in range(10):
            self.done(self.place.filter.learn(ANN, advertisement(number), True))
        self.assertTrue(self.judge(advertisement(11)).is_junk)
        self.assertFalse(self.judge(note()).is_junk)

    def test_forgetting_restores(self) -> None:
        """What is forgotten leaves nothing: the weights are what the lessons that stay have added, whatever came between."""
        self.teach(5)
        self.done(self.place.filter.learn(ANN, advertisement(77), False))
        self.done(self.place.filter.learn(ANN, note(78), False))
        lessons = self.lessons(ANN)
        self.assertTrue(self.done(self.place.filter.forget(ANN, advertisement(77))))
        left = self.lessons(ANN)
        self.assertEqual((len(lessons), len(left)), (12, 11))
        self.assertLess(set(left), set(lessons))
        self.assertEqual(self.weights(ANN), added_by(left))
        self.assertFalse(self.done(self.place.filter.forget(ANN, advertisement(77))))
        self.assertEqual(len(self.place.journal.of(Unlearnt)), 1)

    def test_gone_over(self) -> None:
        """Old lessons are gone over with each new one: they change, and the weights are still what they add together."""
        self.teach(3)
        before = {lesson.key: lesson for lesson in self.lessons(ANN)}
        self.done(self.place.filter.learn(ANN, advertisement(4), False))
        self.done(self.place.filter.learn(ANN, note(6), False))
        after = self.lessons(ANN)
        self.assertTrue([one for one in after if one.key in before and one != before[one.key]])
        self.assertEqual(self.weights(ANN), added_by(after))
        for lesson in after:
            self.assertTrue(all((step >= 0) if lesson.junk else (step <= 0) for step in lesson.steps.of))

    def test_older_files(self) -> None:
        """A file of a schema before keeps its lessons; they speak again as soon as they have been gone over."""
        columns = "key, learnt, junk, reading, glance, bearing, reading_slots, glance_slots, bearing_slots"
        for schema in range(1, len(MIGRATIONS)):
            self.place = Place(os.path.join(self.folder, str(schema)))
            path = self.place.file()
            os.makedirs(os.path.dirname(path))
            views = [pack(view) for view in features_of(advertisement(1)).views[:3]]
            old = Database(path, MIGRATIONS[:schema], self.place.workers)
            old.run_now(lambda file: file.execute("INSERT INTO page VALUES (3, x'00')"))
            insert = f"INSERT INTO lesson ({columns}) VALUES (?, 1700000000, 1, 9, 9, 9, ?, ?, ?)"
            old.run_now(lambda file, insert=insert, views=views: file.execute(insert, (b"k", *views)))
            old.run_now(lambda file: file.execute("UPDATE total SET junk=1, octets=500"))
            old.close()
            self.speaks_again()

    def speaks_again(self) -> None:
        self.assertEqual(self.judge(note()).lessons, 1)
        self.done(self.place.filter.learn(ANN, note(), False))
        (lesson,) = [lesson for lesson in self.lessons(ANN) if lesson.key == b"k"]
        self.assertGreater(lesson.steps.of[0], 0)
        self.assertEqual(lesson.steps.of[1:], (0,) * (len(VIEWS) - 1))  # views that were not there
        self.assertEqual(self.weights(ANN), added_by(self.lessons(ANN)))
        self.assertEqual(self.kept(ANN), sum([lesson.octets for lesson in self.lessons(ANN)]))

    def kept(self, account: Address) -> int:
        return self.place.filter._accounts[self.place.file(account)].memory._octets

    def lessons(self, account: Address) -> list[Lesson]:
        loaded = self.place.filter._accounts[self.place.file(account)]
        found: list[Lesson] = self.done(loaded.memory.some(1000))
        return found

    @settings(max_examples=15, deadline=None)
    @given(st.lists(st.tuples(st.integers(0, 9), st.booleans(), st.booleans()), max_size=25))
    def test_any_order(self, steps: list[tuple[int, bool, bool]]) -> None:
        """Any mixture of lessons, changes of mind and forgettings, all forgotten in the end, leaves nothing."""
        place = self.place = Place(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, place.folder, ignore_errors=True)
        for number, junk, forget in steps:
            octets = advertisement(number) if number % 2 else note(number)
            if forget:
                self.done(place.filter.forget(ANN, octets))
            else:
                self.done(place.filter.learn(ANN, octets, junk))
        for number in range(10):
            self.done(place.filter.forget(ANN, advertisement(number) if number % 2 else note(number)))
        self.assertEqual(self.weights(ANN).strip(b"\0"), b"")
        self.done(place.filter.stop())

    def weights(self, account: Address) -> bytes:
        loaded = self.place.filter._accounts.get(self.place.file(account))
        return loaded.memory.weights.tobytes() if loaded else b""

    def test_change_of_mind(self) -> None:
        """The contrary of a lesson replaces it."""
        self.teach(8)
        self.done(self.place.filter.learn(ANN, advertisement(3), False))
        self.assertEqual(self.judge(note()).lessons, 16)
        learnt = self.place.journal.of(Learnt)[-1]
        self.assertEqual((learnt.junk, learnt.lessons), (False, 16))

    def test_line_ends_do_not_matter(self) -> None:
        """A message learnt with CRLF is the same message with LF."""
        self.done(self.place.filter.learn(ANN, advertisement().replace(b"\n", b"\r\n"), True))
        self.assertTrue(self.done(self.place.filter.forget(ANN, advertisement())))

    def test_lasts(self) -> None:
        """A new process finds what was taught, with and without a picture of the weights; the file is 0600."""
        self.teach(8)
        said = self.judge(advertisement(99))
        for _ in range(2):
            again = Place(self.folder)
            self.assertEqual(self.judge(advertisement(99), place=again), said)
            loaded = again.filter._accounts[again.file()]
            self.done(loaded.memory.picture())
            self.done(again.filter.stop())
        self.assertEqual(os.stat(self.place.file()).st_mode & 0o777, 0o600)

    def test_ageing(self) -> None:
        """Lessons older than the limit are taken back, a few with each new lesson."""
        self.teach(5)
        self.place.clock.advance(self.place.settings.remember + 1)
        self.done(self.place.filter.learn(ANN, advertisement(500), True))
        self.assertEqual(self.judge(note()).lessons, 1)
        self.assertEqual(self.place.journal.of(Learnt)[-1].aged, 10)

    def test_room(self) -> None:
        """When lessons take more room than they may, the oldest go."""
        place = self.place = Place(os.path.join(self.folder, "small"), most_octets=8_000, family_octets=8_000)
        for number in range(60):
            place.clock.advance(60)
            self.done(
                place.filter.learn(ANN, letter(f"w{number}", " ".join(f"x{number}y{n}" for n in range(90))), True)
            )
        loaded = place.filter._accounts[place.file()]
        self.assertLessEqual(loaded.memory._octets, 8_000)
        self.assertGreater(loaded.memory.lessons, 2)

    def test_few_are_held(self) -> None:
        """No more accounts are held in memory than the setting says, and one that was let go comes back."""
        accounts = [Address(f"user{number}", "example.org") for number in range(9)]
        for account in accounts:
            self.done(self.place.filter.learn(account, advertisement(), True))
        held = [one for one in self.place.filter._accounts.values() if not one.memory.is_blank]
        self.assertLessEqual(len(held), self.place.settings.loaded + 1)
        self.assertEqual(self.judge(note(), accounts[0]).lessons, 1)

    def test_explains(self) -> None:
        """The ten strongest tokens, strongest first, in words; evidence carries them."""
        self.teach()
        judgement = self.judge(advertisement(300), explain=True)
        weights = [abs(token.weight) for token in judgement.tokens]
        self.assertEqual(len(weights), 10)
        self.assertEqual(weights, sorted(weights, reverse=True))
        self.assertTrue(
            any("cheap" in token.text or "order" in token.text or "link" in token.text for token in judgement.tokens)
        )
        evidence = judgement.as_evidence()
        self.assertEqual((evidence.check, evidence.result), ("content", "junk"))
        self.assertNotIn(judgement.tokens[0].text, evidence.reason)  # the journal holds no words of a message

    def test_explains_when_asked(self) -> None:
        """Clearly wanted mail is explained only when somebody asks."""
        self.teach()
        self.assertEqual(self.judge(note(300)).tokens, ())
        asked = self.done(self.place.filter.judge(ANN, content_of(note(300)), explain=True))
        self.assertEqual(len(asked.tokens), 10)
        self.assertLess(asked.tokens[0].weight, 0)

    def test_what_others_found(self) -> None:
        """Results of other checks count."""
        plain = self.done(self.place.filter.judge(ANN, content_of(note())))
        failed = self.done(self.place.filter.judge(ANN, content_of(note()), ("dmarc fail", "dnsbl listed")))
        self.assertGreater(failed.score, plain.score + 2)

    def test_gtube(self) -> None:
        """The public test text is junk whatever was taught."""
        self.assertEqual(self.judge(letter("x", GTUBE.decode())).probability, 1.0)

    def test_self_test(self) -> None:
        """Alive on the first day; dead, and said so, when the family's file is broken."""
        self.assertTrue(self.done(self.place.filter.self_test()))
        os.makedirs(self.place.settings.family)
        pathlib.Path(self.place.settings.family, "family.db").write_bytes(b"rubbish" * 1000)
        broken = Place(self.folder)
        self.assertFalse(self.done(broken.filter.self_test()))
        self.assertEqual(len(broken.journal.of(FilterDead)), 1)

    def test_damaged_file(self) -> None:
        """A broken file: mail is judged without it, the journal says so once, and a lesson fails loudly."""
        os.makedirs(os.path.dirname(self.place.file()))
        pathlib.Path(self.place.file()).write_bytes(b"rubbish" * 1000)
        for _ in range(3):
            judgement = self.judge(note())
            self.assertFalse(judgement.is_junk)
            self.assertIn("junk.db", judgement.trouble)
        self.assertEqual([event.path for event in self.place.journal.of(MemoryUnreadable)], [self.place.file()])
        failure = self.failureResultOf(Deferred.fromCoroutine(self.place.filter.learn(ANN, note(), False)))
        self.assertIn("junk.db", str(failure.value))

    def test_spooled(self) -> None:
        """A body in a file is read as far as it is looked at."""
        octets = note()
        content = content_of(octets)
        assert isinstance(content.body, bytes)
        path = os.path.join(self.folder, "spool")
        pathlib.Path(path).write_bytes(b"before" + content.body + b"x" * 1_000_000)
        spooled = Content(content.header, SpooledBody(path, 6, len(content.body)), content.lines)
        self.assertEqual(self.done(self.place.filter.judge(ANN, spooled)), self.judge(octets))
