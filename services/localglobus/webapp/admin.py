"""The admin page of the stand-in, `/admin/`: for people who debug, on this machine only, as nobody in particular.

It answers loopback peers that ask for a loopback host, without a proxy between (against rebinding of names); its forms need the token of
this browser and come from its own pages. What it does, it does past the rules of the APIs, as an operator at the database would.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from services.localglobus import faults, recent
from services.localglobus.auth import identities
from services.localglobus.certificates import is_loopback
from services.localglobus.errors import ApiError
from services.localglobus.hosts import is_ours
from services.localglobus.settings import Settings
from services.localglobus.store import Connection
from services.localglobus.transfer.requests import nodes_of, store_of
from services.localglobus.webapp import debugging, debugging_people, intervening
from services.localglobus.webapp.memory import Memory
from services.localglobus.webapp.pages import read_form, render, see
from services.localglobus.webapp.tables import AdminPage

TABS = {
    "/admin/": "Overview",
    "/admin/identities": "Identities",
    "/admin/groups": "Groups",
    "/admin/collections": "Collections and nodes",
    "/admin/rules": "Rules",
    "/admin/tasks": "Tasks",
    "/admin/consents": "Consents",
    "/admin/tokens": "Tokens",
    "/admin/calls": "Calls",
    "/admin/faults": "Faults",
}
NOTICES = "admin"
RENEW_S = 5

Read = Callable[[Request], Awaitable[AdminPage]]


def is_local(request: Request) -> bool:
    """Whether the request comes from this machine, for this machine, and from no page of another site."""
    peer = request.client.host if request.client else ""
    if not is_loopback(peer) or not is_ours(request.headers.get("host", "")):
        return False
    if any(name == "forwarded" or name.startswith("x-forwarded-") for name in request.headers):
        return False
    if request.method in ("GET", "HEAD"):
        return True
    origin = request.headers.get("origin")
    is_own = origin is None or origin == f"{request.url.scheme}://{request.headers['host']}"
    return is_own and request.headers.get("sec-fetch-site", "same-origin") == "same-origin"


def local(answer: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """Returns the page for people at this machine; anybody else is refused without a word on what is here."""

    async def asked(request: Request) -> Response:
        if not is_local(request):
            return PlainTextResponse("This page is for the machine itself.\n", status_code=403)
        try:
            return await answer(request)
        except ApiError as error:
            return render(request, "webapp/admin-refused.html", {"error": error, "tabs": TABS, "notices": []}, status=error.http_status)

    return asked


def _page(path: str, read: Read) -> Route:
    async def shown(request: Request) -> Response:
        page, memory = await read(request), request.app.state.web
        context = {"page": page, "tabs": TABS, "notices": memory.take_notices(NOTICES), "renew_s": page.renew_s, **page.context}
        return render(
            request, "webapp/admin.html", {**context, "back": request.url.path + (f"?{request.url.query}" if request.url.query else "")}
        )

    return Route(path, local(shown), methods=["GET"])


async def overview(request: Request) -> AdminPage:
    settings: Settings = request.app.state.settings
    store = store_of(request)
    nodes = await store.read(debugging.nodes_table, nodes_of(request).cut_off)
    failed = debugging.calls_table([call for call in recent.CALLS if debugging.is_failed(call)][:10], title="Last refused calls")
    tables = [await store.read(debugging.overview), nodes, failed, debugging.settings_table(settings)]
    return AdminPage(title="What is going on", tables=tables)


async def people(request: Request) -> AdminPage:
    def read(db: Connection) -> AdminPage:
        tables = [debugging_people.identities_table(db), debugging_people.sessions_table(db), debugging_people.clients_table(db)]
        primaries = [row for row in identities.list_people(db) if row["id"] == row["account_id"]]
        return AdminPage(title="Identities", tables=tables, forms=["identity"], context={"primaries": primaries})

    return await store_of(request).read(read)


async def groups(request: Request) -> AdminPage:
    def read(db: Connection) -> AdminPage:
        found = db.execute('select id, name from "group" order by name').fetchall()
        context = {"groups": found, "people": identities.list_people(db)}
        return AdminPage(title="Groups", tables=debugging_people.groups_tables(db), forms=["membership"], context=context)

    return await store_of(request).read(read)


async def collections(request: Request) -> AdminPage:
    cut_off = nodes_of(request).cut_off

    def read(db: Connection) -> AdminPage:
        tables = [
            debugging.nodes_table(db, cut_off),
            debugging.collections_table(db),
            debugging.endpoints_table(db),
            debugging.pauses_table(db),
        ]
        return AdminPage(title="Collections and nodes", tables=tables)

    return await store_of(request).read(read)


async def rules(request: Request) -> AdminPage:
    collection_id = request.query_params.get("collection", "")

    def read(db: Connection) -> AdminPage:
        tables = [debugging.rules_table(db, collection_id), debugging.roles_table(db, collection_id)]
        return AdminPage(
            title="Rules and roles", tables=tables, intro=f"Of {debugging.names(db).get(collection_id)}." if collection_id else ""
        )

    return await store_of(request).read(read)


async def tasks(request: Request) -> AdminPage:
    is_open = request.query_params.get("open") == "1"
    table = await store_of(request).read(lambda db: debugging.tasks_table(db, is_open=is_open))
    return AdminPage(title="Open tasks" if is_open else "Tasks", tables=[table], renew_s=RENEW_S if is_open else 0)


async def one_task(request: Request) -> AdminPage:
    task_id = request.path_params["task_id"]
    tables = await store_of(request).read(debugging.task_tables, task_id)
    if not tables:
        raise ApiError("NotFound", f"No task '{task_id}'", 404)
    return AdminPage(title=f"Task {task_id}", tables=tables)


async def consents(request: Request) -> AdminPage:
    chosen = request.query_params.get("identity", "")

    def read(db: Connection) -> AdminPage:
        context = {"people": identities.list_people(db), "chosen": chosen}
        return AdminPage(title="Consents", tables=[debugging_people.consents_table(db, chosen)], forms=["consents"], context=context)

    return await store_of(request).read(read)


async def tokens(request: Request) -> AdminPage:
    table = await store_of(request).read(debugging_people.tokens_table, request.query_params.get("identity", ""))
    return AdminPage(title="Tokens", tables=[table])


async def calls(request: Request) -> AdminPage:
    """The ring of calls: `failed=1` the refused ones alone, `nodes=1` those of nodes, `q` words of the address, caller or code."""
    query = request.query_params
    words, is_failed, is_nodes = query.get("q", "").strip(), query.get("failed") == "1", query.get("nodes") == "1"
    found = [
        call
        for call in (recent.NODE_CALLS if is_nodes else recent.CALLS)
        if (not is_failed or debugging.is_failed(call))
        and words.lower() in f"{call.method} {call.target} {call.caller} {call.code}".lower()
    ]
    title = f"Last calls of {'nodes' if is_nodes else 'clients'}"
    context = {"words": words, "is_failed": is_failed, "is_nodes": is_nodes}
    return AdminPage(title="Calls", tables=[debugging.calls_table(found, title=title)], forms=["calls"], context=context)


async def fault_switch(request: Request) -> AdminPage:
    settings: Settings = request.app.state.settings
    if not settings.has_faults:
        return AdminPage(title="Faults", intro="The fault switch is closed. Start localglobus with --faults to open it.")
    context = {"kinds": faults.KINDS, "waiting": list(enumerate(faults.WAITING))}
    return AdminPage(title="Faults", forms=["faults"], context=context)


async def act(request: Request) -> Response:
    """Does what a button says, and goes back to its page."""
    form = await read_form(request)
    memory: Memory = request.app.state.web
    words = await intervening.intervene(request, form)
    memory.tell(NOTICES, intervening.notice(words))
    back = form.text("back")
    return see(back if back.startswith("/admin/") else "/admin/")


async def without_slash(request: Request) -> Response:
    return see("/admin/")


routes: list[BaseRoute] = [
    Route("/admin", without_slash, methods=["GET"]),
    _page("/admin/", overview),
    _page("/admin/identities", people),
    _page("/admin/groups", groups),
    _page("/admin/collections", collections),
    _page("/admin/rules", rules),
    _page("/admin/tasks", tasks),
    _page("/admin/tasks/{task_id}", one_task),
    _page("/admin/consents", consents),
    _page("/admin/tokens", tokens),
    _page("/admin/calls", calls),
    _page("/admin/faults", fault_switch),
    Route("/admin/act", local(act), methods=["POST"]),
]
