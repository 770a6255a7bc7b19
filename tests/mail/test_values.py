"""Our own dataclass makes what the standard one makes."""

from __future__ import annotations

import ast
import copy
import dataclasses
import pathlib
import pickle
import threading
from typing import Any, ClassVar

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

import mailbox_appliance
from mailbox_appliance.mail import values

ROOT = pathlib.Path(mailbox_appliance.__file__).parent


@values.dataclass(frozen=True, slots=True)
class Letter:
    """A value with all that fields can be."""

    sender: str
    size: int = 0
    KIND: ClassVar[str] = "letter"
    names: tuple[str, ...] = ()
    notes: list[str] = dataclasses.field(default_factory=list, compare=False, repr=False)


@values.dataclass(frozen=True, slots=True, kw_only=True)
class Parcel(Letter):
    """One with more."""

    weight: int = 1


@values.dataclass(slots=True)
class Count:
    """One that changes."""

    number: int = 0


@values.dataclass(slots=True, eq=False)
class Turn:
    """One that equals only itself."""

    number: int = 0


@values.dataclass(frozen=True, slots=True)
class Own:  # noqa: PLW1641 - the decorator gives the hash
    """One with words of its own."""

    secret: str

    def __repr__(self) -> str:
        return "Own(…)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Own)


def standard(cls: type[Any], **how: bool) -> Any:
    """The same class by the standard decorator."""
    fields = [(field.name, field.type, field) for field in dataclasses.fields(cls)]
    return dataclasses.make_dataclass(cls.__name__, fields, **how)


class ValuesTests(SynchronousTestCase):
    """Made, compared, shown, refused."""

    @given(st.text(), st.integers(), st.lists(st.text(max_size=3), max_size=3), st.integers())
    def test_as_the_standard_one(self, sender: str, size: int, names: list[str], weight: int) -> None:
        """Instances look, hash and compare as those of the standard library do."""
        theirs = standard(Parcel, frozen=True)
        mine = Parcel(sender, size, tuple(names), weight=weight)
        other = theirs(sender, size, tuple(names), weight=weight)
        self.assertEqual(repr(mine), repr(other))
        self.assertEqual(hash(mine), hash(other))
        self.assertEqual(dataclasses.asdict(mine), dataclasses.asdict(other))
        self.assertEqual(mine, Parcel(sender, size, tuple(names), ["not compared"], weight=weight))
        self.assertNotEqual(mine, dataclasses.replace(mine, weight=weight + 1))
        self.assertNotEqual(Letter(sender, size), Parcel(sender, size))
        self.assertEqual(pickle.loads(pickle.dumps(mine)), mine)
        self.assertEqual(copy.copy(mine), mine)

    def test_fields(self) -> None:
        """Class variables are none; each instance has a list of its own; match takes them by place."""
        self.assertEqual([field.name for field in dataclasses.fields(Letter)], ["sender", "size", "names", "notes"])
        self.assertIsNot(Letter("a").notes, Letter("a").notes)
        self.assertFalse(hasattr(Letter("a"), "__dict__"))
        match Letter("a", 3):
            case Letter(sender, size):
                self.assertEqual((sender, size), ("a", 3))

    def test_arguments(self) -> None:
        """A wrong call is a TypeError that names the class."""
        error = self.assertRaises(TypeError, Letter)  # type: ignore[arg-type]
        self.assertIn("Letter.__init__", str(error))
        self.assertRaises(TypeError, Parcel, "a", 1, (), [], 5)  # type: ignore[arg-type]

    def test_frozen(self) -> None:
        """Nothing of a frozen value changes, before and after its methods are written."""
        letter = Letter("a")
        for change in (lambda: setattr(letter, "size", 1), lambda: delattr(letter, "size")):
            self.assertRaises(dataclasses.FrozenInstanceError, change)
        count = Count()
        count.number = 4
        self.assertEqual((count, Count.__hash__), (Count(4), None))

    def test_own_words(self) -> None:
        """What a class says itself stays; eq=False leaves identity; an own __eq__ gets the hash of the fields."""
        self.assertEqual(repr(Own("x")), "Own(…)")
        self.assertEqual(Own("x"), Own("y"))
        self.assertEqual(hash(Own("x")), hash(("x",)))
        self.assertNotEqual(Turn(), Turn())
        self.assertEqual(len({Turn(), Turn()}), 2)

    def test_no_mixture(self) -> None:
        """A frozen class comes from a frozen one."""
        self.assertRaises(TypeError, values.dataclass(slots=True), type("Child", (Letter,), {}))
        self.assertRaises(TypeError, values.dataclass(frozen=True, slots=True), type("Child", (Count,), {}))

    def test_written_once(self) -> None:
        """Methods are written at the first call, whichever of several threads comes first."""

        @values.dataclass(frozen=True, slots=True)
        class Fresh:
            number: int

        shared = Fresh.__init__
        made: list[Fresh] = []
        threads = [threading.Thread(target=lambda: made.append(Fresh(3))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(made, [Fresh(3)] * 8)
        self.assertIsNot(Fresh.__init__, shared)
        shared(made[0], 5)  # one that had looked it up before it was replaced
        self.assertEqual(made[0], Fresh(5))

    def test_nobody_uses_the_standard_one(self) -> None:
        """Six hundred classes at 14 KiB each would be eight megabytes of every start."""
        found = []
        for path in ROOT.rglob("*.py"):
            if path.samefile(values.__file__):
                continue
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.ImportFrom) and node.module == "dataclasses":
                    found += [str(path) for alias in node.names if alias.name == "dataclass"]
                elif isinstance(node, ast.Attribute) and node.attr == "dataclass":
                    found += [str(path)] if ast.unparse(node) == "dataclasses.dataclass" else []
        self.assertEqual(found, [])
