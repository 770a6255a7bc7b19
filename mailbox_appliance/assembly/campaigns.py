"""Many guesses at one account: the owner hears of the campaign once, not of each try."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred

from mailbox_appliance.delivery.notices import Notices
from mailbox_appliance.guard.attempts import Campaign
from mailbox_appliance.journal.events.guard import CampaignSeen
from mailbox_appliance.journal.journal import Journal
from mailbox_appliance.mail.address import Address
from mailbox_appliance.users.portal import account_of
from mailbox_appliance.users.station import Users


def tell_of_campaigns(users: Users, notices: Notices, journal: Journal) -> Callable[[Campaign], None]:
    """For RememberingGuard.on_campaign; guesses at names that nobody has are not worth a word."""

    async def tell(account: Address, campaign: Campaign) -> None:
        owner = await users.directory.owner(account.domain) or account
        try:
            await notices.send(owner, f"Somebody is guessing the password of {account}", words_about(account, campaign))
        except Exception as error:  # noqa: BLE001 - the journal has said it
            journal.broken("guard", error)

    def seen(campaign: Campaign) -> None:
        record = account_of(users.directory.snapshot, campaign.account)
        if record is None:
            return
        journal.tell(
            CampaignSeen(
                account=str(record.address),
                failures=campaign.failures,
                sources=campaign.sources,
                service=", ".join(campaign.services),
            )
        )
        Deferred.fromCoroutine(tell(record.address, campaign))

    return seen


def account_names(users: Users) -> Callable[[str], str]:
    """For RememberingGuard.name_accounts."""

    def named(typed: str) -> str:
        record = account_of(users.directory.snapshot, typed)
        return "" if record is None else str(record.address)

    return named


def words_about(account: Address, campaign: Campaign) -> str:
    """What the owner reads."""
    return (
        f"{campaign.failures} wrong passwords for {account} came from {campaign.sources} addresses within a day, by "
        f"{', '.join(campaign.services)}.\n\n"
        "Nobody got in by them. Addresses that guess too often are shut out by themselves, and devices that have "
        "logged in before are not disturbed. Should many go on, the main password is not looked at for up to an hour "
        "where it comes from places unknown so far; app passwords are taken all the time (mailappliance apppassword "
        "new). "
        "There is nothing you must do, if the password is a good one and is used "
        "nowhere else; when in doubt, set another:\n\n"
        f"    mailappliance account password {account}\n\n"
        "Who tried what: mailappliance guard log\n"
        "You will hear of this account's campaigns once a day at most.\n"
    )
