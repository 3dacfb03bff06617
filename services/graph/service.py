"""What the web process and the worker have in common: settings, the job store, Globus, and the broker that carries hints."""

import logging
from dataclasses import dataclass
from pathlib import Path

from celery import Celery
from kombu.exceptions import OperationalError

from services.graph.authorizing import Gate
from services.graph.globus import Globus
from services.graph.jobs import Store
from services.graph.settings import Settings

QUEUE = "graph"
TASKS = {"graph": "graph.draw", "inspection": "graph.inspect"}
CLEAN_TASK = "graph.clean"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Service:
    """One configured graph service."""

    settings: Settings
    store: Store
    globus: Globus
    gate: Gate
    celery: Celery

    @classmethod
    def from_environment(cls, folder: Path) -> "Service":
        """Raises SettingsError."""
        settings = Settings.from_environment(folder)
        globus = Globus(settings)
        gate = Gate(globus, client_id=settings.client_id, scope=settings.scope)
        store = Store(folder)
        return cls(settings, store, globus, gate, make_celery(settings.broker_url, prefix=f"causeway-graph.{store.name}."))

    def hint(self, job_id: str, *, kind: str, status: str) -> None:
        """Tell a worker that a job waits. A hint that is lost costs seconds: the sweep gives it again."""
        name = CLEAN_TASK if status == "cleaning" else TASKS[kind]
        try:
            self.celery.send_task(name, args=[job_id], queue=QUEUE, retry=False, ignore_result=True)
        except OperationalError:
            log.warning("the broker does not answer; job %s waits for the sweep", job_id)

    def sweep(self) -> int:
        """Give hints for every job that is due, and start the clean-up of results past their time."""
        for job_id in self.store.expired():
            self.store.move_to(self.store.get(job_id), "cleaning")
        due = self.store.due()
        for job_id, kind, status in due:
            self.hint(job_id, kind=kind, status=status)
        self.store.forget_old()
        return len(due)


def make_celery(broker_url: str, *, prefix: str) -> Celery:
    """The Celery app: no results, messages acknowledged late and given again when a worker is lost.

    `prefix` stands before every key in the broker: services that share one do not take each other's messages.
    """
    app = Celery("causeway-graph", broker=broker_url)
    app.conf.update(
        task_default_queue=QUEUE,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_ignore_result=True,
        task_soft_time_limit=1800,
        task_time_limit=1860,
        worker_prefetch_multiplier=1,
        worker_max_tasks_per_child=200,
        worker_max_memory_per_child=1_500_000,
        worker_hijack_root_logger=False,
        broker_connection_retry_on_startup=True,
        broker_transport_options={"visibility_timeout": 7200, "global_keyprefix": prefix, "socket_timeout": 30},
    )
    return app
