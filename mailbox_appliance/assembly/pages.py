"""The pages of the process: tokens for the certificate authority, and our MTA-STS policy over TLS."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from twisted.protocols.tls import TLSMemoryBIOFactory

from mailbox_appliance.acme.keeper import CertificateKeeper
from mailbox_appliance.acme.tokens import ChallengeTokens
from mailbox_appliance.config.model import Config
from mailbox_appliance.mailauth.mtasts_policy import Policy
from mailbox_appliance.ports.journal import HasFailed
from mailbox_appliance.ports.lists import OneClick
from mailbox_appliance.ports.users import OwnPassword
from mailbox_appliance.web.leaving import LeavePages
from mailbox_appliance.web.mtasts import own_policy, policy_id, policy_names, policy_pages
from mailbox_appliance.web.password import PasswordPages
from mailbox_appliance.web.site import Pages, SiteFactory, first_of, first_post_of
from mailbox_appliance.web.tokens import token_pages


class WebPages:
    """What listen.http and listen.https serve; ``mail_hosts`` are where the MX of our domains lead.

    ``certificates`` is set once the keeper stands, which needs our names itself.
    """

    certificates: CertificateKeeper | None = None

    def __init__(
        self,
        config: Config,
        reactor: Any,
        tokens: ChallengeTokens,
        domains: Callable[[], Collection[str]],
        mail_hosts: Callable[[], tuple[str, ...]],
    ) -> None:
        self._leaving: LeavePages | None = None
        self._passwords: PasswordPages | None = None
        self._journal: HasFailed | None = None
        self._config = config
        self._reactor = reactor
        self._domains = domains
        self.mail_hosts = mail_hosts
        self._tokens: Pages = token_pages(tokens.answer)

    def broken(self, error: BaseException) -> None:
        """A page could not be made."""
        if self._journal is not None:
            self._journal.broken("web", error)

    def serve_lists(self, lists: OneClick, journal: HasFailed) -> None:
        """Members of mailing lists leave by one click, once the lists stand."""
        self._leaving, self._journal = LeavePages(lists), journal

    def serve_passwords(self, door: OwnPassword) -> None:
        """People change their own password, once users and guard stand."""
        self._passwords = PasswordPages(door)

    def take_over(self, config: Config) -> None:
        """``reload``."""
        self._config = config

    def policy(self) -> Policy:
        """Our MTA-STS policy of the hour."""
        return own_policy(self._config.tls.mta_sts, self.mail_hosts())

    @property
    def policy_id(self) -> str:
        """For the TXT record; "" when no policy is served."""
        return policy_id(self.policy()) if self._config.listen.https else ""

    def names(self) -> tuple[str, ...]:
        """The names that the certificate must carry beside the host's."""
        return policy_names(self._domains()) if self._config.listen.https else ()

    def http(self) -> SiteFactory:
        """For listen.http."""
        return SiteFactory(self._tokens, self._reactor)

    def https(self) -> TLSMemoryBIOFactory:
        """For listen.https: TLS from the first octet, the certificate chosen at each handshake."""
        pages = first_of(policy_pages(self._domains, self.policy), self._tokens)
        with_forms = [one for one in (self._leaving, self._passwords) if one is not None]
        site: Any = SiteFactory(pages, self._reactor)
        if with_forms:
            pages = first_of(pages, *(one.page for one in with_forms))
            posts = first_post_of(*(one.post for one in with_forms))
            site = SiteFactory(pages, self._reactor, posts, self.broken)
        assert self.certificates is not None
        return TLSMemoryBIOFactory(self.certificates.for_server(protocols=(b"http/1.1",)), False, site)
