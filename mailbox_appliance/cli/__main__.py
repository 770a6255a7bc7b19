"""``python -m mailbox_appliance.cli`` is the same as ``mailappliance``."""

from mailbox_appliance.cli.main import main

main()
