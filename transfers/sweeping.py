"""The sweep: beat calls it every few seconds, it finds what is due in the database and hints at each step."""

import logging
from datetime import timedelta

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from transfers import opening, steps, tokens
from transfers.models import DataRequest
from transfers.states import Kind, Status

log = logging.getLogger(__name__)

MOST = 500


@shared_task(name="transfers.sweep", acks_late=True, soft_time_limit=60, ignore_result=True)
def sweep() -> int:
    """Hint at every step that is due and answer how many; end tokens whose last work is over. Safe to repeat.

    What was hinted at is not hinted at again for a few sweeps, so that a busy worker's queue does not fill with the same request.
    """
    now = timezone.now()
    later = now + timedelta(seconds=max(10, 5 * settings.SWEEP_SECONDS))
    n_hints = 0
    for request in DataRequest.objects.due(now)[:MOST]:
        task = steps.STEPS.get((Kind(request.kind), Status(request.status)))
        taken = DataRequest.objects.filter(pk=request.pk, status=request.status, due_at=request.due_at).update(due_at=later)
        if task and taken:
            steps.send_hint(task, str(request.pk))
            n_hints += 1
    opening.open_what_is_published()
    tokens.end_released()
    return n_hints
