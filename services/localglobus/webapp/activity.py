"""Tasks: one's own, and those on collections that one looks after; a task with its progress, events, files, faults and what can be done.

A task that is not one's own is looked for as somebody who looks after a collection would; who does not is told that there is none.
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from services.localglobus.errors import ApiError
from services.localglobus.webapp.calls import Calls, Document, quote
from services.localglobus.webapp.pages import Form, draw, number, read_form, see, tell
from services.localglobus.webapp.wording import size

PAGE_SIZE = 50
STATES = {"": "All", "ACTIVE,INACTIVE": "Under way", "SUCCEEDED": "Done", "FAILED": "Failed"}
TABS = {"overview": "Overview", "event_log": "Event log", "files": "Files transferred", "skipped": "Files skipped"}
COUNTERS = (
    ("Files found", "files"),
    ("Files transferred", "files_transferred"),
    ("Files skipped", "files_skipped"),
    ("Folders", "directories"),
    ("Links kept", "symlinks"),
    ("Bytes transferred", "bytes_transferred"),
    ("Bytes checksummed", "bytes_checksummed"),
    ("Faults", "faults"),
)
OPTIONS = {
    "sync_level": "Sync level",
    "verify_checksum": "Verifies checksums",
    "preserve_timestamp": "Preserves times",
    "encrypt_data": "Encrypts",
    "delete_destination_extra": "Deletes what the source does not have",
    "skip_source_errors": "Skips source errors",
    "fail_on_quota_errors": "Fails on quota errors",
}
RENEW_S = 4
MANAGER = "endpoint_manager/"


async def activity(request: Request, calls: Calls) -> Response:
    """The person's own tasks, newest first, by state and by words of the label."""
    query = request.query_params
    state, words, offset = query.get("state", ""), query.get("q", "").strip(), number(request, "offset")
    state = state if state in STATES else ""
    clauses = [f"status:{state}"] if state else []
    clauses += [f"label:~*{words.replace('/', '?')}*"] if words else []
    asked: dict[str, str | int] = {"limit": PAGE_SIZE, "offset": offset, "orderby": "request_time DESC"}
    asked |= {"filter": "/".join(clauses)} if clauses else {}
    found = await calls.transfer("GET", "task_list", query=asked)
    context = {
        "tasks": found["DATA"],
        "states": STATES,
        "state": state,
        "words": words,
        "offset": offset,
        "total": found["total"],
        "next": offset + PAGE_SIZE if offset + PAGE_SIZE < found["total"] else None,
        "previous": max(0, offset - PAGE_SIZE) if offset else None,
        "renew_s": RENEW_S * 2
        if any(not task["completion_time"] for task in found["DATA"]) and not (offset or is_still(request))
        else None,
    }
    return await draw(request, calls, "activity.html", context)


def is_still(request: Request) -> bool:
    """Whether the person has asked the page not to renew itself."""
    return request.query_params.get("still") == "1"


async def console(request: Request, calls: Calls) -> Response:
    """Tasks of everybody on the collections that the person looks after, the open ones first."""
    last_key = request.query_params.get("last_key", "")
    asked: dict[str, str | int] = {"limit": PAGE_SIZE, **({"last_key": last_key} if last_key else {})}
    found = await calls.transfer("GET", f"{MANAGER}task_list", query=asked)
    watched = await calls.transfer("GET", f"{MANAGER}monitored_endpoints")
    return await draw(
        request,
        calls,
        "console.html",
        {"tasks": found["DATA"], "watched": watched["DATA"], "next": found["last_key"] if found["has_next_page"] else ""},
    )


async def find_task(calls: Calls, task_id: str) -> tuple[Document, bool]:
    """Returns (task, is one's own). Raises `ApiError` 404."""
    try:
        return await calls.transfer("GET", f"task/{quote(task_id)}"), True
    except ApiError as error:
        if error.http_status != 404:
            raise
    return await calls.transfer("GET", f"{MANAGER}task/{quote(task_id)}"), False


async def one_task(request: Request, calls: Calls) -> Response:
    """A task by one of its tabs; POST does what a button says."""
    if request.method == "POST":
        return await _change(request, calls)
    task, is_own = await find_task(calls, request.path_params["task_id"])
    tab = request.path_params.get("tab", "overview")
    tab = tab if tab in TABS else "overview"
    base = f"{'' if is_own else MANAGER}task/{task['task_id']}"
    context: dict[str, Any] = {
        "task": task,
        "is_own": is_own,
        "is_open": task["completion_time"] is None,
        "tab": tab,
        "tabs": TABS,
        "renew_s": RENEW_S if task["completion_time"] is None and tab in ("overview", "event_log") and not is_still(request) else None,
        **await _READERS[tab](request, calls, task, base),
    }
    return await draw(request, calls, "task.html", context)


async def _overview(request: Request, calls: Calls, task: Document, base: str) -> dict[str, Any]:
    counters = [(words, size(task[name]) if name.startswith("bytes") else f"{task[name]:,}") for words, name in COUNTERS]
    options = [(words, task[name]) for name, words in OPTIONS.items() if task.get(name) not in (None, False)]
    pause = await calls.transfer("GET", f"{base}/pause_info")
    events = await calls.transfer("GET", f"{base}/event_list", query={"limit": 5})
    total, done = task["subtasks_total"], task["subtasks_succeeded"]
    return {
        "counters": counters,
        "options": options,
        "pause": pause,
        "events": events["DATA"],
        "progress": (done, total) if total else None,
        "rate": size(task["effective_bytes_per_second"]) + "/s" if task["effective_bytes_per_second"] else "",
    }


async def _events(request: Request, calls: Calls, task: Document, base: str) -> dict[str, Any]:
    """Newest first; `faults=1` shows faults alone."""
    offset, has_faults_only = number(request, "offset"), request.query_params.get("faults") == "1"
    asked: dict[str, str | int] = {"limit": PAGE_SIZE, "offset": offset}
    asked |= {"filter": "is_error:1"} if has_faults_only else {}
    found = await calls.transfer("GET", f"{base}/event_list", query=asked)
    total = found["total"]
    return {
        "events": found["DATA"],
        "total": total,
        "has_faults_only": has_faults_only,
        "next": offset + PAGE_SIZE if offset + PAGE_SIZE < total else None,
        "previous": max(0, offset - PAGE_SIZE) if offset else None,
    }


async def _files(request: Request, calls: Calls, task: Document, base: str) -> dict[str, Any]:
    return await _marked(request, calls, f"{base}/successful_transfers")


async def _skipped(request: Request, calls: Calls, task: Document, base: str) -> dict[str, Any]:
    return await _marked(request, calls, f"{base}/skipped_errors")


async def _marked(request: Request, calls: Calls, path: str) -> dict[str, Any]:
    found = await calls.transfer("GET", path, query={"marker": number(request, "marker")})
    return {"rows": found["DATA"], "next_marker": found["next_marker"]}


_READERS = {"overview": _overview, "event_log": _events, "files": _files, "skipped": _skipped}


async def _change(request: Request, calls: Calls) -> Response:
    """Cancel, label and deadline of one's own task; cancel, pause and resume of another one on a collection that one looks after."""
    form = await read_form(request)
    task, is_own = await find_task(calls, request.path_params["task_id"])
    verb = form.text("act")
    if verb == "cancel" and is_own:
        answer = await calls.transfer("POST", f"task/{task['task_id']}/cancel")
        tell(request, calls.session, answer["message"])
    elif verb == "update" and is_own:
        deadline = form.text("deadline")
        asked = {"DATA_TYPE": "task", "label": form.text("label") or None, **({"deadline": deadline} if deadline else {})}
        await calls.transfer("PUT", f"task/{task['task_id']}", asked=asked)
        tell(request, calls.session, "Label and deadline are changed.")
    elif verb in ("cancel", "pause", "resume"):
        tell(request, calls.session, await _manage(calls, task, verb, form))
    else:
        raise ApiError("BadRequest", "There is no such button on this page", 400)
    return see(f"/activity/{task['task_id']}")


async def _manage(calls: Calls, task: Document, verb: str, form: Form) -> str:
    asked = {"task_id_list": [task["task_id"]], **({"message": form.text("message")} if verb != "resume" else {})}
    answer = await calls.transfer("POST", f"{MANAGER}admin_{verb}", asked=asked)
    return str(answer.get("message") or {"cancel": "The task is being canceled."}.get(verb, "Done."))
