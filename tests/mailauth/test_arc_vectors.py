"""The public ARC suite: what each message's chain is worth, when $MAILAPPLIANCE_VECTORS names the vectors."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.mailauth import arc
from mailbox_appliance.mailauth.canonical import RELAXED, SIMPLE, HeaderBlock
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
