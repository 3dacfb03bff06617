"""The gateway to control: every question that a node asks, our words in and out (`PROTOCOL.md`, sections 2 and 4 to 6).

Questions about rights are asked on the event loop (`ask_access`, `ask_ticket`, `exchange_code`), those about copy orders in
threads (`lease`, `items`, `heartbeat`, `results`, `finish`), where pulling happens.
"""

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx

from services.dtn.errors import NodeError, UnauthorizedError, UnavailableError
from services.dtn.rights import Access, Rule, Rules, rules_from

TIMEOUT = httpx.Timeout(10.0, connect=5.0)
LEASE_SLACK_S = 10.0
MOST_TICKETS = 64  # whose paths are kept


class ControlError(NodeError):
    """Control answered, but refused: asking the same again does not help, unless the node registers anew (401, 404)."""

    http_status = 502
    code = "ControlRefused"


@dataclass
class Heard:
    """What control told last of a ticket: its paths, and the mark under which it knows them."""

    told: tuple[str | None, Rules] = (None, Rules())  # mark and rules change together: many threads look


@dataclass(frozen=True)
class TicketQuestion:
    """What a ticket opens. The paths of a task may be very many: they are told again only when they are others."""

    body: dict[str, Any]
    heard: Heard

    def opened(self, answer: dict[str, Any], asked_at: float) -> Access:
        """Raises UnavailableError for a task that is held, as where control does not answer: what is refused so is asked for again."""
        is_active, paths, mark = bool(answer["active"]), answer.get("paths"), answer.get("mark")
        if answer.get("held"):
            raise UnavailableError("The task is held until somebody acts.")
        rules = Rules()
        known, known_rules = self.heard.told
        if is_active and paths is None and mark is not None and mark == known:
            rules = known_rules
        elif is_active and paths is not None:
            rules = Rules(Rule(str(path), "r") for path in paths)
            self.heard.told = mark, rules
        elif is_active:  # another answer came between
            raise UnavailableError("Control's answer is of an older question.")
        return Access(is_active=is_active, identity=None, username=None, rules=rules, asked_at=asked_at, task_id=answer.get("task_id"))


class Control:
    def __init__(self, url: str, secret: str, *, ca_file: str | None = None) -> None:
        self.url = url.rstrip("/")
        headers = {"Authorization": f"Bearer {secret}"}
        verify = httpx.create_ssl_context(verify=ca_file or True, trust_env=False)
        self._sync = httpx.Client(base_url=self.url, headers=headers, timeout=TIMEOUT, verify=verify, trust_env=False)
        self._async = httpx.AsyncClient(base_url=self.url, headers=headers, timeout=TIMEOUT, verify=verify, trust_env=False)
        self._lock = threading.Lock()
        self._heard: OrderedDict[bytes, Heard] = OrderedDict()
        self._public = httpx.AsyncClient(base_url=self.url, timeout=TIMEOUT, verify=verify, trust_env=False)

    def register(self, *, name: str, instance: str, node_url: str, csr: str | None) -> dict[str, Any]:
        """Say who and where this node is; answers its certificate (when `csr` is given), the CA and its collections. Safe to repeat."""
        body = {"protocol": 1, "name": name, "instance": instance, "url": node_url, "csr": csr}
        return self._post("/dtn/v1/register", body)

    def collections(self) -> list[dict[str, Any]]:
        """Return this node's collections as control knows them now."""
        try:
            answer = _read(self._sync.get("/dtn/v1/collections"))
        except httpx.HTTPError as error:
            raise UnavailableError("Control does not answer.") from error
        found = answer.get("collections", [])
        return list(found)

    async def ask_access(self, collection: str, token: str | None) -> Access:
        """Return what this bearer token, or anybody (None), may do in the collection."""
        asked_at = time.monotonic()
        answer = await self._ask("/dtn/v1/access", {"collection": collection, "token": token, "known_version": None})
        return Access(
            is_active=bool(answer["active"]),
            identity=answer.get("identity"),
            username=answer.get("username"),
            rules=rules_from(answer.get("rules") or []),
            asked_at=asked_at,
            session=answer.get("session"),
        )

    async def ask_ticket(self, collection: str, ticket: str | None) -> Access:
        """Return what a pull ticket opens here: reading, below its paths."""
        asked_at, question = time.monotonic(), self._ticket_question(collection, str(ticket))
        return question.opened(await self._ask("/dtn/v1/tickets/check", question.body), asked_at)

    def check_ticket(self, collection: str, ticket: str) -> Access:
        """The same for threads, when source and destination are one node."""
        asked_at, question = time.monotonic(), self._ticket_question(collection, ticket)
        return question.opened(self._post("/dtn/v1/tickets/check", question.body), asked_at)

    def _ticket_question(self, collection: str, ticket: str) -> TicketQuestion:
        digest = hashlib.sha256(f"{collection} {ticket}".encode()).digest()
        with self._lock:
            heard = self._heard.setdefault(digest, Heard())
            self._heard.move_to_end(digest)
            while len(self._heard) > MOST_TICKETS:
                self._heard.popitem(last=False)
        return TicketQuestion({"collection": collection, "ticket": ticket, "known": heard.told[0]}, heard)

    async def exchange_code(self, form: Mapping[str, str]) -> dict[str, Any]:
        """Trade an authorization code for tokens, as the collection's public client (RFC 7636). Raises UnauthorizedError."""
        try:
            response = await self._public.post("/v2/oauth2/token", data=dict(form))
        except httpx.HTTPError as error:
            raise UnavailableError("Sign-in does not answer.") from error
        if response.status_code != 200:
            raise UnauthorizedError("Sign-in was not completed; the code is used up or has expired.")
        tokens: dict[str, Any] = response.json()
        return tokens

    def lease(self, *, instance: str, wait_s: float, most: int) -> list[dict[str, Any]]:
        """Wait up to `wait_s` for copy orders of this node."""
        timeout = httpx.Timeout(wait_s + LEASE_SLACK_S, connect=5.0)
        answer = self._post("/dtn/v1/orders/lease", {"instance": instance, "wait_s": wait_s, "most": most}, timeout=timeout)
        return list(answer["orders"])

    def items(self, order_id: str, *, after: int, limit: int) -> list[dict[str, Any]]:
        """Return the order's items with an index above `after`, in order; an empty list at the end."""
        try:
            answer = _read(self._sync.get(f"/dtn/v1/orders/{order_id}/items", params={"after": after, "limit": limit}))
        except httpx.HTTPError as error:
            raise UnavailableError("Control does not answer.") from error
        return list(answer["items"])

    def heartbeat(self, order_id: str, body: dict[str, Any]) -> tuple[str, datetime | None]:
        """Say that the order is being worked on; answers `continue`, `cancel`, `pause` or `lost`, and the deadline of now if it is told."""
        answer = self._post(f"/dtn/v1/orders/{order_id}/heartbeat", body)
        deadline = answer.get("deadline")
        return str(answer["action"]), datetime.fromisoformat(deadline) if deadline else None

    def results(self, order_id: str, body: dict[str, Any]) -> int:
        """Deliver one numbered batch of results; safe to repeat. Returns the highest accepted number."""
        return int(self._post(f"/dtn/v1/orders/{order_id}/results", body)["accepted_sequence"])

    def finish(self, order_id: str, body: dict[str, Any]) -> None:
        """End the order. Safe to repeat."""
        self._post(f"/dtn/v1/orders/{order_id}/finish", body)

    async def close(self) -> None:
        self._sync.close()
        await self._async.aclose()
        await self._public.aclose()

    async def _ask(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        try:
            return _read(await self._async.post(path, json=body))
        except httpx.HTTPError as error:
            raise UnavailableError("Control does not answer.") from error

    def _post(self, path: str, body: dict[str, Any], *, timeout: httpx.Timeout = TIMEOUT) -> dict[str, Any]:
        try:
            return _read(self._sync.post(path, json=body, timeout=timeout))
        except httpx.HTTPError as error:
            raise UnavailableError("Control does not answer.") from error


def _read(response: httpx.Response) -> dict[str, Any]:
    if response.status_code >= 500 or response.status_code == 429:
        raise UnavailableError(f"Control answers {response.status_code}.")
    try:
        answer = response.json()
    except ValueError as error:
        raise UnavailableError("Control does not speak JSON.") from error
    if not response.is_success:
        said = answer if isinstance(answer, dict) else {}
        status = response.status_code
        raise ControlError(f"Control answers {status}: {said.get('message', '')}", code=said.get("code"), http_status=status)
    read: dict[str, Any] = answer
    return read
