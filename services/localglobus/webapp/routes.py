"""The addresses of the web app: those of app.globus.org where it has the page, too."""

from __future__ import annotations

from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from services.localglobus.webapp import acting, activity, admin, bookmarks, collections, consenting, files, groups, returning, sharing
from services.localglobus.webapp.pages import Page, see, signed_in

STATIC = Path(__file__).parents[1] / "static"


async def home(request: Request) -> Response:
    return see("/file-manager")


def _page(path: str, page: Page, *methods: str) -> Route:
    return Route(path, signed_in(page), methods=list(methods) or ["GET"])


COLLECTION = "/file-manager/collections/{collection_id}"
routes: list[BaseRoute] = [
    Route("/", home, methods=["GET"]),
    Mount("/static", StaticFiles(directory=STATIC)),
    _page(consenting.CALLBACK, returning.callback),
    _page("/file-manager", files.file_manager),
    _page("/file-manager", acting.act, "POST"),
    _page("/file-manager/choose", files.choose),
    _page("/file-manager/share", sharing.share, "GET", "POST"),
    _page("/file-manager/gcp", collections.personal, "GET", "POST"),
    _page(f"{COLLECTION}/sharing/add", sharing.add_rule, "GET", "POST"),
    _page(f"{COLLECTION}/sharing", sharing.rules, "GET", "POST"),
    _page(f"{COLLECTION}/shares", collections.guests),
    _page(f"{COLLECTION}/roles", collections.roles, "GET", "POST"),
    _page(f"{COLLECTION}/overview", collections.one_collection, "GET", "POST"),
    _page(COLLECTION, collections.one_collection, "GET"),
    _page("/bookmarks", bookmarks.bookmarks, "GET", "POST"),
    _page("/collections", collections.collections),
    _page("/activity", activity.activity),
    _page("/console", activity.console),
    _page("/activity/{task_id}", activity.one_task, "GET", "POST"),
    _page("/activity/{task_id}/{tab}", activity.one_task),
    _page("/groups", groups.groups, "GET", "POST"),
    _page("/groups/{group_id}", groups.one_group, "GET", "POST"),
    _page("/groups/{group_id}/{tab}", groups.one_group),
    *admin.routes,
]
