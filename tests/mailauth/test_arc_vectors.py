"""The public ARC suite: what each message's chain is worth, when $MAILAPPLIANCE_VECTORS names the vectors."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from mailbox_appliance.mailauth import arc
from mailbox_appliance.mailauth.canonical import RELAXED, SIMPLE, HeaderBlock
from mailbox_appliance.mailauth.sign import SigningKey, load_key, seal_fields
from tests.mailauth.proof import Book, body_digest, split, vectors


class ArcSuiteTests(SynchronousTestCase):
    """cv as the suite has it; its three empty values are chains that a sealer has ended with cv=fail."""

    def test_validation(self) -> None:
        """171 of 171."""
        path = vectors("arc") / "arc-draft-validation-tests.yml"
        import yaml

        right, wrong = 0, []
        for document in yaml.safe_load_all(path.read_text("utf-8")):
            book = Book(document["txt-records"])
            for name, case in document["tests"].items():
                header, body = split(case["message"].encode())
                block = HeaderBlock(header)
                chain = arc.read_chain(block, 1_600_000_000.0)
                bodies = {form: body_digest(body, form) for form in (RELAXED, SIMPLE)}
                result = book.settle(lambda answers: arc.judge(block, chain, bodies, answers))  # noqa: B023
                wanted = str(case["cv"]).strip().lower()
                if result.result == wanted or (not wanted and result.ended):
                    right += 1
                else:
                    wrong.append(f"{name}: {result.result} ({result.reason}), not {wanted!r}: {case['description']}")
        self.assertEqual(wrong, [], "\n".join(wrong))
        self.assertEqual(right, 171)

    def test_signing(self) -> None:
        """What our set says is what the suite's says, and it holds: the layout of fields is each sealer's own.

        Compared are body hash, instance, domain, selector, time and chain value. The suite chooses the signed fields and
        the order of tags, which we choose ourselves, so signatures are proven instead of compared; the results are
        what our checks have found, not what other fields of the message say, so the suite's are given.
        """
        path = vectors("arc") / "arc-draft-sign-tests.yml"
        if not path.is_file():
            raise SkipTest("$MAILAPPLIANCE_VECTORS has no sign tests")
        import yaml

        right, wrong = 0, []
        for document in yaml.safe_load_all(path.read_text("utf-8")):
            book = Book(document["txt-records"])
            key = load_key(document["domain"], document["sel"], document["privatekey"].encode())
            for name, case in document["tests"].items():
                trouble = self._sealed(book, key, case)
                if trouble:
                    wrong.append(f"{name}: {trouble}: {case['description']}")
                else:
                    right += 1
        self.assertEqual(wrong, [], "\n".join(wrong))
        self.assertEqual(right, 17)

    def _sealed(self, book: Book, key: SigningKey, case: dict[str, Any]) -> str:
        """What is wrong with our seal, "" when nothing is."""
        header, body = split(case["message"].encode())
        block, now = HeaderBlock(header), float(case["t"])
        bodies = {form: body_digest(body, form) for form in (RELAXED, SIMPLE)}
        chain = arc.read_chain(block, now)
        before = book.settle(lambda answers: arc.judge(block, chain, bodies, answers))
        results = " ".join(str(case["AAR"]).partition(";")[2].split())
        fields = seal_fields(block, bodies[RELAXED], chain, before.result, key, results=results, now=now)
        if not str(case["AS"]).strip():
            return "sealed what should not be" if fields else ""
        if not fields:
            return f"not sealed ({before.result}: {before.reason})"
        sealed = HeaderBlock(fields + header)
        said = {one: _tags(sealed.all(name)[0].raw) for one, name in (("AS", arc.AS), ("AMS", arc.AMS))}
        for one, names in (("AS", "a cv d i s t"), ("AMS", "a bh c d i s t")):
            wanted = _tags(b"x: " + str(case[one]).encode())
            for tag in names.split():
                if said[one].get(tag) != wanted.get(tag):
                    return f"{one} {tag}={said[one].get(tag)}, not {wanted.get(tag)}"
        seen = sealed.all(arc.AAR)[0].raw.partition(b":")[2]
        if b"".join(seen.split()) != "".join(str(case["AAR"]).split()).encode():
            return f"AAR {seen!r}"
        after = book.settle(lambda answers: arc.judge(sealed, arc.read_chain(sealed, now), bodies, answers))
        wanted_result = "fail" if said["AS"]["cv"] == "fail" else "pass"
        return "" if after.result == wanted_result else f"{after.result}: {after.reason}"


def _tags(field: bytes) -> dict[str, str]:
    pairs = (tag.partition("=") for tag in field.partition(b":")[2].decode().split(";"))
    return {name.strip(): "".join(value.split()) for name, equals, value in pairs if equals}
