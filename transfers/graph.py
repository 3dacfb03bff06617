"""The gateway to the graph and analysis service: graphs of datasets, and inspections of files near the data.

Plain HTTP with a bearer token: the person's for her graphs, the portal's own for inspections and quick looks. The service's problems
become our errors here: `UnavailableError` (try again), `ConsentNeededError` (ask the person), `NotFoundError`, `GraphRefusedError`
(do not). No data pass: charts travel as text in the answer, files stay in the results collection.
"""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import requests
from django.conf import settings

from datasets.errors import NotFoundError, RefusedError, UnavailableError
from datasets.scans.inspecting import Inspected
from transfers import globus
from transfers.errors import ConsentNeededError

TIMEOUT_S = (5, 30)
POLL_S = 0.5
INSPECT_AT_ONCE = 2000
SILENCE_S = 600
REREAD_SILENCE_S = 2400  # one large file, read whole


class GraphRefusedError(RefusedError):
    code = "graph-refused"
    http_status = 502
    message = "The graph service refused this."


class GraphUnavailableError(UnavailableError):
    code = "graph-unavailable"
    message = "The graph service does not answer at the moment. What you asked for is kept and is tried again."


class GraphMissingError(NotFoundError):
    code = "no-graph-service"
    message = "This archive has no graph service."


@dataclass(frozen=True)
class Source:
    """One dataset to draw: `paths` are collection paths of files that continue each other in time; shown with title and version."""

    dataset: str
    title: str
    version: str
    collection_id: UUID
    paths: tuple[str, ...]
    variable: str = ""
    units: str = ""
    label: str = ""


@dataclass(frozen=True)
class GraphAnswer:
    """How far a graph is. `status`: queued, running, done, partial, failed, cleaning or cleaned."""

    id: str
    status: str
    done: int
    total: int
    results: list[dict[str, str]]
    failures: list[dict[str, Any]]
    folder_url: str


def has_service() -> bool:
    """Whether the operator set a graph service up."""
    return bool(settings.GRAPH_URL and settings.GRAPH_SCOPE)


def scope_to_read(collection_ids: Iterable[UUID | str]) -> str:
    """The graph service's scope with the leave to read these collections for the person who grants it."""
    below = " ".join(
        f"*https://auth.globus.org/scopes/{collection_id}/https" for collection_id in sorted({str(one) for one in collection_ids})
    )
    return f"{settings.GRAPH_SCOPE}[{below}]" if below else str(settings.GRAPH_SCOPE)


def resource_server() -> str:
    """The name under which tokens for the graph service are kept: its client id, part of its scope. Raises GraphMissingError."""
    if not has_service():
        raise GraphMissingError
    return str(settings.GRAPH_SCOPE).split("/")[-2]


def own_token(collection_ids: Iterable[UUID | str]) -> str:
    """The portal's own token for the graph service, with leave to read these collections as the portal."""
    return globus.own_token(scope_to_read(collection_ids))


def request_graph(sources: Iterable[Source], *, kinds: Iterable[str], years: tuple[int, int] | None, token: str) -> GraphAnswer:
    """Ask for graphs. The same request of the same person answers with the same job, so a repeat is safe."""
    body = {
        "sources": [
            {
                "dataset": source.dataset,
                "title": source.title,
                "version": source.version,
                "collection_id": str(source.collection_id),
                "paths": list(source.paths),
                "variable": source.variable or None,
                "label": source.label or None,
                "units": source.units or None,
            }
            for source in sources
        ],
        "kinds": list(kinds),
        "period": {"start_year": years[0], "end_year": years[1]} if years else None,
    }
    return _answer(_call("POST", "/v1/graphs", token=token, body=body))


def find_graph(graph_id: str, *, token: str) -> GraphAnswer:
    """How far a graph is. Raises NotFoundError when the service does not know it any more."""
    return _answer(_call("GET", f"/v1/graphs/{graph_id}", token=token))


def remove_graph(graph_id: str, *, token: str) -> GraphAnswer | None:
    """Start removing what a graph left in the results collection; None when the service does not know it any more. Safe to repeat."""
    try:
        return _answer(_call("DELETE", f"/v1/graphs/{graph_id}", token=token))
    except NotFoundError:
        return None


def inspect(collection_id: UUID, paths: list[str], *, reread: bool = False) -> Iterator[Inspected]:
    """Checksums and headers of files of one collection, as the portal itself. Raises UnavailableError when nothing comes for long.

    With `reread` checksums alone, and from the bytes as they are now, whatever the node remembers of them.
    """
    token = own_token([collection_id])
    for start in range(0, len(paths), INSPECT_AT_ONCE):
        asked = {"collection_id": str(collection_id), "paths": paths[start : start + INSPECT_AT_ONCE], "reread": reread}
        job = _call("POST", "/v1/inspections", token=token, body=asked)
        yield from _follow_inspection(job["id"], token=token, silence_s=REREAD_SILENCE_S if reread else SILENCE_S)
        _call("DELETE", f"/v1/inspections/{job['id']}", token=token)


def request_preview(collection_id: UUID, path: str, *, token: str) -> str:
    """Ask what is to be shown of one file; answers with the id to ask for it by."""
    asked = {"collection_id": str(collection_id), "paths": [path], "preview": True}
    return str(_call("POST", "/v1/inspections", token=token, body=asked)["id"])


def find_preview(job_id: str, *, token: str) -> dict[str, Any] | None:
    """What is to be shown (services/graph/previewing.py says its shape); None while it is read.

    Raises NotFoundError when the service does not know it any more, GraphRefusedError with the reason when it could not be read.
    """
    answer = _call("GET", f"/v1/inspections/{job_id}", token=token)
    if answer["status"] == "failed":
        raise GraphRefusedError("; ".join(str(failure.get("reason")) for failure in answer["failures"]))
    return dict(answer["files"][0]) if answer["files"] else None


def remove_preview(job_id: str, *, token: str) -> None:
    """Have the service forget it."""
    _call("DELETE", f"/v1/inspections/{job_id}", token=token)


def _follow_inspection(job_id: str, *, token: str, silence_s: float) -> Iterator[Inspected]:
    after, heard_at = 0, time.monotonic()
    while True:
        answer = _call("GET", f"/v1/inspections/{job_id}?after={after}", token=token)
        if answer["files"]:
            heard_at = time.monotonic()
        for file in answer["files"]:
            yield Inspected.from_json(file)
        after = answer["next"]
        if answer["status"] == "failed":
            reasons = "; ".join(str(failure.get("reason")) for failure in answer["failures"])
            raise GraphRefusedError(reasons)
        if answer["status"] == "done" and after >= answer["total"]:
            return
        if time.monotonic() - heard_at > silence_s:
            raise GraphUnavailableError
        if not answer["files"]:
            time.sleep(POLL_S)


def _answer(document: dict[str, Any]) -> GraphAnswer:
    progress = document["progress"]
    return GraphAnswer(
        id=str(document["id"]),
        status=str(document["status"]),
        done=int(progress["done"]),
        total=int(progress["total"]),
        results=document["results"],
        failures=document["failures"],
        folder_url=str(document["folder_url"] or ""),
    )


def _call(method: str, path: str, *, token: str, body: dict[str, Any] | None = None) -> Any:
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
    try:
        answer = requests.request(
            method, f"{settings.GRAPH_URL}{path}", json=body, headers=headers, timeout=TIMEOUT_S, allow_redirects=False
        )
    except requests.RequestException as error:
        raise GraphUnavailableError from error
    if answer.ok:
        return answer.json() if answer.content else {}
    raise _error(answer)


def _error(answer: requests.Response) -> RefusedError:
    try:
        problem = answer.json()
    except ValueError:
        problem = {}
    detail = str(problem.get("detail") or "")
    if problem.get("code") in {"consent-required", "insufficient-scope"}:
        return ConsentNeededError(detail, required_scopes=problem.get("required_scopes") or [settings.GRAPH_SCOPE])
    if answer.status_code == 401:
        return ConsentNeededError("Your permission for the graph service ended.", required_scopes=[settings.GRAPH_SCOPE])
    if answer.status_code == 404:
        return NotFoundError(detail)
    if answer.status_code >= 500 or answer.status_code == 429:
        return GraphUnavailableError(detail)
    return GraphRefusedError(detail)
