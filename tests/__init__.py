"""The tests. Hypothesis is told once, for all of them, that this machine may be busy with other things."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# A stalled machine is no fault of an example: neither the time that one takes nor the time to make it counts.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")
