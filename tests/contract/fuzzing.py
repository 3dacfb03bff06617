"""A description of the REST surface of localglobus for a fuzz run: its routes, what their documents look like, and what may be odd in one.

Routes come from the program itself, so that a new one is met without being listed here. `Surface.requests()` is a hypothesis strategy.
"""

import copy
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.routing import Route

from services.localglobus import app, gcs
from services.localglobus.settings import Settings
from tests.services.localglobus.transfer.conftest import NODES

ODD_TEXTS = (
    "", "/", "//", "/../", "/./", "/~/", "/%2e%2e/", "a\nb", "\u0000", "\ud800", "\u202e", "é" * 300, "x" * 5000, "' or 1=1 --", "{{7*7}}",
    "0", "-1", "1e400", "9" * 30, "9" * 5000,
    "size:" + "9" * 5000, "true", "null", "[]", "*", "name:", "name:~", "status:ACTIVE,", "size:>x", "name ASC", "request_time:,",
    "00000000-0000-0000-0000-000000000000", "2026-13-45", "9999-12-31T23:59:59+00:00",
    "0001-01-01T00:00:00+14:00", "urn:globus:auth:identity:",
)  # fmt: skip
ODD_VALUES = (None, True, False, 0, -1, 2**31, 2**63, 2**200, 1.5, -0.0, math.inf, math.nan, [], [None], {}, {"x": {}}, [[[[]]]])
texts = st.sampled_from(ODD_TEXTS) | st.text(max_size=20)
odd = st.sampled_from(ODD_VALUES) | texts | st.lists(texts, max_size=3) | st.dictionaries(texts, texts, max_size=2)
TIMERS = "524230d7-ea86-4a52-8312-86065a9e0417"
QUERIES = (
    "filter orderby limit offset path show_hidden marker next_token max_results last_key local_user fields filter_scope filter_fulltext"
    " filter_owner_id filter_host_endpoint filter_entity_type filter_non_functional filter_status filter_task_id filter_endpoint"
    " filter_completion_time usernames ids domains provision include all statuses storage_gateway mapped_collection_id page_size q advanced"
    " client_id redirect_uri scope state response_type access_type code_challenge code_challenge_method prompt login_hint nonce next only"
    " session_required_identities session_required_single_domain session_required_policies session_required_mfa session_message identity"
    " hint message code error redirect_name after destination_id origin_id origin_path endpoint"
)
FORMS = (
    "grant_type code redirect_uri code_verifier refresh_token scope token include client_id client_secret access_type state form_token"
    " identity next query person decision consent"
)
FITTING = (
    ("/v0.10/", "transfer.api.globus.org"), ("/v2/bookmarks", "transfer.api.globus.org"), ("/v2/timer", TIMERS), ("/jobs", TIMERS),
    ("/v2/api/", "auth.globus.org"), ("/v2/oauth2/userinfo", "auth.globus.org"), ("/v2/oauth2/", "basic"), ("/v2/web/", "browser"),
    ("/v2/", "groups.api.globus.org"), ("/v1/", "search.api.globus.org"), ("/dtn/", "node"), ("/", "browser"),
)  # fmt: skip
"""Whose token a route wants, by the start of its path: the first that fits."""
GRANTS = ("authorization_code", "refresh_token", "client_credentials", "urn:globus:auth:grant_type:dependent_token", "password")


def starlette(application: Any) -> Starlette:
    """The application inside what is wrapped around it."""
    while not isinstance(application, Starlette):
        inner = [cell.cell_contents for cell in getattr(application, "__closure__", None) or ()]
        application = next((found for found in inner if callable(found)), None) or application.app
    return application


def routes(folder: Path) -> dict[str, list[Route]]:
    """Those of the program, as it serves them, but for the nodes' long poll and the fault switch; `folder` takes a store."""
    nodes = {name: f"https://{host}:1" for name, host in NODES.items()}
    main, _, store = app.make_apps(Settings(data=folder, host="127.0.0.2", port=1, portal_url="", graph_url="", nodes=nodes))
    store.close()
    found = [route for route in starlette(main).routes if isinstance(route, Route) and not route.path.endswith("/lease")]
    return {"main": found, "gcs": list(gcs.routes)}


@dataclass(frozen=True)
class Call:
    """One request, as httpx takes it."""

    api: str  # "main" | "gcs"
    method: str
    address: str
    token: str | None
    content: bytes
    content_type: str

    def __str__(self) -> str:
        return f"{self.api} {self.method} {self.address} {self.token} {self.content_type} {self.content[:400]!r}"


@dataclass(frozen=True)
class Surface:
    """`routes` by API; `ids` that there are, by kind; `documents` by the end of a path; `tokens` by name; the pages' forms.

    A token is what stands in the Authorization field, or `Cookie: ...` for a browser that is signed in.
    """

    routes: Mapping[str, Iterable[Route]]
    ids: Mapping[str, list[str]]
    documents: Mapping[str, list[dict[str, Any]]]
    tokens: Mapping[str, str]
    forms: "list[Form]"

    def known(self) -> list[tuple[str, Route, str]]:
        """Every route of every API with each of its methods."""
        return [
            (api, route, method) for api, routes in self.routes.items() for route in routes for method in sorted(route.methods or {"GET"})
        ]

    def requests(self) -> st.SearchStrategy[Call]:
        return st.sampled_from(self.known()).flatmap(lambda found: self.calls(*found))

    @st.composite
    @staticmethod
    def _draw(draw: st.DrawFn, surface: "Surface", api: str, route: Route, method: str) -> Call:
        path = route.path_format
        for name in route.param_convertors:
            value = draw(st.sampled_from(surface.ids.get(name, [""])) | texts)
            path = path.replace(f"{{{name}}}", quote(value.encode("utf-8", "surrogatepass"), safe=""))
        query = draw(st.lists(st.tuples(st.sampled_from(QUERIES.split()), surface.values() | texts), max_size=4))
        parts = [f"{name}={quote(value.encode('utf-8', 'surrogatepass'), safe='')}" for name, value in query]
        content, content_type = draw(surface.bodies(route.path_format)) if method in {"POST", "PUT", "PATCH"} else (b"", "")
        token = draw(surface.bearers(api, path))
        return Call(api, method, path + ("?" + "&".join(parts) if parts else ""), token, content, content_type)

    def bearers(self, api: str, path: str) -> st.SearchStrategy[str | None]:
        """Three times in four the token that the route wants, so that what is asked is looked at; else another one, an odd one, none."""
        name = "manager" if api == "gcs" else next(name for start, name in FITTING if path.startswith(start))
        other = st.sampled_from([*self.tokens.values()]) | st.sampled_from([None, "Bearer", "Bearer é", "Basic", "Basic !!", "Basic eA=="])
        return st.sampled_from([True, True, True, False]).flatmap(lambda fits: st.just(self.tokens[name]) if fits else other)

    def calls(self, api: str, route: Route, method: str) -> st.SearchStrategy[Call]:
        return Surface._draw(self, api, route, method)

    def _filled(self, form: "Form") -> st.SearchStrategy[list[tuple[str, str]]]:
        """The form as a browser sends it, some fields odd or left out."""
        by_name: dict[str, list[str]] = {}
        for name, value in form.fields:
            by_name.setdefault(name, []).extend([value] if value else [])
        by_name["form_token"] = self.ids["form_token"]
        free = self.values() | texts | st.sampled_from(["", "identity", "r", "1"])
        each = [st.tuples(st.just(name), st.sampled_from(values) if values else free) for name, values in by_name.items()]
        return st.tuples(*each).map(list) | st.lists(st.one_of(each), max_size=8)

    def values(self) -> st.SearchStrategy[str]:
        return st.sampled_from([value for found in self.ids.values() for value in found])

    def bodies(self, path: str) -> st.SearchStrategy[tuple[bytes, str]]:
        shapes = [shape for end, found in self.documents.items() if path.endswith(end) for shape in found]
        documents = (st.sampled_from(shapes).flatmap(mutated) if shapes else odd).map(lambda value: (as_json(value), "application/json"))
        forms = st.lists(st.tuples(st.sampled_from(FORMS.split()), st.sampled_from(GRANTS) | self.values() | texts), max_size=6).map(
            as_form
        )
        shown = [form for form in self.forms if form.fits(path)]
        filled = st.sampled_from(shown).flatmap(self._filled).map(as_form) if shown else forms
        raw = st.binary(max_size=60) | st.sampled_from([b"", b"{", b"[" * 3000, b'{"a":1,"a":2}', b"\xff\xfe", b"[1e999]", b'"\\ud800"'])
        kinds = st.sampled_from(
            ["application/json", "text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded", ""]
        )
        return documents | documents | forms | filled | filled | st.tuples(raw, kinds)


@dataclass(frozen=True)
class Form:
    """A form of a page: where it goes to, and its fields with the values that its buttons and hidden fields have."""

    action: str
    fields: tuple[tuple[str, str], ...]

    def fits(self, path: str) -> bool:
        return re.fullmatch(self.action, re.sub(r"{[^}]*}", "x", path)) is not None


def read_forms(templates: Path, *, but: str) -> list[Form]:
    """The forms of all templates, except for the one named."""
    found = []
    for template in sorted(templates.rglob("*.html")):
        for form in re.finditer(r'<form[^>]*method="post"[^>]*action="([^"]*)"[^>]*>(.*?)</form>', template.read_text(), re.DOTALL):
            action = re.sub(r"\\{\\{.*?\\}\\}", "[^/]+", re.escape(form[1]).replace("\\ ", " "))
            fields = re.findall(r'name="([a-z_]+)"(?: value="([^"{]+)")?', form[2])
            if template.name != but:
                found.append(Form(action, tuple(dict.fromkeys(fields))))
    return found


def mutated(shape: dict[str, Any]) -> st.SearchStrategy[Any]:
    """A document as it should be, with up to three of its members odd, gone or more."""
    return st.lists(st.tuples(st.integers(0, 40), st.sampled_from(["odd", "gone", "more"]), odd), max_size=3).map(
        lambda changes: _change(copy.deepcopy(shape), changes)
    )


def _change(document: Any, changes: Iterable[tuple[int, str, Any]]) -> Any:
    for place, kind, shared in changes:
        value = copy.deepcopy(shared)
        leaves = [*_leaves(document)]
        if not leaves:
            return value
        holder, key = leaves[place % len(leaves)]
        if kind == "gone":
            del holder[key]
        elif kind == "more" and isinstance(holder, dict):
            holder[f"{key}_"] = value
        else:
            holder[key] = value
    return document


def _leaves(value: Any) -> Iterable[tuple[Any, Any]]:
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in members:
        yield value, key
        yield from _leaves(below)


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode()


def as_form(pairs: Iterable[tuple[str, str]]) -> tuple[bytes, str]:
    text = "&".join(f"{name}={quote(value.encode('utf-8', 'surrogatepass'), safe='')}" for name, value in pairs)
    return text.encode(), "application/x-www-form-urlencoded"
