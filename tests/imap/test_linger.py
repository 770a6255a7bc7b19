"""After BYE: the connection ends even when the peer does not close in its turn."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.imap.stage import World


class LingerTests(SynchronousTestCase):
    """Under TLS, closing waits for the peer's close; a peer that never says it must not hold its place."""

    def test_cut_off(self) -> None:
        """LOGOUT, and nothing more from the peer: 20 seconds later the connection is gone and no longer counted."""
        world = World()
        stage = world.connect().log_in()
        self.assertIn(b"* BYE", stage.ask("x2 LOGOUT"))
        self.assertEqual(world.house.connections, 1)  # the peer has not closed yet
        world.clock.advance(19)
        self.assertFalse(stage.transport.gone)
        world.clock.advance(2)
        self.assertTrue(stage.transport.gone)
        self.assertEqual(world.house.connections, 0)
        self.assertEqual(world.clock.getDelayedCalls(), [])

    def test_closed_in_time(self) -> None:
        """A peer that closes leaves no timer behind."""
        world = World()
        stage = world.connect().log_in()
        stage.ask("x2 LOGOUT")
        stage.transport.lose()
        self.assertEqual((world.house.connections, world.clock.getDelayedCalls()), (0, []))
