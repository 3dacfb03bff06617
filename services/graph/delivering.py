"""Putting drawings where their owner finds them: a folder of her own in the results collection, then a rule that lets her read it.

In that order, so that nobody is ever shown a folder that is not whole. The service writes as itself.
"""

import re

from services.graph.drawing import Drawing
from services.graph.jobs import Job
from services.graph.reading import file_url, open_client, send
from services.graph.service import Service

ROOT = "/graphs/"
MEDIA = {"svg": "image/svg+xml", "png": "image/png", "csv": "text/csv; charset=utf-8"}


def deliver(service: Service, job: Job, drawings: list[tuple[int, Drawing]]) -> list[dict[str, str]]:
    """Write the drawings of a job and grant them; answers the documents of its results. Safe to repeat.

    Raises GlobusUnavailableError or SourceUnavailableError, which may pass.
    """
    collection = service.settings.results_collection
    server = service.globus.https_server(collection)
    service.globus.make_folder(ROOT)
    service.globus.make_folder(job.folder)
    results = []
    with open_client(service.globus.own_token(collection)) as client:
        for number, drawn in drawings:
            source = job.request["sources"][number]
            name = f"{number + 1}-{_plain_name(source['dataset'])}-{drawn.kind}"
            document = {"source": source["dataset"], "kind": drawn.kind, "text_alternative": drawn.text_alternative, "svg": drawn.svg}
            for form, content in (("svg", drawn.svg.encode()), ("png", drawn.png), ("csv", drawn.csv.encode())):
                url = file_url(server, f"{job.folder}{name}.{form}")
                send(client, "PUT", url, headers={"Content-Type": MEDIA[form]}, content=content)
                document[f"{form}_url"] = url
            results.append(document)
    service.globus.add_rule(job.identity_id, job.folder)
    return results


def _plain_name(dataset: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", dataset.lower()).strip("-")[:60] or "dataset"


def remove(service: Service, job: Job) -> bool:
    """Remove the rule, then the folder; True when nothing is left, False when the deletion still runs. Safe to repeat."""
    service.globus.remove_rules(job.folder)
    if not job.submission_id:
        service.store.keep(job, submission_id=service.globus.new_submission_id())
    current = service.store.get(job.id)
    task_id = current.task_id or service.globus.submit_deletion(job.folder, current.submission_id)
    if not current.task_id:
        service.store.keep(job, task_id=task_id)
    status = service.globus.task_status(task_id)
    if status == "failed":
        service.store.keep(job, submission_id="", task_id="")
    return status == "succeeded"
