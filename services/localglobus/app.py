"""The Starlette apps of localglobus: one for Auth, Transfer, Groups, Search, Timers and the web app on one origin, one per GCS Manager.

They share the store and live in one process and one event loop. What requests find in `request.app.state`: `settings`, `store`,
`authority` (certificates), `issuer` (id tokens), `cookies`, `world` (the demo's ids), `templates`, `meter` (how often each may call), `web`
(what the web app remembers), `managers` (the GCS apps); in the GCS apps also `gcs_endpoint`, the node's name.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import jinja2
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.localglobus import errors, faults, gcs, group_policies, groups, hosts, mails, nodes, recent, seed, sizes
from services.localglobus.auth import (
    api,
    authentications,
    clients,
    consents,
    factors,
    grants,
    identities,
    keys,
    pages,
    policies,
    policies_api,
    scopes,
    sessions,
    tokens,
)
from services.localglobus.certificates import Authority
from services.localglobus.search import routes as search_routes
from services.localglobus.search import schema as search_schema
from services.localglobus.search import tasks as search_tasks
from services.localglobus.settings import Settings
from services.localglobus.store import Store
from services.localglobus.timers import routes as timer_routes
from services.localglobus.timers import running as timer_running
from services.localglobus.timers import schema as timer_schema
from services.localglobus.transfer import routes as transfer_routes
from services.localglobus.transfer import schema as transfer_schema
from services.localglobus.transfer.meter import Meter
from services.localglobus.webapp import routes as webapp_routes
from services.localglobus.webapp.memory import Memory
from services.localglobus.webapp.wording import FILTERS

SCHEMAS = (
    identities.SCHEMA,
    authentications.SCHEMA,
    policies.SCHEMA,
    factors.SCHEMA,
    clients.SCHEMA,
    scopes.SCHEMA,
    consents.SCHEMA,
    tokens.SCHEMA,
    grants.SCHEMA,
    sessions.SCHEMA,
    groups.SCHEMA,
    group_policies.SCHEMA,
    mails.SCHEMA,
    transfer_schema.SCHEMA,
    search_schema.SCHEMA,
    timer_schema.SCHEMA,
    seed.SCHEMA,
)

log = logging.getLogger(__name__)

RESTART_S = 1.0
BACKGROUND = (nodes.run, search_tasks.run, timer_running.run)

STANDIN = (b"x-causeway-standin", b"localglobus")


class Standin:
    """Says on every answer that this is not Globus, and takes `//` in a path for `/`, as some clients write it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        while "//" in scope["path"]:
            scope["path"] = scope["path"].replace("//", "/")

        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), STANDIN]
            await send(message)

        await self.app(scope, receive, send_marked)


def make_apps(settings: Settings) -> tuple[ASGIApp, dict[str, ASGIApp], Store]:
    """`(main app, GCS app by node name, store)` over the folder `settings.data`, the demo world in place. The caller closes the store."""
    settings.data.mkdir(parents=True, exist_ok=True)
    store = Store(settings.data / "localglobus.sqlite", SCHEMAS)
    state: dict[str, Any] = {
        "settings": settings,
        "store": store,
        "authority": Authority(settings.data, allowed_hosts=settings.allowed_hosts),
        "issuer": grants.Issuer(url=settings.url, key=keys.load(settings.data / "signing.key")),
        "cookies": sessions.Cookies(settings.data / "cookie.key"),
        "templates": jinja2.Environment(
            loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True, undefined=jinja2.StrictUndefined
        ),
        "world": seed.plant(store, settings),
        "meter": Meter(settings.requests_per_second),
        "web": Memory(),
    }
    state["templates"].filters |= FILTERS
    found = [
        *api.routes,
        *policies_api.routes,
        *pages.routes,
        *factors.routes,
        *groups.routes,
        *group_policies.routes,
        *transfer_routes.routes,
        *nodes.routes,
        *webapp_routes.routes,
    ]
    found += [*search_routes.routes, *timer_routes.routes]
    main = _make_app([*found, *(faults.routes if settings.has_faults else [])], state, background=True)
    managers = {name: _make_app([*gcs.routes], {**state, "gcs_endpoint": name}, background=False) for name in settings.nodes}
    main.state.managers = managers  # the web app calls them as well
    wrap = faults.wrap if settings.has_faults else _plain
    outside = {name: wrap(recent.wrap(Standin(sizes.wrap(app)), via=f"GCS Manager {name}")) for name, app in managers.items()}
    answered = wrap(recent.wrap(Standin(sizes.wrap(main)), via="HTTP"))
    return hosts.wrap(answered, allowed_hosts=settings.allowed_hosts), outside, store


def _plain(app: ASGIApp) -> ASGIApp:
    return app


def _make_app(routes: list[BaseRoute], state: dict[str, Any], *, background: bool) -> Starlette:
    app = Starlette(
        routes=routes,
        exception_handlers={
            errors.ApiError: errors.answer_api_error,
            HTTPException: errors.answer_http_error,
            Exception: errors.answer_fault,
        },
        lifespan=_run_background if background else None,
    )
    for name, value in state.items():
        setattr(app.state, name, value)
    return app


async def _keep_running(run: Callable[[Starlette], Coroutine[Any, Any, None]], app: Starlette) -> None:
    while True:
        try:
            return await run(app)
        except Exception:  # a defect: said aloud, and what is due later is still done
            log.exception("%s ended by an error; it is started again", run.__module__)
            await asyncio.sleep(RESTART_S)


@contextlib.asynccontextmanager
async def _run_background(app: Starlette) -> AsyncIterator[None]:
    """What is due without being asked for (deadlines, leases that ran out, writes to an index) is seen to as long as the app lives."""
    jobs = [asyncio.create_task(_keep_running(run, app)) for run in BACKGROUND]
    yield
    for job in jobs:
        job.cancel()
    await asyncio.gather(*jobs, return_exceptions=True)
