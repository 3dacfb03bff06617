"""What the buttons of the admin page do, each in words for the next page. They go past roles and rules, on purpose, and nowhere else."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable

from starlette.requests import Request

from services.localglobus import faults
from services.localglobus import groups as group_store
from services.localglobus.auth import consents, identities, tokens
from services.localglobus.errors import ApiError
from services.localglobus.numbers import read_whole
from services.localglobus.settings import Settings
from services.localglobus.store import Connection
from services.localglobus.transfer import access, collections, tasks
from services.localglobus.transfer.requests import nodes_of, store_of
from services.localglobus.transfer.waiting import ROOM
from services.localglobus.webapp.memory import Notice
from services.localglobus.webapp.pages import Form
from services.localglobus.webapp.wording import count

MEMBER_STATUSES = ("active", "invited", "pending", "left", "removed", "rejected", "declined")


async def intervene(request: Request, form: Form) -> str:
    """Does what the field `act` names; returns in words what was done. Raises `ApiError` for what cannot be."""
    name = form.text("act")
    if name in STORE_ACTS:
        return await store_of(request).write(STORE_ACTS[name], form)
    if name in ACTS:
        return await ACTS[name](request, form)
    raise ApiError("BadRequest", "There is no such button on this page", 400)


def notice(words: str) -> Notice:
    return Notice(words=words)


def add_identity(db: Connection, form: Form) -> str:
    """A person who can sign in; with `linked_to`, one more identity of an account."""
    username = form.text("username").lower()
    local, _, domain = username.partition("@")
    if not local or "." not in domain or any(letter.isspace() for letter in username):
        raise ApiError("BadRequest", "A user name is like someone@university.example", 400)
    known = identities.find_by_username(db, username)
    if known is not None and known["status"] == "used":
        raise ApiError("Exists", f"{username} is known already", 409)
    account = identities.get(db, form.text("linked_to")) if form.text("linked_to") else None
    if form.text("linked_to") and account is None:
        raise ApiError("NotFound", "There is no such account to link to", 404)
    identities.create(
        db,
        identity_id=known["id"] if known else str(uuid.uuid4()),
        username=username,
        name=form.text("name") or None,
        email=form.text("email") or username,
        organization=form.text("organization") or None,
        account_id=account["account_id"] if account else None,
    )
    db.execute("update identity set status = 'used' where username = ?", (username,))  # one that was only provisioned becomes a person
    return f"{username} can sign in now."


def end_session(db: Connection, form: Form) -> str:
    ended = db.execute("delete from session where session_id = ?", (form.text("session"),)).rowcount
    return f"{count(ended, 'session')} ended. Tokens live on until they are revoked."


def set_member(db: Connection, form: Form) -> str:
    person, group_id = identities.get(db, form.text("identity")), form.text("group")
    is_group = db.execute('select 1 from "group" where id = ?', (group_id,)).fetchone()
    if person is None or is_group is None or form.text("role") not in group_store.ROLES or form.text("status") not in MEMBER_STATUSES:
        raise ApiError("BadRequest", "Choose a group, a person, a role and a status", 400)
    group_store.set_member(db, group_id, person["id"], role=form.text("role"), status=form.text("status"))
    return f"{person['username']} is {form.text('role')}, {form.text('status')}."


def withdraw_consent(db: Connection, form: Form) -> str:
    """One consent with all below it or, without `consent`, all of an identity."""
    if not form.text("consent"):
        gone = db.execute("delete from consent where identity_id = ?", (form.text("identity"),)).rowcount
        return f"{count(gone, 'consent')} withdrawn."
    consent_id = read_whole(form.text("consent"))
    if consent_id is None or not consents.withdraw(db, consent_id, identity_id=form.text("identity")):
        raise ApiError("NotFound", "There is no such consent (any more)", 404)
    return "The consent is withdrawn with all below it. Tokens that rest on it stop at once."


def revoke_token(db: Connection, form: Form) -> str:
    """A token by its number, and with a refresh token all that came from it."""
    number = read_whole(form.text("token"))
    if number is None:
        raise ApiError("BadRequest", "A token is named by its number", 400)
    row = db.execute("select * from token where id = ?", (number,)).fetchone()
    if row is None:
        raise ApiError("NotFound", "There is no such token (any more)", 404)
    return f"{count(tokens.revoke_row(db, row), 'token')} revoked."


def remove_rule(db: Connection, form: Form) -> str:
    access.delete_rule(db, collections.get(db, form.text("collection")), form.text("rule"))
    return "The rule is removed."


def end_task(db: Connection, form: Form) -> str:
    """At once, whatever the node does: it hears of it with its next heartbeat."""
    if db.execute("select 1 from task where id = ? and completed_at is null", (form.text("task"),)).fetchone() is None:
        raise ApiError("NotFound", "There is no such open task", 404)
    tasks.end(db, form.text("task"), "FAILED", fatal=("CANCELED", "The task was ended on the admin page of localglobus"))
    return "The task is ended."


def release_order(db: Connection, form: Form) -> str:
    tasks.release(db, form.text("task"))
    return "The order is free; the next node that asks gets it."


async def cut_node(request: Request, form: Form) -> str:
    node = await _node(request, form)
    nodes_of(request).cut_off.add(node)
    ROOM.wake("orders")
    return f"{node} is disconnected: control does not answer it, and its folders cannot be reached."


async def connect_node(request: Request, form: Form) -> str:
    node = await _node(request, form)
    nodes_of(request).cut_off.discard(node)
    ROOM.wake("orders")
    return f"{node} is connected again."


async def _node(request: Request, form: Form) -> str:
    known = await store_of(request).read(lambda db: {row["node"] for row in db.execute("select node from endpoint")})
    if form.text("node") not in known:
        raise ApiError("NotFound", "There is no such node", 404)
    return form.text("node")


async def add_fault(request: Request, form: Form) -> str:
    """What the next calls of a kind meet: an error, a delay, a closed connection."""
    _require_switch(request)
    kind, outcome = form.text("kind"), form.text("outcome")
    if kind != "*" and kind not in faults.KINDS:
        raise ApiError("BadRequest", "There is no such kind of call", 400)
    error = None
    if outcome == "error":
        error = {
            "http_status": _whole(form, "http_status", least=400, most=599),
            "code": form.text("code"),
            "message": form.text("message"),
        }
        error |= {"retry_after": _whole(form, "retry_after", least=0, most=3600)} if form.text("retry_after") else {}
    elif outcome not in ("drop", "delay"):
        raise ApiError("BadRequest", "A fault is an error, a closed connection or a delay", 400)
    delay_s = _whole(form, "delay_s", least=0, most=600) if form.text("delay_s") else 0
    fault = faults.Fault(
        kind=kind,
        times=_whole(form, "times", least=1, most=10**6),
        error=error,
        delay_s=delay_s,
        drop=outcome == "drop",
        after=form.has("after") and outcome != "delay",
    )
    faults.WAITING.append(fault)
    return f"{count(fault.times, 'call')} of {kind} will meet it."


async def clear_faults(request: Request, form: Form) -> str:
    """All of them, or the one at a place."""
    _require_switch(request)
    if not form.text("place"):
        faults.WAITING.clear()
        return "No fault waits any more."
    place = _whole(form, "place", least=0, most=10**6)
    if place >= len(faults.WAITING) or faults.WAITING[place].kind != form.text("kind"):
        raise ApiError("NotFound", "That fault has happened already", 404)
    del faults.WAITING[place]
    return "The fault is taken away."


def _require_switch(request: Request) -> None:
    settings: Settings = request.app.state.settings
    if not settings.has_faults:
        raise ApiError("PermissionDenied", "The fault switch is closed: start localglobus with --faults", 403)


def _whole(form: Form, name: str, *, least: int, most: int) -> int:
    value = read_whole(form.text(name))
    if value is None or not least <= value <= most:
        raise ApiError("BadRequest", f"{name} must be a whole number from {least} to {most}", 400)
    return value


STORE_ACTS: dict[str, Callable[[Connection, Form], str]] = {
    "add-identity": add_identity,
    "end-session": end_session,
    "set-member": set_member,
    "withdraw": withdraw_consent,
    "revoke": revoke_token,
    "remove-rule": remove_rule,
    "end-task": end_task,
    "release": release_order,
}
ACTS: dict[str, Callable[[Request, Form], Awaitable[str]]] = {
    "disconnect": cut_node,
    "connect": connect_node,
    "add-fault": add_fault,
    "clear-faults": clear_faults,
}
