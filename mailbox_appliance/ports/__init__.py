"""What the parts ask of one another. One file per station, named after the station that *fills* the port.

Every method that may wait returns an Awaitable, so that an ``async def`` and a Deferred both fit; all of them are
called in the reactor thread. A contract suite in tests/contracts runs on the real part and on its fake.
"""
