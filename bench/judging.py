"""What judging one message costs without the net, the disk and the junk filter: ``python -m bench.judging [-n 3000]``.

All answers are at hand, as in a warm cache, and the sender has written before. The fifth percentile is what the work
takes when nothing comes between; it says more than the median on a machine that does something else as well.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred

from mailbox_appliance.checks.greylist import Greylist
from mailbox_appliance.checks.personal import Acquaintance, PersonalVerdicts
from mailbox_appliance.checks.reputation import MIGRATIONS as REPUTATION
from mailbox_appliance.checks.reputation import Reputation
from mailbox_appliance.checks.senders import MIGRATIONS as SENDERS
from mailbox_appliance.checks.senders import Senders
from mailbox_appliance.checks.settings import dns_lists
from mailbox_appliance.database import Database
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.client import Client, Origin, peer_address
from mailbox_appliance.mail.envelope import Envelope, Recipient
from mailbox_appliance.mail.message import Content
from mailbox_appliance.mail.verdict import Verdict
from mailbox_appliance.ports.delivery import Parcel
from tests.checks.scene import ATTACKER_IP, Scene, letter, signed
from tests.kit.fake_junk import FakeJunkFilter
from tests.mailauth.proof import split

ANN, EVE = Address("ann", "home.test"), Address("eve", "attacker.test")
BODY = "".join(f"Line {number}: shall we meet on Sunday, or some other day?\n" for number in range(180))


async def nobody(account: Address, author: Address) -> bool:
    return False


def content_of(message: bytes) -> Content:
    header, body = split(message)
    return Content(header, body, message.count(b"\n"))


def show(name: str, count: int, call: Callable[[int], object]) -> None:
    for number in range(100):
        call(-number)
    times = []
    for number in range(count):
        began = time.perf_counter()
        call(number)
        times.append(time.perf_counter() - began)
    times.sort()
    print(f"{name:44} {times[count // 20] * 1e6:6.0f} us, median {times[count // 2] * 1e6:6.0f} us")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=3000)
    count = parser.parse_args().n
    with tempfile.TemporaryDirectory() as folder:
        lists = {"lists": dns_lists(("bl.example",)), "domain_lists": dns_lists(("dbl.example",))}
        scene = Scene(people=("Ann Miller",), **lists)
        scene.dns.remembered = {}
        path = Path(folder)
        scene.checks.reputation = Reputation(Database(str(path / "r.db"), REPUTATION, scene.workers), scene.clock)
        senders = Senders(Database(str(path / "s.db"), SENDERS, scene.workers), scene.clock)
        acquaintance = Acquaintance(senders, Greylist(scene.clock), nobody)
        persons = PersonalVerdicts(scene.settings, FakeJunkFilter(), acquaintance, scene.journal)
        client = Client(peer_address(ATTACKER_IP), 40000, "smtp", "attacker.test", True)
        envelope = Envelope(EVE, (Recipient(ANN),))

        def run(work: Coroutine[Deferred[Any], Any, Any]) -> Any:
            found = Deferred.fromCoroutine(work)
            while not found.called:
                scene.clock.advance(0)
            scene.journal.events.clear()
            return found.result

        def examine(content: Content, number: int) -> Verdict:
            parcel = Parcel(f"trace{number}", Origin.WAN, envelope, content, client=client)
            verdict: Verdict = run(scene.checks.examine(parcel))
            return verdict

        plain = content_of(letter("eve@attacker.test", BODY))
        with_key = content_of(signed(letter("eve@attacker.test", BODY), "attacker.test"))
        show("the checks, 10 KB", count, lambda number: examine(plain, number))
        show("the checks, 10 KB with an RSA signature", count, lambda number: examine(with_key, number))
        verdict = examine(plain, 0)

        def personal(number: int) -> object:
            parcel = Parcel(f"trace{number}", Origin.WAN, envelope, plain, verdict, client)
            return run(persons.examine_for(parcel, ANN))

        show("one recipient's verdict, without the filter", count, personal)
        senders.close()
        scene.checks.reputation.close()


if __name__ == "__main__":
    main()
