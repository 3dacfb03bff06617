"""Where requests wait for a change that another request makes: nodes for orders, a cancellation for its task. In memory only: a waiter
looks at the store before and after, so a missed call costs a second, never a change.
"""

from __future__ import annotations

import asyncio


class WaitingRoom:
    """One event per topic, replaced when it is called out. A closed room keeps nobody, so that the program can stop at once."""

    def __init__(self) -> None:
        self._events: dict[str, asyncio.Event] = {}
        self.is_closed = False

    async def wait(self, topic: str, timeout_s: float) -> None:
        """Returns when `wake` is called for the topic, or after `timeout_s`."""
        if self.is_closed:
            return
        event = self._events.setdefault(topic, asyncio.Event())
        try:
            async with asyncio.timeout(timeout_s):
                await event.wait()
        except TimeoutError:
            return

    def wake(self, topic: str) -> None:
        event = self._events.pop(topic, None)
        if event is not None:
            event.set()

    def close(self) -> None:
        """Sends everybody on: the program is about to stop. Safe to repeat."""
        self.is_closed = True
        for topic in list(self._events):
            self.wake(topic)


ROOM = WaitingRoom()
"""The program's one room: there is one event loop."""
