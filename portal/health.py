"""What answers and what does not: the addresses that an orchestrator asks, and the checks behind the status page.

Every check has a time-out of its own and all run side by side, so that the status page is quick when Globus or the broker is out. The
answers are kept for five seconds in the process, not in the cache, which may be what is out.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

import redis
import requests
from django.conf import settings
from django.core.cache import cache
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from datasets.metadata import pushing

TIMEOUT_S = 3
KEPT_S = 5
HEARTBEAT_KEY = "causeway.heartbeat"
TROUBLE_KEY = "causeway.trouble"
HEARTBEAT_S = 15


@dataclass(frozen=True)
class Finding:
    """One part: ok, attention (works less well) or failed; and what that means for people."""

    name: str
    kind: str
    word: str
    note: str
    ms: int


Verdict = tuple[str, str, str]
Check = Callable[[], Verdict]


def check_database() -> Verdict:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = '3s'")
            cursor.execute("SELECT 1")
    except DatabaseError:
        return "failed", "Out", "Nothing works without it."
    finally:
        connection.close()
    return "ok", "Answers", ""


def check_broker() -> Verdict:
    try:
        redis.Redis.from_url(settings.REDIS_URL, socket_timeout=TIMEOUT_S).ping()
    except redis.RedisError:
        return "attention", "Out", "Requests are kept and start a little later, once it is back."
    return "ok", "Answers", ""


def check_worker() -> Verdict:
    try:
        beat = cache.get(HEARTBEAT_KEY)
    except redis.RedisError:
        return "attention", "Unknown", "It is heard through the broker, which does not answer."
    if beat is None:
        return "attention", "Silent", "No worker was heard since the start. Requests wait until one runs."
    age = round(time.time() - beat)
    if age > 4 * HEARTBEAT_S:
        return "attention", "Silent", f"Not heard for {age} seconds. Requests wait until it is back."
    return "ok", "Works", f"Heard {age} seconds ago."


def record_heartbeat() -> None:
    """Called by the worker through a message of beat: proves that beat, broker and worker go round, and says what of Globus is out."""
    cache.set(HEARTBEAT_KEY, time.time(), timeout=None)
    trouble = [one.note for one in run_checks(globus_checks()) if one.kind != "ok"]
    cache.set(TROUBLE_KEY, trouble, timeout=4 * HEARTBEAT_S)
    _trouble.cache_clear()


def known_trouble() -> list[str]:
    """What the worker last found out of order at Globus, in words for every page; costs one look into the cache a second."""
    return _trouble(int(time.monotonic()))


@lru_cache(maxsize=1)
def _trouble(second: int) -> list[str]:
    """What is known in one second of the clock."""
    try:
        return cache.get(TROUBLE_KEY) or []
    except redis.RedisError:
        return []


def asks(address: str, without: str) -> Check:
    """A check that an HTTP service gives an answer below 500; what people have `without` it is said."""

    def check() -> Verdict:
        try:
            status = requests.get(address, timeout=TIMEOUT_S, allow_redirects=False).status_code
        except requests.RequestException:
            return "attention", "Does not answer", without
        if status >= 500:
            return "attention", f"Answers {status}", without
        return "ok", "Answers", ""

    return check


def check_search_index() -> Verdict:
    try:
        found = pushing.outbox()
    except DatabaseError:
        return "attention", "Unknown", "The database does not answer."
    finally:
        connection.close()
    return search_verdict(found)


def search_verdict(found: pushing.Outbox) -> Verdict:
    if found.n_refused:
        return (
            "attention",
            "Refuses",
            f"Records refused: {found.n_refused}; the administration says why. Searching here knows all.",
        )
    if found.n_late:
        return "attention", "Late", f"Records that wait and are tried again: {found.n_waiting}. Searching here knows all."
    if found.n_waiting:
        return "ok", "Follows", f"Records on their way: {found.n_waiting}."
    return "ok", "Up to date", ""


def globus_checks() -> dict[str, Check]:
    return {
        "Globus Auth": asks(
            f"{settings.GLOBUS_AUTH_URL}/.well-known/openid-configuration",
            "Signing in does not work at the moment. Whoever is signed in stays so; searching and asking for data work.",
        ),
        "Globus Transfer": asks(
            f"{settings.GLOBUS_TRANSFER_URL}/v0.10/task_list",
            "Copies and shares are delayed. What you ask for is kept and starts when Globus is back.",
        ),
    }


def checks() -> dict[str, Check]:
    own: dict[str, Check] = {"Database": check_database, "Broker and cache": check_broker, "Worker": check_worker}
    found = own | globus_checks()
    if settings.GRAPH_URL:
        found |= {"Graph service": asks(f"{settings.GRAPH_URL}/livez", "Graphs wait.")}
    if settings.SEARCH_INDEX:
        found |= {"Globus Search": check_search_index}
    return found


def run_checks(asked: dict[str, Check]) -> list[Finding]:
    """Ask all side by side; as slow as the slowest."""

    def timed(named: tuple[str, Check]) -> Finding:
        began = time.monotonic()
        kind, word, note = named[1]()
        return Finding(named[0], kind, word, note, round(1000 * (time.monotonic() - began)))

    with ThreadPoolExecutor(max_workers=len(asked)) as pool:
        return list(pool.map(timed, asked.items()))


class _Kept:
    """The last findings and when they were made; one thread asks, the others use what it found."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.until = 0.0
        self.findings: list[Finding] = []

    def get(self) -> list[Finding]:
        with self.lock:
            if time.monotonic() >= self.until:
                self.findings, self.until = run_checks(checks()), time.monotonic() + KEPT_S
            return self.findings


_kept = _Kept()


def findings() -> list[Finding]:
    """How every part is, not older than five seconds."""
    return _kept.get()


@never_cache
@require_safe
def livez(request: HttpRequest) -> HttpResponse:
    """The process answers; nothing else is asked."""
    return HttpResponse("ok\n", content_type="text/plain")


@never_cache
@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """503 when the database is out; otherwise ready, and `degraded` names what people do without."""
    found = findings()
    is_ready = all(one.kind != "failed" for one in found)
    degraded = [one.name for one in found if one.kind == "attention"]
    return JsonResponse({"ready": is_ready, "degraded": degraded}, status=200 if is_ready else 503)
