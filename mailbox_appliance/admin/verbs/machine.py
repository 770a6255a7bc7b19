"""The machine: config, pair, reload, status."""

from __future__ import annotations

from mailbox_appliance.admin.configuring import ConfigDesk, ReloadDesk
from mailbox_appliance.admin.pairing import PairDesk
from mailbox_appliance.admin.status import StatusDesk
from mailbox_appliance.admin.verb import Argument, Verb

VERBS: tuple[Verb, ...] = (
    Verb(
        "config",
        "check",
        ConfigDesk,
        ConfigDesk.check,
        "Say everything that is wrong with the file.",
        lists=True,
        here=True,
    ),
    Verb("config", "sample", ConfigDesk, ConfigDesk.sample, "Print a commented file to begin with.", here=True),
    Verb(
        "pair",
        "",
        PairDesk,
        PairDesk.pair,
        "Make edge and store a pair; the edge prints a code to say at the store.",
        (Argument("code", "what `pair` printed at the edge", required=False),),
    ),
    Verb("reload", "", ReloadDesk, ReloadDesk.reload, "Read the file anew; a wrong one changes nothing.", changes=True),
    Verb("status", "", StatusDesk, StatusDesk.status, "Say whether all is well, or what to do.", lists=True),
)
