"""The Celery app: workers do the steps, beat says every few seconds that something may be due.

A message is only a hint: the database is the queue of record, so a lost message costs one sweep, never a step.
Names and queues of tasks are interface and chosen once.
"""

import os
from pathlib import Path

from celery import Celery
from celery.beat import PersistentScheduler
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")

TASK_MODULES = (
    "portal.tasks",
    "datasets.dois",
    "datasets.scans.ingesting",
    "datasets.description.probing",
    "datasets.importing.harvests",
    "datasets.search.saving",
    "datasets.sweeping",
    "transfers.ingesting",
    "transfers.pushing",
    "transfers.sharing",
    "transfers.sending",
    "transfers.reconciling",
    "transfers.sweeping",
    "transfers.analysis.graphs",
    "transfers.analysis.previews",
    "transfers.analysis.quick_looks",
    "transfers.access.following",
)


class Scheduler(PersistentScheduler):
    """Beat's memory of what ran when, in a file. The first start on an empty state makes its folder."""

    def setup_schedule(self) -> None:
        Path(self.schedule_filename).parent.mkdir(parents=True, exist_ok=True)  # type: ignore[attr-defined]  # not in the stubs
        super().setup_schedule()


app = Celery("causeway")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.imports = TASK_MODULES
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_ignore_result=True,
    task_soft_time_limit=600,
    task_time_limit=660,
    task_default_queue="transfers",
    task_routes={
        "datasets.*": {"queue": "catalogue"},
        "transfers.ingest*": {"queue": "catalogue"},
        "transfers.push_records": {"queue": "catalogue"},
        "transfers.analysis.*": {"queue": "analysis"},
    },
    # A hint is not worth waiting for: the sweep finds what is due.
    task_publish_retry_policy={"max_retries": 1, "interval_start": 0, "interval_max": 0.2},
    # Longer than the longest limit of a task: no message is delivered twice while its worker still works.
    broker_transport_options={
        "visibility_timeout": 3600,
        "global_keyprefix": "causeway.",
        "socket_timeout": 30,
        # A broker that is out must not hold up the page that wanted to hint at a step: the sweep finds it.
        "max_retries": 1,
        "interval_start": 0,
        "interval_step": 0,
    },
    broker_connection_retry_on_startup=True,
    worker_prefetch_multiplier=1,
    worker_hijack_root_logger=False,
    beat_scheduler="portal.celery:Scheduler",
)
# What beat says is worth saying once: a message nobody took before the next one is dropped.
PERIODS = {
    "transfers.sweep": settings.SWEEP_SECONDS,
    "datasets.sweep": settings.SWEEP_SECONDS,
    "transfers.analysis.sweep": settings.SWEEP_SECONDS,
    "transfers.access.sweep": settings.SWEEP_SECONDS,
    "transfers.reconcile": 3600,
    "datasets.mail_news": 600,
    "portal.refresh_groups": 300,
    "portal.heartbeat": 15,
    "portal.clear_sessions": 86_400,
}
app.conf.beat_schedule = {name: {"task": name, "schedule": period, "options": {"expires": period}} for name, period in PERIODS.items()}
