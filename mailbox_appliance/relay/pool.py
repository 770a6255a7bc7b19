"""Connections kept for the next message to the same place, bounded in number, age and messages."""

from __future__ import annotations

from mailbox_appliance.ports.clock import Clock, Timer
from mailbox_appliance.relay.session import Session
from mailbox_appliance.relay.settings import RelaySettings

# Who is spoken to, and how: route, host name, address, port, what the connection had to prove.
Place = tuple[str, str, str, int, str]


class Pool:
    """Idle sessions by place; the one that rested last is taken first."""

    def __init__(self, clock: Clock, settings: RelaySettings) -> None:
        self._clock = clock
        self._settings = settings
        self._idle: dict[Place, list[Session]] = {}
        self._timers: dict[Session, Timer] = {}

    def __len__(self) -> int:
        return len(self._timers)

    def take(self, place: Place) -> Session | None:
        """An idle session with ``place``, now the caller's; None when there is none."""
        while sessions := self._idle.get(place):
            session = sessions[-1]
            self._remove(place, session)
            if session.is_idle:
                return session
            session.abort()
        return None

    def rest(self, place: Place, session: Session) -> None:
        """Give back a session after its message; it is kept for a while or says goodbye."""
        settings = self._settings
        kept = self._idle.get(place, [])
        if (
            not session.is_idle
            or session.messages >= settings.messages_per_connection
            or settings.idle_seconds <= 0
            or len(kept) >= settings.most_idle_per_host
        ):
            session.quit()
            return
        if len(self._timers) >= settings.most_idle:
            self._oldest_goes()
        self._idle.setdefault(place, []).append(session)
        self._timers[session] = self._clock.callLater(settings.idle_seconds, self._expired, place, session)
        session.on_close = lambda gone: self._remove(place, gone)

    def _oldest_goes(self) -> None:
        oldest = next(iter(self._timers))
        for place, sessions in self._idle.items():
            if oldest in sessions:
                self._expired(place, oldest)
                return

    def _expired(self, place: Place, session: Session) -> None:
        self._remove(place, session)
        session.quit()

    def _remove(self, place: Place, session: Session) -> None:
        session.on_close = None
        timer = self._timers.pop(session, None)
        if timer is not None and timer.active():
            timer.cancel()
        sessions = self._idle.get(place, [])
        if session in sessions:
            sessions.remove(session)
        if not sessions:
            self._idle.pop(place, None)

    def close(self) -> None:
        """Say goodbye on every idle connection."""
        for place, sessions in list(self._idle.items()):
            for session in list(sessions):
                self._expired(place, session)
