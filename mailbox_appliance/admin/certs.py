"""Certificates: cert show|renew|rotate."""

from __future__ import annotations

from collections.abc import Awaitable

from mailbox_appliance.admin.parts import CertificateKeeper
from mailbox_appliance.admin.result import Refused, Result, refusing
from mailbox_appliance.admin.verb import Arguments
from mailbox_appliance.admin.words import iso_moment, moment_words, span_words
from mailbox_appliance.ports.certificates import Certificates, CertificateTrouble
from mailbox_appliance.ports.clock import Clock


class CertDesk:
    """``keeper`` None: the certificate comes from files, and somebody else renews it."""

    def __init__(self, certificates: Certificates, keeper: CertificateKeeper | None, clock: Clock) -> None:
        self._certificates = certificates
        self._keeper = keeper
        self._clock = clock

    async def show(self, arguments: Arguments) -> Result:
        """What is in use, for which names, how long."""
        lines: list[str] = []
        data = []
        for state in self._certificates.states():
            left = state.not_after - self._clock.seconds()
            ends = f"{span_words(left)} left" if left > 0 else f"ended {span_words(-left)} ago"
            lines += [
                f"names: {', '.join(state.names)}",
                f"issuer: {state.issuer}",
                f"valid: {moment_words(state.not_before)} to {moment_words(state.not_after)} ({ends})",
                f"source: {state.source}",
            ]
            if state.trouble:
                lines.append(f"trouble: {state.trouble}")
            lines.append("")
            data.append(
                {
                    "names": list(state.names),
                    "issuer": state.issuer,
                    "not_before": iso_moment(state.not_before),
                    "not_after": iso_moment(state.not_after),
                    "source": state.source,
                    "trouble": state.trouble,
                }
            )
        return Result(tuple(lines[:-1]) or ("there is no certificate yet",), data=data)

    async def renew(self, arguments: Arguments) -> Result:
        """Get a new certificate for the same key, now."""
        said = await _or_refused(self._asked().renew())
        return Result((said,), data={"said": said})

    async def rotate(self, arguments: Arguments) -> Result:
        """Announce a new key; its turn comes two days later, or now."""
        said = await _or_refused(self._asked().rotate(now=bool(arguments.get("now"))))
        return Result((said,), data={"said": said})

    def _asked(self) -> CertificateKeeper:
        if self._keeper is None:
            raise Refused(
                "the certificate comes from the files named in [tls]: renew those, then run `mailappliance reload`"
            )
        return self._keeper


async def _or_refused(asked: Awaitable[str]) -> str:
    """What the keeper says; its trouble, remedy and all, is a refusal and no fault of ours."""
    with refusing(CertificateTrouble):
        return await asked
