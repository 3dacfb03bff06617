"""The way of an inspection: a list of files, each read where it is, its digest and header recorded one by one."""

import logging
import time
from typing import Any

from services.graph import inspecting, previewing
from services.graph.authorizing import Caller
from services.graph.errors import GlobusUnavailableError, GraphServiceError, SourceUnavailableError
from services.graph.graphs import tokens_for
from services.graph.jobs import Job, StaleJobError
from services.graph.reading import open_client
from services.graph.service import Service

ATTEMPTS = 3
PAGE = 500

log = logging.getLogger(__name__)


def request_inspection(service: Service, caller: Caller, asked: dict[str, Any]) -> Job:
    """Queue the inspection of some files of one collection. Raises ConsentNeededError."""
    tokens = tokens_for(service, caller, {asked["collection_id"]})
    job = service.store.add(
        kind="inspection", identity_id=caller.identity_id, username=caller.username, request=asked, key="", tokens=tokens,
        total=len(asked["paths"]),
    )  # fmt: skip
    service.hint(job.id, kind="inspection", status=job.status)
    return job


def inspect(service: Service, job_id: str) -> None:
    """Inspect what is not yet recorded. Safe to repeat: a killed worker costs the file it was at."""
    with service.store.claim(job_id, expected=("queued", "running")) as claimed:
        if claimed is None:
            return
        job = claimed
        try:
            if job.status == "queued":
                job = service.store.move_to(job, "running")
            _inspect_claimed(service, job)
            service.store.move_to(job, "done", done=job.total)
            log.info("inspection %s is done: %d files", job_id, job.total)
        except StaleJobError:
            log.info("inspection %s was taken away", job_id)
        except (GlobusUnavailableError, SourceUnavailableError) as error:
            log.warning("inspection %s is tried again later: %s", job_id, error.detail)
            service.store.move_to(job, "queued", due_in_s=min(60.0, 2.0**job.attempts))
        except GraphServiceError as error:
            service.store.move_to(job, "failed", failures=[{"source": job.request["collection_id"], "reason": error.detail}])


def _inspect_claimed(service: Service, job: Job) -> None:
    collection = job.request["collection_id"]
    server = service.globus.https_server(collection)
    token = service.store.tokens_of(job).get(collection)
    recorded = {document["index"] for document in service.store.inspected(job, after=0, limit=job.total)}
    with open_client(token) as client:
        for number, path in enumerate(job.request["paths"], start=1):
            if number in recorded:
                continue
            look = _look_for(job)
            document = _inspect_one(look, client, server, path, is_last_attempt=job.attempts >= ATTEMPTS)
            service.store.add_inspected(job, number, document)
            service.store.keep(job, due_at=time.time())  # raises when the job was taken away


def _look_for(job: Job) -> Any:
    """What is done with each file of a job."""
    if job.request.get("preview"):
        return previewing.preview
    return inspecting.reread if job.request.get("reread") else inspecting.inspect


def _inspect_one(look: Any, client: Any, server: str, path: str, *, is_last_attempt: bool) -> dict[str, Any]:
    try:
        found: dict[str, Any] = look(client, server, path)
        return found
    except SourceUnavailableError as error:
        if not is_last_attempt:
            raise
        return {"path": path, "error": error.detail, "kind": "failed", "reason": error.detail}
    except Exception as error:  # a file may be hostile: it says so, and the next one is read
        log.exception("inspecting a file failed")
        words = f"The file cannot be read: {type(error).__name__}."
        return {"path": path, "error": words, "kind": "failed", "reason": words}
