"""How fast a client may send: so many messages a second on average, with a store for bursts."""

from __future__ import annotations


class Pace:
    """A bucket of permissions to send, which fills again with time.

    Args:
        rate: Messages per second.
        burst: Messages at once, when nothing was sent for a while.
        now: A monotonic time in seconds.
    """

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = self._left = burst
        self._at = now

    def allows(self, now: float) -> bool:
        """Take one permission; False where there is none left."""
        self._left = min(self._burst, self._left + (now - self._at) * self._rate)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
