"""The worker's tasks: thin edges around the verbs. A message is only a hint; a task whose job is taken or done ends at once."""

from services.graph import graphs, inspections
from services.graph.service import CLEAN_TASK, QUEUE, TASKS, Service


def run_worker(service: Service, *, concurrency: int) -> None:
    """Run the Celery worker in the foreground until it is told to stop."""

    @service.celery.task(name=TASKS["graph"])
    def draw(job_id: str) -> None:
        graphs.draw(service, job_id)

    @service.celery.task(name=TASKS["inspection"])
    def inspect(job_id: str) -> None:
        inspections.inspect(service, job_id)

    @service.celery.task(name=CLEAN_TASK)
    def clean(job_id: str) -> None:
        graphs.clean(service, job_id)

    options = ["--queues", QUEUE, "--concurrency", str(concurrency), "--loglevel", "INFO", "--without-gossip", "--without-mingle"]
    service.celery.worker_main(["worker", *options])
