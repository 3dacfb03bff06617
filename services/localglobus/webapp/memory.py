"""What the web app remembers between two requests of a person, in memory alone: a restart costs a click, never an act.

Notices wait for her next page, requests for the consent that they lacked, submission ids for the second press of the same button.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

KEEP_S = 900.0
MOST = 1000
"""Of each kind; the oldest go first."""


@dataclass(frozen=True, kw_only=True)
class Notice:
    """A line on top of the next page, with a link perhaps. `kind` is done or failed."""

    words: str
    kind: str = "done"
    address: str = ""
    link: str = ""


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A request that waits for what it lacked. `fields` is None for a page that was only looked at."""

    identity_id: str
    target: str
    fields: Sequence[tuple[str, str]] | None
    lacked: str
    until: float


@dataclass
class Memory:
    """One for the program: `app.state.web`."""

    tokens: dict[tuple[str, str, str], tuple[str, float]] = field(default_factory=dict)
    clients: dict[str | None, httpx.AsyncClient] = field(default_factory=dict)
    submissions: dict[tuple[str, str], str] = field(default_factory=dict)
    _notices: dict[str, list[Notice]] = field(default_factory=dict)
    _kept: dict[str, Kept] = field(default_factory=dict)
    _returned: dict[tuple[str, str], str] = field(default_factory=dict)

    def tell(self, session_id: str, notice: Notice) -> None:
        """Shows a notice on the next page of this sign-in."""
        self._notices.setdefault(session_id, []).append(notice)
        forget_oldest(self._notices)

    def take_notices(self, session_id: str) -> list[Notice]:
        return self._notices.pop(session_id, [])

    def keep(self, identity_id: str, target: str, fields: Sequence[tuple[str, str]] | None, *, lacked: str) -> str:
        """Keeps a request; returns the word that brings it back, once."""
        state = secrets.token_urlsafe(24)
        self._kept[state] = Kept(identity_id=identity_id, target=target, fields=fields, lacked=lacked, until=time.monotonic() + KEEP_S)
        forget_oldest(self._kept)
        return state

    def take(self, state: str) -> Kept | None:
        kept = self._kept.pop(state, None)
        return kept if kept is not None and kept.until > time.monotonic() else None

    def note_return(self, kept: Kept) -> None:
        """The person comes back from Auth to what waited."""
        self._returned[kept.identity_id, kept.target] = kept.lacked
        forget_oldest(self._returned)

    def take_return(self, identity_id: str, target: str) -> str | None:
        """What she has just been away for, told once: who lacks the same again is not sent round in a circle."""
        return self._returned.pop((identity_id, target), None)


def forget_oldest(held: dict[Any, Any]) -> None:
    while len(held) > MOST:
        del held[next(iter(held))]
