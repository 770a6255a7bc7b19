"""Shows ``mailappliance`` to twistd; the service itself is imported only when it is started."""

from twisted.application.service import ServiceMaker

mailappliance = ServiceMaker(
    "mailappliance", "mailbox_appliance.service", "A whole mail server in one process", "mailappliance"
)
