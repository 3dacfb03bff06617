"""How a worker does one step of a job or a quick look: claim, call the graph service, record what went wrong. As `transfers.steps`."""

import random
from collections.abc import Iterable
from datetime import timedelta

from celery import current_app
from django.utils import timezone
from kombu.exceptions import OperationalError

from transfers.analysis.models import AnalysisJob, QuickLook

LONGEST_WAIT_S = 300


def put_off(row: AnalysisJob | QuickLook, *, seconds: float = 0) -> None:
    """Try the step again later: twice as late each time, with jitter so that a recovery is not a stampede."""
    attempts = row.attempts + 1
    wait_s = max(seconds, min(LONGEST_WAIT_S, 2**attempts) * random.uniform(0.5, 1.0))  # noqa: S311
    type(row).objects.filter(pk=row.pk).update(attempts=attempts, due_at=timezone.now() + timedelta(seconds=wait_s))


def look_again(row: AnalysisJob | QuickLook, *, seconds: float) -> None:
    """Come back soon: nothing went wrong, it is not ready yet."""
    type(row).objects.filter(pk=row.pk).update(attempts=0, due_at=timezone.now() + timedelta(seconds=seconds))


def send_hint(task: str, arguments: Iterable[str | int]) -> None:
    """Put a message in the broker; a broker that does not answer is left to the sweep."""
    try:
        current_app.send_task(task, tuple(arguments), queue="analysis", retry=False, ignore_result=True)
    except (OperationalError, OSError):
        return
