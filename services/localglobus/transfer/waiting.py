"""Where requests wait for a change that another request makes: nodes for orders, a cancellation for its task. In memory only: a waiter
looks at the store before and after, so a missed call costs a second, never a change.
"""

from __future__ import annotations

import asyncio

from starlette.applications import Starlette


class WaitingRoom:
    """One event per topic, replaced when it is called out."""

    def __init__(self) -> None:
        self._events: dict[str, asyncio.Event] = {}

    async def wait(self, topic: str, timeout_s: float) -> None:
        """Returns when `wake` is called for the topic, or after `timeout_s`."""
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


def waiting_room(app: Starlette) -> WaitingRoom:
    """Returns the program's one waiting room."""
    if not hasattr(app.state, "waiting_room"):
        app.state.waiting_room = WaitingRoom()
    room: WaitingRoom = app.state.waiting_room
    return room
