"""Arguments that several pages of verbs take."""

from __future__ import annotations

from mailbox_appliance.admin.verb import Argument

ADDRESS = Argument("address", "the account's address")
WHO = Argument("who", 'an account\'s address, or "anyone" for all who have an account here')
