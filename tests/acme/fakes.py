"""An authority that signs at once, or says no as a test wishes."""

from __future__ import annotations

import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID
from twisted.internet.defer import Deferred

from mailbox_appliance.acme.client import Order, OrderFailed, Publish
from mailbox_appliance.acme.pairs import alternative_names, certificate_pem, new_key
from mailbox_appliance.ports.clock import Clock

TOKEN = "a-token-of-enough-letters"


class FakeAuthority:
    """Fits acme.client.Authority. ``refuses`` are names with reasons, ``silent`` holds every answer back."""

    def __init__(self, clock: Clock, days: float = 90.0) -> None:
        self.clock = clock
        self.days = days
        self.refuses: dict[str, str] = {}
        self.down = ""
        self.silent: Deferred[None] | None = None
        self.orders: list[Order] = []
        self.seen: list[bytes | None] = []
        self.look = lambda token: b""
        self.stopped = False

    async def order(self, order: Order, publish: Publish) -> bytes:
        self.orders.append(order)
        if self.down:
            raise OrderFailed(self.down)
        await publish({TOKEN: "answer"})
        self.seen.append(self.look(TOKEN))
        if self.silent is not None:
            await self.silent
        refused = {name: why for name, why in self.refuses.items() if name in order.names}
        if refused:
            raise OrderFailed("refused", refused)
        request = x509.load_pem_x509_csr(order.csr)
        begin = datetime.datetime.fromtimestamp(self.clock.seconds(), datetime.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Fake CA")]))
            .public_key(request.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(begin + datetime.timedelta(days=self.days))
            .add_extension(alternative_names(order.names), critical=False)
            .sign(new_key(), hashes.SHA256())
        )
        return certificate_pem(certificate)

    def stop(self) -> None:
        self.stopped = True
