"""What a mail program must be told: the settings that ``account add`` prints and the welcome message holds."""

from __future__ import annotations

from mailbox_appliance.admin.passwords import page_base
from mailbox_appliance.config.model import Config, Endpoint

# what it is for, protocol with TLS from the start, protocol with STARTTLS
_PAIRS = (("reading (IMAP)", "imaps", "imap"), ("sending (SMTP)", "submissions", "submission"))


class ClientSettings:
    """Made from the config; ports are those of the first endpoint of each protocol."""

    def __init__(self, config: Config) -> None:
        self._config = config

    def lines(self, account: str, *, for_owner: bool = True) -> tuple[str, ...]:
        """The settings of ``account`` for people, one fact a line; ``for_owner``: he has the command line."""
        facts = self.facts(account)
        found = [f"user name: {account}"]
        for service in facts["services"]:
            found.append(f"{service['for']}: {service['host']} port {service['port']}, {service['security']}")
        if not facts["services"]:
            found.append("no port for mail programs is open: see [listen] in the config")
        if for_owner:
            found.append("password: the account's own, or better one for each device: mailappliance apppassword new")
            return tuple(found)
        found.append("password: the one you were given")
        if page := self.password_page():
            found.append(f"another password: {page}")
        return tuple(found)

    def password_page(self) -> str:
        """Where people change their own password; "" when no page is served, or a pair's edge serves it."""
        base = page_base(self._config) if self._config.role == "all" else ""
        return base and f"{base}/password"

    def facts(self, account: str) -> dict[str, list[dict[str, str | int]]]:
        """The same for machines; of each pair of protocols the one with TLS from the start comes first (RFC 8314)."""
        endpoints = self._config.listen.endpoints()
        services: list[dict[str, str | int]] = []
        for purpose, implicit, starttls in _PAIRS:
            for protocol, security in ((implicit, "SSL/TLS"), (starttls, "STARTTLS")):
                for endpoint in endpoints[protocol][:1]:
                    host = _host(endpoint, self._config.hostname)
                    services.append(
                        {"for": purpose, "host": host, "port": endpoint.port, "security": security, "user": account}
                    )
        return {"services": services}


def _host(endpoint: Endpoint, hostname: str) -> str:
    return "localhost" if endpoint.is_loopback else hostname
