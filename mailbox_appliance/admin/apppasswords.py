"""The passwords of devices: apppassword new|list|revoke."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mailbox_appliance.admin.result import Result, listing, refusing
from mailbox_appliance.admin.verb import Arguments
from mailbox_appliance.admin.words import iso_moment, text_argument
from mailbox_appliance.users.answers import UsersError

if TYPE_CHECKING:
    from mailbox_appliance.users.desks.apppasswords import AppPasswords


class AppPasswordDesk:
    """apppassword new|list|revoke"""

    def __init__(self, app_passwords: AppPasswords) -> None:
        self._app_passwords = app_passwords

    async def new(self, arguments: Arguments) -> Result:
        """Make the password of one device; it is shown once."""
        with refusing(UsersError):
            new = await self._app_passwords.new(text_argument(arguments, "address"), text_argument(arguments, "device"))
        lines = (
            f"password of the device {new.label!r} of {new.account}, shown only now:",
            "",
            f"  {new.secret}",
            "",
            f"a lost device is shut out by: mailappliance apppassword revoke {new.account} {new.key}",
        )
        data = {"account": new.account, "device": new.label, "key": new.key, "password": new.secret}
        return Result(lines, data=data)

    async def list(self, arguments: Arguments) -> Result:
        """Devices with passwords of their own."""
        with refusing(UsersError):
            found = await self._app_passwords.listing(str(arguments.get("address") or "") or None)
        rows: list[dict[str, Any]] = [
            {
                "account": one.account,
                "device": one.label,
                "key": one.key,
                "made": iso_moment(one.made),
                "used": iso_moment(one.used),
                "used_from": one.used_from,
                "used_by": one.used_by,
            }
            for one in found
        ]
        return listing(
            ("account", "device", "key", "made", "used", "used_from", "used_by"),
            rows,
            'no device has a password of its own: mailappliance apppassword new ann@example.org "Ann\'s phone"',
        )

    async def revoke(self, arguments: Arguments) -> Result:
        """Make a device's password worthless."""
        with refusing(UsersError):
            gone = await self._app_passwords.revoke(
                text_argument(arguments, "address"), text_argument(arguments, "device")
            )
        return Result(
            (f"the password of {gone.label!r} of {gone.account} is worthless now",), data={"device": gone.label}
        )
