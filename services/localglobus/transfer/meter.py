"""How often an identity may call Transfer, Search and Timers: so many requests a second, metered over ten. In memory: a restart forgets."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

from services.localglobus.errors import ApiError

WINDOW_S = 10.0
MOST_KNOWN = 10_000


@dataclass
class Meter:
    """A bucket of requests for each identity (or browser), filled at `per_second`; 0 meters nothing."""

    per_second: float
    _spent: dict[str, tuple[float, float]] = field(default_factory=dict)

    def count(self, identity_id: str) -> None:
        """Counts one request. Raises `ApiError` 429 with Retry-After when the bucket is empty."""
        if self.per_second <= 0:
            return
        now = time.monotonic()
        spent, at = self._spent.get(identity_id, (0.0, now))
        spent = max(0.0, spent - (now - at) * self.per_second)
        most = self.per_second * WINDOW_S
        if spent + 1 > most:
            wait_s = max(1, math.ceil((spent + 1 - most) / self.per_second))
            raise ApiError(
                "RateLimitExceeded", f"More than {self.per_second:g} requests a second", 429, headers={"Retry-After": str(wait_s)}
            )
        if len(self._spent) > MOST_KNOWN:
            self._spent = {name: held for name, held in self._spent.items() if now - held[1] < WINDOW_S}
        self._spent[identity_id] = (spent + 1, now)
