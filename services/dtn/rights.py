"""Who may read or write what: rules by path prefix, and answers of control that are kept for one second at most.

Control decides (`PROTOCOL.md`, sections 4 and 6); here the rules are matched, the answers cached, and a stream is kept honest:
`Guard.check` is called before every piece that is sent or taken, and raises as soon as the right is gone or control cannot be asked.
"""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from services.dtn.errors import ForbiddenError, UnavailableError

FRESH_S = 1.0  # how long an answer may be kept (PROTOCOL.md, section 4)
REFUSED_S = 0.1  # an answer that refuses is kept only so long, so that an added rule counts at once and a storm of refusals costs little
REFRESH_S = 0.5  # when a stream asks anew, beside sending, so that it does not stall


@dataclass(frozen=True)
class Rule:
    path: str  # ends with '/' for a folder and all below; else exactly one file
    permissions: str  # "r" | "rw"

    def covers(self, path: str) -> bool:
        """`/a/` covers `/a` and `/a/b`, never `/ab`."""
        if not self.path.endswith("/"):
            return path == self.path
        return path.startswith(self.path) or path == self.path.rstrip("/") or self.path == "/"

    def lies_below(self, folder: str) -> bool:
        return self.path.startswith(folder.rstrip("/") + "/")


class Rules(tuple[Rule, ...]):
    """Rules of one bearer, maybe very many: a task may name each of its files."""

    @cached_property
    def _exact(self) -> frozenset[str]:
        return frozenset(rule.path.rstrip("/") or "/" for rule in self)

    @cached_property
    def _folders(self) -> frozenset[str]:
        return frozenset(rule.path for rule in self if rule.path.endswith("/"))

    def cover(self, path: str) -> bool:
        """Tell whether any rule covers the path; the cost is that of its depth, not of the number of rules."""
        if path in self._exact or "/" in self._folders:
            return True
        at = path.find("/", 1)
        while at >= 0:
            if path[: at + 1] in self._folders:
                return True
            at = path.find("/", at + 1)
        return False


@dataclass(frozen=True)
class Access:
    """What one bearer may do in one collection, as control said at `asked_at` (monotonic seconds)."""

    is_active: bool
    identity: str | None
    username: str | None
    rules: tuple[Rule, ...]
    asked_at: float
    task_id: str | None = None
    session: Mapping[str, Any] | None = None  # what the bearer's session lacks, as `authorization_parameters`

    def may_read(self, path: str) -> bool:
        return self._known_rules.cover(path)

    @cached_property
    def _known_rules(self) -> Rules:
        return self.rules if isinstance(self.rules, Rules) else Rules(self.rules)

    def may_write(self, path: str) -> bool:
        return any("w" in rule.permissions and rule.covers(path) for rule in self.rules)

    def may_see(self, path: str, *, is_folder: bool) -> bool:
        """Readable, or a folder on the way to something readable."""
        return self.may_read(path) or (is_folder and any(rule.lies_below(path) for rule in self.rules))


def rules_from(answer: list[dict[str, Any]]) -> Rules:
    return Rules(Rule(str(rule["path"]), str(rule["permissions"])) for rule in answer)


def access_from(rules: list[dict[str, Any]]) -> Access:
    """Return the rights that control sent with a question of its own."""
    return Access(is_active=True, identity=None, username=None, rules=rules_from(rules), asked_at=0.0)


Asker = Callable[[str, str | None], Awaitable[Access]]


class AccessBook:
    """Answers of control by (collection, bearer), each kept for one second; simultaneous questions are asked once."""

    def __init__(self, ask: Asker) -> None:
        self._ask = ask
        self._answers: dict[tuple[str, bytes], Access] = {}
        self._asking: dict[tuple[str, bytes], asyncio.Task[Access]] = {}

    async def get(self, collection: str, bearer: str | None, *, max_age_s: float = FRESH_S, wanted: str | None = None) -> Access:
        """Return an answer no older than `max_age_s`, and much younger where it refuses the path `wanted`.

        Raises UnavailableError when control cannot be asked: nobody gets in meanwhile.
        """
        key = (collection, hashlib.sha256((bearer or "").encode()).digest() if bearer else b"")
        kept = self._answers.get(key)
        if kept is not None:
            refuses = wanted is not None and not kept.may_see(wanted, is_folder=True)
            if time.monotonic() - kept.asked_at < (REFUSED_S if refuses else max_age_s):
                return kept
        task = self._asking.get(key)
        if task is None:
            task = asyncio.ensure_future(self._ask(collection, bearer))
            self._asking[key] = task
            task.add_done_callback(lambda done: self._keep(key, done))
        return await asyncio.shield(task)

    def _keep(self, key: tuple[str, bytes], done: asyncio.Task[Access]) -> None:
        self._asking.pop(key, None)
        if done.cancelled() or done.exception() is not None:
            self._answers.pop(key, None)
            return
        now = time.monotonic()
        if len(self._answers) > 10_000:
            self._answers = {other: answer for other, answer in self._answers.items() if now - answer.asked_at < FRESH_S}
        self._answers[key] = done.result()


class Guard:
    """The right to one file while its bytes flow."""

    def __init__(
        self, book: AccessBook, collection: str, bearer: str | None, *, paths: tuple[str, ...], writes: bool = False, asked_at: float = 0.0
    ) -> None:
        self._book = book
        self._collection = collection
        self._bearer = bearer
        self._paths = paths  # the name that was asked for, and the real one
        self._writes = writes
        self._asked_at = asked_at  # of the answer that let the request in
        self._ahead: asyncio.Task[Access] | None = None

    async def check(self) -> None:
        """Raise ForbiddenError when the right is gone, UnavailableError when control does not say; cheap within half a second."""
        age = time.monotonic() - self._asked_at
        if age < REFRESH_S:
            return
        if self._ahead is None:
            self._ahead = asyncio.ensure_future(self._book.get(self._collection, self._bearer, max_age_s=REFRESH_S))
        if age >= FRESH_S - 0.1:
            access, self._ahead = await self._ahead, None
            self._judge(access)
        elif self._ahead.done():
            done, self._ahead = self._ahead, None
            if done.exception() is None:  # else the second that is left may bring an answer
                self._judge(done.result())

    def _judge(self, access: Access) -> None:
        is_allowed = access.may_write if self._writes else access.may_read
        if not all(is_allowed(path) for path in self._paths):
            raise ForbiddenError("The right to this file has ended.")
        if time.monotonic() - access.asked_at > FRESH_S:
            raise UnavailableError("Control answers too slowly to go on.")
        self._asked_at = access.asked_at

    def close(self) -> None:
        if self._ahead is not None:
            self._ahead.add_done_callback(lambda done: done.cancelled() or done.exception())
            self._ahead = None
