"""The way of one graph: asked for, drawn, delivered, cleaned up.

`request_graph` is called by the web process; `draw` and `clean` are the worker's steps and may run twice. One dataset that fails leaves
the graphs of the others and a reason.
"""

import hashlib
import json
import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import xarray as xr

from services.graph import delivering, drawn, summarising
from services.graph.authorizing import Caller
from services.graph.drawing import Caption, Drawing
from services.graph.drawing import draw as draw_chart
from services.graph.errors import (
    ConflictError,
    ConsentNeededError,
    GlobusUnavailableError,
    GraphServiceError,
    NotFoundError,
    SessionError,
    SourceError,
    SourceUnavailableError,
)
from services.graph.jobs import Job, StaleJobError
from services.graph.reading import UNSOUND, RemoteFile, file_url, open_client, open_source
from services.graph.service import Service
from services.graph.summarising import Period, Summary

SOURCE_ATTEMPTS = 3
DELIVERY_ATTEMPTS = 20
REPORT_EVERY_S = 0.5
PARTS = 100  # progress counts hundredths of a source

log = logging.getLogger(__name__)


def request_graph(service: Service, caller: Caller, asked: dict[str, Any]) -> tuple[Job, bool]:
    """Queue a graph for a caller; (job, whether it was there already: the same request gives the same job).

    Raises ConsentNeededError when she has not let this service read one of the collections for her.
    """
    key = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
    same = service.store.find_same(caller.identity_id, key)
    if same:
        return same, True
    tokens = tokens_for(service, caller, {source["collection_id"] for source in asked["sources"]})
    total = PARTS * len(asked["sources"])
    job = service.store.add(
        kind="graph", identity_id=caller.identity_id, username=caller.username, request=asked, key=key, tokens=tokens, total=total
    )
    service.hint(job.id, kind="graph", status=job.status)
    return job, False


def tokens_for(service: Service, caller: Caller, collections: set[str]) -> dict[str, str]:
    """The caller's tokens for the files of some collections."""
    held = service.globus.dependent_tokens(caller.token)
    missing = sorted(collections - set(held))
    if missing:
        scopes = [f"{service.settings.scope}[*https://auth.globus.org/scopes/{collection}/https]" for collection in missing]
        raise ConsentNeededError(required_scopes=scopes)
    return {collection: held[collection] for collection in collections}


def find_job(service: Service, caller: Caller, job_id: str, *, kind: str) -> Job:
    """The caller's own job. Raises NotFoundError for anybody else's too."""
    try:
        job = service.store.get(job_id)
    except KeyError:
        raise NotFoundError from None
    if job.identity_id != caller.identity_id or job.kind != kind:
        raise NotFoundError
    return job


def request_clean_up(service: Service, job: Job) -> Job:
    """Start removing the results of a job; also ends one that is still drawn. Safe to repeat."""
    if job.status not in {"cleaning", "cleaned"}:
        try:
            job = service.store.move_to(job, "cleaning")
        except StaleJobError:
            raise ConflictError("The job has just moved on; ask again.") from None
    service.hint(job.id, kind=job.kind, status=job.status)
    return job


def draw(service: Service, job_id: str) -> None:
    """Draw and deliver a queued graph. Safe to repeat; what may pass is tried again later."""
    with service.store.claim(job_id, expected=("queued", "running")) as claimed:
        if claimed is None:
            return
        job = claimed
        try:
            if job.status == "queued":
                job = service.store.move_to(job, "running")
            _draw_claimed(service, job)
        except StaleJobError:
            log.info("job %s was taken away", job_id)
        except (GlobusUnavailableError, SourceUnavailableError) as error:
            _try_later(service, job, error, most=DELIVERY_ATTEMPTS)
        except GraphServiceError as error:
            _fail(service, job, error.detail)
        except Exception:  # a file may be hostile: no job takes the worker down
            log.exception("job %s failed", job_id)
            _try_later(service, job, GraphServiceError("The graph could not be drawn."), most=SOURCE_ATTEMPTS)


def _draw_claimed(service: Service, job: Job) -> None:
    tokens = service.store.tokens_of(job)
    drawings: list[tuple[int, Drawing]] = []
    failures: list[dict[str, Any]] = []
    for number, source in enumerate(job.request["sources"]):
        try:
            made, refused = _draw_source(service, job, number, tokens.get(source["collection_id"]))
            drawings += [(number, drawing) for drawing in made]
            failures += [{"source": source["dataset"], **reason} for reason in refused]
        except SourceUnavailableError as error:
            if job.attempts < SOURCE_ATTEMPTS:
                raise
            failures.append({"source": source["dataset"], "reason": error.detail})
        except SourceError as error:
            failures.append({"source": source["dataset"], "reason": error.detail, **_asked(error)})
    results = delivering.deliver(service, job, drawings) if drawings else []
    status = "failed" if not results else "partial" if failures else "done"
    service.store.move_to(job, status, results=results, failures=failures, done=job.total)
    log.info("job %s is %s: %d graphs, %d failures", job.id, status, len(results), len(failures))


def _asked(error: SourceError) -> dict[str, Any]:
    """What the caller can do about it: the sign-in that her portal can lead her to."""
    return {"authorization_parameters": error.authorization_parameters} if isinstance(error, SessionError) else {}


def _draw_source(service: Service, job: Job, number: int, token: str | None) -> tuple[list[Drawing], list[dict[str, str]]]:
    """The charts of one dataset and, for kinds that it cannot give, the reasons. Raises SourceError when nothing can be read."""
    source, period, folder = job.request["sources"][number], job.request["period"], service.settings.folder / "drawn"
    made: list[Drawing] = []
    refused: list[dict[str, str]] = []
    server = service.globus.https_server(source["collection_id"])
    with ExitStack() as stack:
        client = stack.enter_context(open_client(token))
        files = [stack.enter_context(RemoteFile(client, file_url(server, path))) for path in source["paths"]]
        etags = [file.etag or "" for file in files]
        keys = {kind: drawn.key_of(source=source, etags=etags, period=period, kind=kind) for kind in job.request["kinds"]}
        kept = {kind: drawing for kind in keys if all(etags) and (drawing := drawn.find(folder, keys[kind]))}
        summary = _summarise(service, job, number, files) if len(kept) < len(keys) else None
        for kind, key in keys.items():
            if kind in kept or summary is None:
                made.append(kept[kind])
                continue
            try:
                drawing = draw_chart(kind, summary, Caption(source["title"], source["version"]))
            except SourceError as error:
                refused.append({"kind": kind, "reason": error.detail})
                continue
            drawn.keep(folder, key, drawing)
            made.append(drawing)
    return made, refused


def _summarise(service: Service, job: Job, number: int, files: list[RemoteFile]) -> Summary:
    source, asked = job.request["sources"][number], job.request["period"]
    period = Period(asked["start_year"], asked["end_year"]) if asked else None
    reported = 0.0

    def report(done: int, total: int) -> None:
        nonlocal reported
        if time.monotonic() - reported > REPORT_EVERY_S:
            reported = time.monotonic()
            service.store.keep(job, done=number * PARTS + PARTS * done // max(total, 1))

    with _opened(files, source["paths"]) as datasets:
        variable = summarising.choose_variable(datasets[0], source["variable"])
        if any(variable not in dataset for dataset in datasets):
            raise SourceError(f"Not every file of this dataset has the variable {variable!r}.")
        try:
            summary = summarising.summarise(datasets, variable, period=period, report=report)
        except UNSOUND as error:
            failed = next((file for file in files if file.failure), files[0])
            raise failed.reason(error) from error
    if source["label"] and summary.label == summary.variable.replace("_", " "):  # the file has but the bare name
        summary.label = source["label"].replace("_", " ")
    if source["units"] and not summary.units:
        summary.units = summarising.pretty_units(source["units"])
    return summary


@contextmanager
def _opened(files: list[RemoteFile], paths: list[str]) -> Iterator[list[xr.Dataset]]:
    with ExitStack() as stack:
        yield [stack.enter_context(open_source(file, path)) for file, path in zip(files, paths, strict=True)]


def _try_later(service: Service, job: Job, error: GraphServiceError, *, most: int) -> None:
    if job.attempts >= most:
        _fail(service, job, error.detail)
        return
    log.warning("job %s is tried again later: %s", job.id, error.detail)
    _move_quietly(service, job, "queued", due_in_s=min(60.0, 2.0**job.attempts))


def _fail(service: Service, job: Job, reason: str) -> None:
    names = [source["dataset"] for source in job.request["sources"]]
    _move_quietly(service, job, "failed", failures=[{"source": name, "reason": reason} for name in names])


def _move_quietly(service: Service, job: Job, new: str, **facts: Any) -> None:
    try:
        service.store.move_to(service.store.get(job.id), new, **facts)
    except (StaleJobError, KeyError):
        log.info("job %s was taken away", job.id)


def clean(service: Service, job_id: str) -> None:
    """Remove the rule and the folder of a job. Safe to repeat; the sweep calls again until nothing is left."""
    with service.store.claim(job_id, expected=("cleaning",)) as job:
        if job is None:
            return
        try:
            if job.kind == "inspection" or delivering.remove(service, job):
                service.store.move_to(job, "cleaned", results=[])
                log.info("job %s is cleaned", job_id)
            else:
                service.store.keep(job, due_at=time.time() + 1)
        except StaleJobError:
            log.info("job %s was taken away", job_id)
        except GraphServiceError as error:
            log.warning("clean-up of job %s is tried again later: %s", job_id, error.detail)
            service.store.keep(job, due_at=time.time() + min(300.0, 2.0**job.attempts))
